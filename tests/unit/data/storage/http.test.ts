import { mkdtempSync, rmSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StorageOptions } from '../../../../src/data/storage/options.js';
import { Storage } from '../../../../src/data/storage/storage.js';
import type { StoredFile } from '../../../../src/data/storage/stored-file.js';
import { DataError } from '../../../../src/errors.js';
import { keptBlocks } from '../../../support/kept-blocks.js';
import { etagOf, type RangeServer, rangeOf, startRangeServer } from '../../../support/range-server.js';
import { noise } from '../../../support/wheel-index.js';

const MIB = 1_048_576;
const body = noise(5 * MIB + 12_345);
let server: RangeServer;
let cacheDir: string;
const storages: Storage[] = [];

beforeEach(async () => {
  server = await startRangeServer();
  server.files.set('/a.bin', body);
  cacheDir = mkdtempSync(join(tmpdir(), 'capstan-blocks-'));
});
afterEach(async () => {
  await Promise.all(storages.splice(0).map((storage) => storage.close()));
  await server.close();
  rmSync(cacheDir, { recursive: true, force: true });
});

function storageWith(options: StorageOptions = {}): Storage {
  const storage = new Storage({
    cacheDir,
    cacheMiB: 256,
    readAheadMiB: 0,
    tries: 3,
    retryDelaySeconds: 0.01,
    ...options,
  });
  storages.push(storage);
  return storage;
}

async function sameBytes(file: StoredFile, offset: number, length: number): Promise<void> {
  const bytes = await file.read(offset, length);
  expect(Buffer.compare(bytes, body.subarray(offset, offset + length))).toBe(0);
}

/** Reads with a trick in force, which begins after the file was opened. */
async function readUnder(trick: RangeServer['trick'], options: StorageOptions = {}): Promise<Uint8Array> {
  const file = await storageWith(options).openFile(server.url('/a.bin'));
  server.trick = trick;
  return file.read(0, 100);
}

function partial(response: ServerResponse, range: string, bytes: Uint8Array, etag = etagOf(body)): true {
  response.writeHead(206, { etag, 'content-range': range, 'content-length': bytes.length }).end(bytes);
  return true;
}

describe('a file on a web server', () => {
  it('has the size and version that the server tells, and any range of its bytes', async () => {
    const file = await storageWith().openFile(server.url('/a.bin?signature=secret'));
    expect(file.size).toBe(body.length);
    expect(file.version).toBe(etagOf(body));
    expect(file.path).toBe(server.url('/a.bin'));
    await sameBytes(file, 0, 10);
    await sameBytes(file, MIB - 5, 10);
    await sameBytes(file, 0, body.length);
    await sameBytes(file, body.length - 3, 3);
    expect(await file.read(17, 0)).toEqual(new Uint8Array(0));
    await expect(file.read(body.length - 3, 4)).rejects.toThrow(/cut off or damaged/);
  });

  it('gives the caller bytes of its own', async () => {
    const file = await storageWith().openFile(server.url('/a.bin'));
    (await file.read(0, 10)).fill(0);
    await sameBytes(file, 0, 10);
  });

  it('may be empty', async () => {
    server.files.set('/empty', new Uint8Array(0));
    expect((await storageWith().openFile(server.url('/empty'))).size).toBe(0);
  });

  it('is fetched once for readers at the same time, and neighbouring blocks by one request', async () => {
    const file = await storageWith().openFile(server.url('/a.bin'));
    const before = server.seen.length;
    await Promise.all([sameBytes(file, 0, 3 * MIB), sameBytes(file, 100, 50), sameBytes(file, MIB, MIB)]);
    expect(server.seen.slice(before).map(({ range }) => range)).toEqual([`bytes=0-${3 * MIB - 1}`]);
  });

  it('is read ahead for a reader that goes through it, and not for one that jumps about', async () => {
    const ordered = await storageWith({ readAheadMiB: 4, cacheMiB: 0 }).openFile(server.url('/a.bin'));
    for (let at = 0; at < 2 * MIB; at += MIB / 2) await sameBytes(ordered, at, MIB / 2);
    await expect.poll(() => highestByte(server)).toBeGreaterThan(3 * MIB);
    server.seen.length = 0;
    const jumping = await storageWith({ readAheadMiB: 4, cacheMiB: 0 }).openFile(server.url('/a.bin'));
    await sameBytes(jumping, 4 * MIB, 10);
    await sameBytes(jumping, 2 * MIB, 10);
    expect(server.seen.map(({ range }) => range)).toEqual([
      'bytes=0-0',
      `bytes=${4 * MIB}-${5 * MIB - 1}`,
      `bytes=${2 * MIB}-${3 * MIB - 1}`,
    ]);
  });

  it('comes from the disk the second time', async () => {
    await sameBytes(await storageWith().openFile(server.url('/a.bin')), 0, body.length);
    await expect.poll(() => keptBlocks(cacheDir)).toHaveLength(6);
    const again = storageWith();
    await sameBytes(await again.openFile(server.url('/a.bin')), 0, body.length);
    expect(again.stats).toMatchObject({ fetchedBytes: 0, disk: { hits: 6, misses: 0, damaged: 0 } });
  });

  it('is asked for anew when its version is another', async () => {
    await sameBytes(await storageWith().openFile(server.url('/a.bin')), 0, 10);
    const other = noise(body.length, 7);
    server.files.set('/a.bin', other);
    const file = await storageWith().openFile(server.url('/a.bin'));
    expect(Buffer.compare(await file.read(0, 10), other.subarray(0, 10))).toBe(0);
  });

  it('is not kept if the server tells no version', async () => {
    server.trick = (request, response) => {
      const [start, end] = (request.headers.range as string).replace('bytes=', '').split('-').map(Number) as [
        number,
        number,
      ];
      const range = rangeOf(start, end, body.length);
      response.writeHead(206, { 'content-range': range }).end(body.subarray(start, end + 1));
      return true;
    };
    const first = storageWith();
    const file = await first.openFile(server.url('/a.bin'));
    await sameBytes(file, 0, 10);
    expect(first.stats.disk).toMatchObject({ hits: 0, misses: 0 });
    expect((await storageWith().openFile(server.url('/a.bin'))).version).not.toBe(file.version);
  });
});

describe('a server that fails', () => {
  it('is asked again after 503, a reset and an early end', async () => {
    let calls = 0;
    const bytes = await readUnder((request, response) => {
      calls++;
      if (calls === 1) response.writeHead(503).end();
      else if (calls === 2) request.socket.resetAndDestroy();
      else return false;
      return true;
    });
    expect(Buffer.compare(bytes, body.subarray(0, 100))).toBe(0);
    expect(calls).toBe(3);
    calls = 0;
    server.trick = undefined;
    await readUnder(
      (_request, response) => {
        if (calls++ === 1) return false;
        const headers = {
          etag: etagOf(body),
          'content-range': rangeOf(0, MIB - 1, body.length),
          'content-length': MIB,
        };
        response.writeHead(206, headers).write(body.subarray(0, 1000), () => response.destroy());
        return true;
      },
      { cacheMiB: 0 },
    );
    expect(calls).toBe(2);
  });

  it('is given up after the tries that the option allows, with all that is needed to go on', async () => {
    let calls = 0;
    const failing = readUnder((_request, response) => {
      calls++;
      response.writeHead(503, 'Service Unavailable').end();
      return true;
    });
    await expect(failing).rejects.toThrow(DataError);
    await expect(failing).rejects.toThrow(
      /^http:.*\/a\.bin: cannot be read: the server answered 503 Service Unavailable \(3 tries\)\. Check the network.*tries\.$/,
    );
    expect(calls).toBe(3);
  });

  it('is read again after a failure', async () => {
    const file = await storageWith({ tries: 1 }).openFile(server.url('/a.bin'));
    server.trick = (_request, response) => Boolean(response.writeHead(500).end());
    await expect(file.read(0, 10)).rejects.toThrow('500');
    server.trick = undefined;
    await sameBytes(file, 0, 10);
  });

  it('is left alone for as long as it asks', async () => {
    let askedAt = 0;
    let waitedMs = 0;
    await readUnder((_request, response) => {
      waitedMs = performance.now() - askedAt;
      if (askedAt > 0) return false;
      askedAt = performance.now();
      response.writeHead(429, { 'retry-after': '1' }).end();
      return true;
    });
    expect(waitedMs).toBeGreaterThan(990);
  });

  it('is not waited for during a day', async () => {
    const file = await storageWith().openFile(server.url('/a.bin'));
    server.trick = (_request, response) => Boolean(response.writeHead(429, { 'retry-after': '86400' }).end());
    await expect(file.read(0, 10)).rejects.toThrow(/429.*\(1 try\).*asks to wait 86400 s/);
  });

  it.each([
    ['before the answer', (): boolean => true],
    [
      'within it',
      (_request: unknown, response: ServerResponse): boolean => {
        const range = rangeOf(0, MIB - 1, body.length);
        response.writeHead(206, { etag: etagOf(body), 'content-range': range, 'content-length': MIB });
        response.write(body.subarray(0, 1000));
        return true;
      },
    ],
  ])('is given up when it stalls %s', async (_when, trick) => {
    const stalled = readUnder(trick, { tries: 2, timeoutSeconds: 0.1 });
    await expect(stalled).rejects.toThrow(/(silent|stalled).*\(2 tries\)/);
  });

  it.each([
    [404, 'Check the address'],
    [403, 'credentials'],
  ])('is asked once if it answers %d', async (status, advice) => {
    server.trick = (_request, response) => Boolean(response.writeHead(status).end());
    await expect(storageWith().openFile(server.url('/a.bin'))).rejects.toThrow(advice);
    expect(server.seen).toHaveLength(1);
  });
});

describe('a server that does not tell the truth', () => {
  const first = rangeOf(0, MIB - 1, body.length);
  it.each<[string, RegExp, (response: ServerResponse) => boolean]>([
    [
      'ignores the range',
      /got the whole file/,
      (r) => Boolean(r.writeHead(200, { etag: etagOf(body) }).end(body)),
    ],
    [
      'sends another range',
      /got bytes 5-104/,
      (r) => partial(r, rangeOf(5, 104, body.length), body.subarray(5, 105)),
    ],
    [
      'sends less than asked',
      /got bytes 0-99/,
      (r) => partial(r, rangeOf(0, 99, body.length), body.subarray(0, 100)),
    ],
    ['sends more than it says', /got more/, (r) => partial(r, first, body.subarray(0, MIB + 1))],
    [
      'names no range',
      /no Content-Range/,
      (r) => Boolean(r.writeHead(206, { etag: etagOf(body) }).end(body)),
    ],
    [
      'compresses the range',
      /got them as gzip/,
      (r) =>
        Boolean(
          r
            .writeHead(206, { etag: etagOf(body), 'content-range': first, 'content-encoding': 'gzip' })
            .end('x'),
        ),
    ],
  ])('%s: an error, at once', async (_what, error, trick) => {
    await expect(readUnder((_request, response) => trick(response))).rejects.toThrow(error);
    expect(server.seen).toHaveLength(2);
  });

  it('sends less than it says, again and again', async () => {
    const trick = (_request: unknown, response: ServerResponse): boolean =>
      Boolean(
        response.writeHead(206, { etag: etagOf(body), 'content-range': first }).end(body.subarray(0, 9)),
      );
    await expect(readUnder(trick)).rejects.toThrow(/ended after 9 of 1048576 bytes \(3 tries\)/);
  });

  it('ignores ranges from the beginning', async () => {
    server.trick = (_request, response) => Boolean(response.end(body));
    await expect(storageWith().openFile(server.url('/a.bin'))).rejects.toThrow(/byte ranges.*Copy the file/);
  });
});

describe('a file that is changed while it is read', () => {
  it.each([
    ['the server checks the tag', (): undefined => undefined],
    [
      'only the answer tells',
      () =>
        (_request: unknown, response: ServerResponse): boolean =>
          partial(response, rangeOf(2 * MIB, 3 * MIB - 1, body.length), noise(MIB, 3), '"other"'),
    ],
    [
      'only its size tells',
      () =>
        (_request: unknown, response: ServerResponse): boolean =>
          partial(response, rangeOf(2 * MIB, 3 * MIB - 1, 4 * MIB), noise(MIB, 3)),
    ],
  ])('is an error and never a mixture: %s', async (_how, trick) => {
    const file = await storageWith().openFile(server.url('/a.bin'));
    await sameBytes(file, 0, 10);
    server.trick = trick();
    server.files.set('/a.bin', noise(body.length, 9));
    await expect(file.read(2 * MIB, 10)).rejects.toThrow(/changed while it was read: opened with/);
    expect(server.seen.at(-1)?.headers['if-match']).toBe(etagOf(body));
  });
});

describe('redirects', () => {
  it('are followed, remembered, and asked for anew when they expire', async () => {
    let secret = 1;
    server.trick = (request, response) => {
      const url = new URL(request.url as string, 'http://localhost');
      if (url.pathname === '/old') response.writeHead(302, { location: `/a.bin?secret=${secret}` }).end();
      else if (url.searchParams.get('secret') !== `${secret}`) response.writeHead(403).end();
      else return false;
      return true;
    };
    const file = await storageWith().openFile(server.url('/old'));
    await sameBytes(file, 0, 10);
    await sameBytes(file, 2 * MIB, 10);
    expect(server.seen.map(({ path }) => path)).toEqual(['/old', '/a.bin', '/a.bin', '/a.bin']);
    secret = 2;
    await sameBytes(file, 4 * MIB, 10);
  });

  it('do not take the password along to another server', async () => {
    const other = await startRangeServer();
    other.files.set('/a.bin', body);
    server.trick = (_request, response) =>
      Boolean(response.writeHead(307, { location: other.url('/a.bin') }).end());
    const url = new URL(server.url('/a.bin'));
    url.username = 'me';
    url.password = 'secret';
    const file = await storageWith().openFile(url.href);
    await sameBytes(file, 0, 10);
    expect(file.path).not.toContain('secret');
    expect(server.seen[0]?.headers.authorization).toBe(
      `Basic ${Buffer.from('me:secret').toString('base64')}`,
    );
    expect(other.seen.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined]);
    await other.close();
  });
});

function highestByte({ seen }: RangeServer): number {
  return Math.max(...seen.map(({ range }) => Number(range?.split('-')[1] ?? 0)));
}
