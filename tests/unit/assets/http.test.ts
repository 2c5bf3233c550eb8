import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { download } from '../../../src/assets/http.js';
import { noise } from '../../support/wheel-index.js';

const body = noise(10_000);
let root: string;
let target: string;
let listener: RequestListener;
const server = createServer((request, response) => listener(request, response));
const address = (path = ''): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}/${path}`;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'capstan-http-'));
  target = join(root, 'file.part');
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(root, { recursive: true });
});

describe('download', () => {
  it('follows redirects and reports progress', async () => {
    listener = (request, response) => {
      if (request.url === '/old') response.writeHead(302, { location: '/new' }).end();
      else response.end(body);
    };
    const seen: number[] = [];
    await download(address('old'), target, { bytes: body.length, onProgress: (done) => seen.push(done) });
    expect(readFileSync(target)).toEqual(Buffer.from(body));
    expect(seen.at(-1)).toBe(body.length);
  });

  it('gives up on a redirect loop and on a refusal at once', async () => {
    let calls = 0;
    listener = (_request, response) => {
      calls++;
      response.writeHead(302, { location: '/again' }).end();
    };
    await expect(download(address(), target, { bytes: 1 })).rejects.toThrow('more than 10 redirects');
    expect(calls).toBe(10);
    listener = (_request, response) => response.writeHead(403, 'Forbidden').end();
    await expect(download(address(), target, { bytes: 1 })).rejects.toThrow(
      'the server answered 403 Forbidden',
    );
  });

  it('tries again after a temporary failure', async () => {
    let calls = 0;
    listener = (_request, response) => {
      if (calls++ < 2) response.writeHead(503).end();
      else response.end(body);
    };
    await download(address(), target, { bytes: body.length });
    expect(calls).toBe(3);
  });

  it('refuses a file of another size before writing it', async () => {
    listener = (_request, response) => response.writeHead(200, { 'content-length': 10_000 }).end(body);
    await expect(download(address(), target, { bytes: 9999 })).rejects.toThrow(
      'the server has 10000 bytes, 9999 expected',
    );
  });

  it('gives up on a server that cannot be reached', async () => {
    listener = (_request, response) => response.end();
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    await expect(download(`http://127.0.0.1:${port}/`, target, { bytes: 1 })).rejects.toThrow(/ECONNREFUSED/);
  });

  it('takes a file: address, as pip gives for a local folder of wheels', async () => {
    writeFileSync(join(root, 'source'), body);
    writeFileSync(target, body.subarray(0, 100));
    await download(pathToFileURL(join(root, 'source')).href, target, { bytes: body.length });
    expect(readFileSync(target)).toEqual(Buffer.from(body));
  });

  it.runIf(process.platform === 'linux')('says that the disk is full', async () => {
    listener = (_request, response) => response.end(body);
    await expect(download(address(), '/dev/full', { bytes: body.length })).rejects.toThrow(
      /^Disk full \(ENOSPC\) while writing \/dev\/full\..*CAPSTAN_CACHE/,
    );
  });
});
