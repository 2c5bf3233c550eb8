import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FetchPolicy, ImageFetcher } from '../../../../src/data/download/fetch-image.js';
import { type ImageServer, picture, startImageServer } from '../../../support/image-server.js';

let server: ImageServer;
let fetchers: ImageFetcher[] = [];
let stop = new AbortController();
beforeEach(async () => {
  server = await startImageServer();
  stop = new AbortController();
});
afterEach(async () => {
  for (const fetcher of fetchers) fetcher.close();
  fetchers = [];
  await server.close();
});

function get(path: string, changes: Partial<FetchPolicy> = {}): Promise<Uint8Array> {
  const fetcher = new ImageFetcher({
    userAgent: 'capstan/test',
    timeoutMs: 5_000,
    maxBytes: 100_000,
    ignoreOptOut: false,
    allowPrivate: true,
    resolve: async () => [{ address: '127.0.0.1', family: 4 }],
    signal: stop.signal,
    onBytes: () => undefined,
    ...changes,
  });
  fetchers.push(fetcher);
  return fetcher.fetch(new URL(path.startsWith('/') ? server.url(path) : path));
}

const failing = (reason: string, isTemporary: boolean) => expect.objectContaining({ reason, isTemporary });

describe('ImageFetcher', () => {
  it('fetches bytes, and says who asks', async () => {
    const image = await picture(1);
    let agent: string | undefined;
    server.paths.set('/a.jpg', (request, response) => {
      agent = request.headers['user-agent'];
      response.end(image);
    });
    expect(Buffer.from(await get('/a.jpg')).equals(image)).toBe(true);
    expect(agent).toBe('capstan/test');
  });

  it.each([
    [404, false],
    [403, false],
    [410, false],
    [204, false],
    [500, true],
    [503, true],
    [429, true],
    [408, true],
  ])('counts a status of %i', async (status, isTemporary) => {
    server.paths.set('/a', (_, response) => response.writeHead(status, { 'retry-after': '7' }).end());
    await expect(get('/a')).rejects.toEqual(failing(`http-${status}`, isTemporary));
    await expect(get('/a')).rejects.toMatchObject({ retryAfterMs: 7_000 });
  });

  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
  ] as const)('unpacks %s, which nobody asked for', async (encoding, pack) => {
    const image = await picture(2);
    server.paths.set('/a', (_, response) =>
      response.writeHead(200, { 'content-encoding': encoding }).end(pack(image)),
    );
    expect(Buffer.from(await get('/a')).equals(image)).toBe(true);
  });

  it('bounds what is unpacked', async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000));
    expect(bomb.length).toBeLessThan(100_000);
    server.paths.set('/a', (_, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb),
    );
    await expect(get('/a')).rejects.toEqual(failing('too-large', false));
  });

  it('refuses damaged and unknown encodings', async () => {
    server.paths.set('/a', (_, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end('no gzip'),
    );
    server.paths.set('/b', (_, response) => response.writeHead(200, { 'content-encoding': 'zip' }).end('x'));
    await expect(get('/a')).rejects.toEqual(failing('bad-response', false));
    await expect(get('/b')).rejects.toEqual(failing('bad-response', false));
  });

  it('does not read a body whose length is too large, nor on when one without a length becomes so', async () => {
    let sent = 0;
    server.paths.set('/a', (_, response) => {
      response.writeHead(200, { 'content-length': 10_000_000_000 });
      response.write('x');
    });
    server.paths.set('/b', (_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536))) sent += 65_536;
      };
      response.on('drain', more);
      more();
    });
    await expect(get('/a')).rejects.toEqual(failing('too-large', false));
    await expect(get('/b')).rejects.toEqual(failing('too-large', false));
    expect(sent).toBeLessThan(50_000_000);
  });

  it('takes a body that is shorter than its length as broken', async () => {
    server.paths.set('/a', (_, response) => {
      response.writeHead(200, { 'content-length': 1000 });
      response.write('short');
      setTimeout(() => response.destroy(), 20);
    });
    await expect(get('/a')).rejects.toEqual(failing('reset', true));
  });

  it('takes a connection that is closed without an answer as broken', async () => {
    server.paths.set('/a', (request) => request.socket.destroy());
    await expect(get('/a')).rejects.toEqual(failing('reset', true));
  });

  it('takes a body that is longer than its length as a bad response', async () => {
    const lying = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabcdefgh'));
    });
    await new Promise<void>((resolve) => lying.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(lying.address() as AddressInfo).port}/`;
    await expect(get(url)).rejects.toEqual(failing('bad-response', false));
    lying.close();
  });

  it('takes what is not HTTP as a bad response', async () => {
    const odd = createServer((socket) => socket.on('error', () => undefined).end('SSH-2.0-OpenSSH_9.6\r\n'));
    await new Promise<void>((resolve) => odd.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(odd.address() as AddressInfo).port}/`;
    await expect(get(url)).rejects.toEqual(failing('bad-response', false));
    odd.close();
  });

  it('gives up a server that is silent, before an answer and within one, and one that drips', async () => {
    server.paths.set('/a', () => undefined);
    server.paths.set('/b', (_, response) => response.writeHead(200).write('x'));
    server.paths.set('/c', (_, response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write('x'), 20);
      response.on('close', () => clearInterval(timer));
    });
    const silent = { timeoutMs: 150 };
    await expect(get('/a', silent)).rejects.toEqual(failing('timeout', true));
    await expect(get('/b', silent)).rejects.toEqual(failing('timeout', true));
    await expect(get('/c', silent)).rejects.toThrow('not done after 0.9 s');
  });

  it('follows redirects, also relative ones, but not without end or to other schemes', async () => {
    const image = await picture(3);
    const to = (location: string) => (_: unknown, response: import('node:http').ServerResponse) =>
      void response.writeHead(302, { location }).end();
    server.paths.set('/a', to('/b'));
    server.paths.set('/b', to(server.url('/c')));
    server.paths.set('/c', image);
    server.paths.set('/loop', to('/loop'));
    server.paths.set('/file', to('file:///etc/passwd'));
    server.paths.set('/odd', to('http://['));
    expect(Buffer.from(await get('/a')).equals(image)).toBe(true);
    await expect(get('/loop')).rejects.toEqual(failing('too-many-redirects', false));
    await expect(get('/file')).rejects.toEqual(failing('bad-url', false));
    await expect(get('/odd')).rejects.toEqual(failing('bad-url', false));
  });

  it('refuses private addresses, also behind a name and behind a redirect, without connecting', async () => {
    const guarded = { allowPrivate: false };
    await expect(get('/a', guarded)).rejects.toEqual(failing('private-address', false));
    const port = new URL(server.url('/')).port;
    await expect(get(`http://images.example:${port}/a`, guarded)).rejects.toThrow(
      'images.example is 127.0.0.1, which is no public address',
    );
    expect(server.seen).toEqual([]);
  });

  it.each(['X-Robots-Tag', 'x-robots-tag'])('honours %s unless told not to', async (name) => {
    server.paths.set('/a', (_, response) => {
      response.setHeader(name, ['nofollow', 'otherbot: noindex', 'capstan: noai']);
      response.end('bytes');
    });
    await expect(get('/a')).rejects.toThrow('X-Robots-Tag: capstan: noai');
    expect(Buffer.from(await get('/a', { ignoreOptOut: true })).toString()).toBe('bytes');
  });

  it('counts a server that is not there, and a name that is not', async () => {
    const resolve = async (name: string) => {
      throw Object.assign(new Error(`queryA ENOTFOUND ${name}`), { code: 'ENOTFOUND' });
    };
    await server.close();
    await expect(get('/a')).rejects.toEqual(failing('connect', true));
    await expect(get('http://gone.example/a', { resolve })).rejects.toEqual(failing('dns', false));
    server = await startImageServer();
  });

  it('ends at once when aborted', async () => {
    server.paths.set('/a', () => stop.abort(new Error('enough')));
    await expect(get('/a')).rejects.toThrow('enough');
  });
});
