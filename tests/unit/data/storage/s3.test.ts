import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import S3rver from 's3rver';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Storage } from '../../../../src/data/storage/storage.js';
import { noise } from '../../../support/wheel-index.js';

const body = noise(2_500_000);
const folder = mkdtempSync(join(tmpdir(), 'capstan-s3-'));
const server = new S3rver({
  address: '127.0.0.1',
  port: 0,
  silent: true,
  directory: join(folder, 'buckets'),
  configureBuckets: [{ name: 'data', configs: [] }],
});
let endpoint: string;
let writer: S3Client;
const storages: Storage[] = [];

beforeAll(async () => {
  const { port } = await server.run();
  endpoint = `http://127.0.0.1:${port}`;
  writer = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' },
  });
  await put('cc/00000.tar', body);
  for (const key of [
    'cc/00001.tar',
    'cc/00002.tar',
    'cc/.hidden',
    'cc/a b+ü%.tar',
    'cc/deep/9.tar',
    'cc10.tar',
  ]) {
    await put(key, noise(100));
  }
});
afterEach(async () => {
  await Promise.all(storages.splice(0).map((storage) => storage.close()));
  vi.unstubAllEnvs();
});
afterAll(async () => {
  writer.destroy();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

async function put(key: string, content: Uint8Array): Promise<void> {
  await writer.send(new PutObjectCommand({ Bucket: 'data', Key: key, Body: content }));
}

/** A storage that knows the server by AWS's own variables, as a user's would. */
function storageOfEnvironment(tries = 2): Storage {
  vi.stubEnv('AWS_ENDPOINT_URL_S3', endpoint);
  vi.stubEnv('AWS_DEFAULT_REGION', 'us-east-1');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'S3RVER');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'S3RVER');
  return kept(
    new Storage({ cacheDir: join(folder, 'cache'), tries, retryDelaySeconds: 0.01, readAheadMiB: 0 }),
  );
}

function kept(storage: Storage): Storage {
  storages.push(storage);
  return storage;
}

const shardsOf = (files: readonly { path: string }[]): string[] => files.map(({ path }) => path);

describe('objects of S3', () => {
  it('are read by ranges', async () => {
    const file = await storageOfEnvironment().openFile('s3://data/cc/00000.tar');
    expect(file.size).toBe(body.length);
    expect(file.version).toMatch(/^"[0-9a-f]{32}"$/);
    const bytes = await file.read(1_000_000, 1_200_000);
    expect(Buffer.compare(bytes, body.subarray(1_000_000, 2_200_000))).toBe(0);
  });

  it('are listed by folder, wildcard and braces, with sizes, in order', async () => {
    const storage = storageOfEnvironment();
    const inFolder = ['s3://data/cc/00000.tar', 's3://data/cc/00001.tar', 's3://data/cc/00002.tar'];
    const odd = 's3://data/cc/a b+ü%.tar';
    expect(shardsOf(await storage.listFiles('s3://data/cc/'))).toEqual([...inFolder, odd]);
    expect(shardsOf(await storage.listFiles('s3://data/cc'))).toEqual([...inFolder, odd]);
    expect(shardsOf(await storage.listFiles('s3://data/*.tar'))).toEqual(['s3://data/cc10.tar']);
    expect(shardsOf(await storage.listFiles('s3://data/**/[09]*.tar'))).toEqual([
      ...inFolder,
      's3://data/cc/deep/9.tar',
    ]);
    const braces = await storage.listFiles('s3://data/cc/{00002..00000}.tar');
    expect(shardsOf(braces)).toEqual([...inFolder].reverse());
    expect(braces.map(({ size }) => size)).toEqual([100, 100, body.length]);
  });

  it('are opened from a listing without asking again, by any name', async () => {
    const storage = storageOfEnvironment();
    const files = await storage.listFiles('s3://data/cc/');
    const { numRequests } = storage.stats;
    const file = await (files[3] as (typeof files)[0]).open();
    expect(Buffer.compare(await file.read(0, 100), noise(100))).toBe(0);
    expect(storage.stats.numRequests).toBe(numRequests + 1);
  });

  it('are an error when they were changed, and never a mixture', async () => {
    await put('moving.tar', body);
    const file = await storageOfEnvironment().openFile('s3://data/moving.tar');
    await file.read(0, 10);
    await put('moving.tar', noise(body.length, 5));
    await expect(file.read(2_000_000, 10)).rejects.toThrow(/s3:\/\/data\/moving\.tar: the file was changed/);
  });

  it('are an error when the server refuses the tag with which they were opened', async () => {
    const tags: (string | undefined)[] = [];
    const moved = createServer((request, response) => {
      tags.push(request.headers['if-match']);
      response.writeHead(request.method === 'HEAD' ? 200 : 412, { 'content-length': 7, etag: '"1"' });
      response.end('<a></a>');
    });
    await new Promise<void>((resolve) => moved.listen(0, '127.0.0.1', resolve));
    const storage = storageOfEnvironment();
    vi.stubEnv('AWS_ENDPOINT_URL_S3', `http://127.0.0.1:${(moved.address() as AddressInfo).port}`);
    const file = await storage.openFile('s3://data/x');
    await expect(file.read(0, 7)).rejects.toThrow(/the file was changed/);
    expect(tags).toEqual([undefined, '"1"']);
    moved.closeAllConnections();
    moved.close();
  });

  it.each([
    [
      's3://data/none.tar',
      /none\.tar: cannot be read: the server answered 404.*\(1 try\).*Check the address/,
    ],
    ['s3://nobucket/x.tar', /answered 404/],
    ['s3://data/none*.tar', /there are no files/],
    ['s3:///x', /Write s3:\/\/BUCKET\/KEY/],
  ])('%s is an error that says what to do', async (url, error) => {
    await expect(storageOfEnvironment().listFiles(url)).rejects.toThrow(error);
  });

  it('need credentials, or the option to go without', async () => {
    const refusing = createServer((request, response) => {
      response.writeHead(request.headers.authorization === undefined ? 200 : 403, {
        'content-length': 7,
        etag: '"1"',
      });
      response.end();
    });
    await new Promise<void>((resolve) => refusing.listen(0, '127.0.0.1', resolve));
    const s3 = {
      endpoint: `http://127.0.0.1:${(refusing.address() as AddressInfo).port}`,
      region: 'eu-west-1',
    };
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    vi.stubEnv('AWS_CONFIG_FILE', '/dev/null');
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/dev/null');
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE'])
      vi.stubEnv(name, undefined);
    const bare = kept(new Storage({ cacheMiB: 0, s3 }));
    await expect(bare.openFile('s3://public/x')).rejects.toThrow(
      /no AWS credentials.*s3\.anonymous.*\(1 try\)/,
    );
    const anonymous = kept(new Storage({ cacheMiB: 0, s3: { ...s3, anonymous: true } }));
    expect((await anonymous.openFile('s3://public/x')).size).toBe(7);
    refusing.closeAllConnections();
    refusing.close();
  });

  it('are asked for again when the server says to slow down, and given up after the tries', async () => {
    let calls = 0;
    const busy = createServer((_request, response) => {
      calls++;
      response.writeHead(503).end();
    });
    await new Promise<void>((resolve) => busy.listen(0, '127.0.0.1', resolve));
    const storage = storageOfEnvironment(3);
    vi.stubEnv('AWS_ENDPOINT_URL_S3', `http://127.0.0.1:${(busy.address() as AddressInfo).port}`);
    await expect(storage.openFile('s3://data/x')).rejects.toThrow(/answered 503.*\(3 tries\)/);
    expect(calls).toBe(3);
    busy.closeAllConnections();
    busy.close();
  });
});
