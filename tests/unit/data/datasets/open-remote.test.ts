/** Data sets opened where servers keep them: the same rows as of a local copy, in few requests. */
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import S3rver from 's3rver';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type OpenOptions, openSource } from '../../../../src/data/datasets/open.js';
import { planBatches } from '../../../../src/data/loader.js';
import type { Source } from '../../../../src/data/sources/source.js';
import { Storage } from '../../../../src/data/storage/storage.js';
import { ConfigError, DataError } from '../../../../src/errors.js';
import { useCacheDirectory } from '../../../support/cache-directory.js';
import { writeNoiseShards } from '../../../support/noise-shards.js';
import { type RangeServer, startRangeServer } from '../../../support/range-server.js';
import { tarArchive } from '../../../support/tar.js';

const places = useCacheDirectory();
const at = (name: string): string => join(places.folder, name);
let server: RangeServer;
let storage: Storage;
const sources: Source[] = [];

const fast = { tries: 2, retryDelaySeconds: 0.01, timeoutSeconds: 2 };

beforeAll(async () => {
  await writeNoiseShards(at('arrow'), { numShards: 2, rowsPerShard: 24, groupRows: 12 });
  await writeNoiseShards(at('parquet'), { numShards: 2, rowsPerShard: 24, format: 'parquet' });
  await writeManifest('arrow');
});
beforeEach(async () => {
  server = await startRangeServer();
  storage = new Storage({ ...fast, cacheDir: at('blocks') });
});
afterEach(async () => {
  for (const source of sources.splice(0)) await source.close();
  await storage.close();
  await server.close();
  vi.unstubAllEnvs();
});

/** A manifest in a folder of its own, with the shards of one. */
async function writeManifest(folder: string): Promise<void> {
  const names = (await readdir(at(folder))).sort();
  const shards = await Promise.all(
    names.map(async (name, i) => {
      const bytes = (await readFile(at(`${folder}/${name}`))).length;
      const split = i === 0 ? 'train' : 'val';
      return { name, format: 'arrow', split, rows: 24, bytes, sha256: '0'.repeat(64) };
    }),
  );
  const manifest = {
    name: 'noise',
    version: 2,
    seed: 0,
    imageSize: 180,
    rows: 48,
    columns: [],
    splits: { train: 24, val: 24 },
    art: {},
    counts: {},
    settings: {},
    skipped: [],
    files: [],
    versions: {},
    shards,
  };
  await writeFile(at('dataset.json'), JSON.stringify(manifest));
}

async function opened(path: string, options: OpenOptions = {}): Promise<Source> {
  const source = await openSource(path, { storage, ...options });
  sources.push(source);
  return source;
}

async function serve(folder: string, under = '/'): Promise<void> {
  for (const name of await readdir(at(folder)))
    server.files.set(under + name, await readFile(at(`${folder}/${name}`)));
}

/** Rows as they compare quickly. */
async function digest(source: Source, indices: readonly number[]): Promise<unknown[]> {
  const rows = await source.readRows(indices, ['key', 'image', 'ssc']);
  const sum = (image: unknown): string =>
    createHash('sha256')
      .update(image as Uint8Array)
      .digest('hex');
  return rows.map((row) => ({ ...row, image: sum(row.image) }));
}

const all = (source: Source): number[] => [...Array(source.numRows).keys()];

describe('openSource of a web server', () => {
  it.each(['arrow', 'parquet'] as const)(
    'reads %s as of the local copy, with its fingerprint',
    async (format) => {
      await serve(format, '/a b/');
      const local = await opened(at(format));
      const remote = await opened(server.url(`/a%20b/train-{00000..00001}.${format}`));
      expect([remote.numRows, remote.columns, remote.shardRows]).toEqual([
        48,
        local.columns,
        local.shardRows,
      ]);
      expect(remote.fingerprint).toBe(local.fingerprint);
      expect(await digest(remote, all(remote))).toEqual(await digest(local, all(local)));
      expect([local.content, remote.content]).toEqual([
        undefined,
        { place: expect.stringMatching(/^[0-9a-f]{64}$/), tags: expect.stringMatching(/^[0-9a-f]{64}$/) },
      ]);
    },
  );

  it.each([
    ['arrow', 300_000],
    ['parquet', 140_000],
  ] as const)('opens %s by its ends and heads, and not its data', async (format, mostBytes) => {
    await serve(format);
    const cold = new Storage({ ...fast, cacheMiB: 0 });
    const source = await opened(server.url(`/train-{00000..00001}.${format}`), { storage: cold });
    const { numRequests, fetchedBytes } = cold.stats;
    expect(fetchedBytes).toBeLessThan(mostBytes);
    // One asks for size and version; Arrow has a start, an end, and heads of its batches; Parquet an end.
    expect(numRequests).toBeLessThanOrEqual(format === 'parquet' ? 4 : 8);
    await source.readRows([0, 1], ['key', 'image']);
    expect(cold.stats.fetchedBytes - fetchedBytes).toBeLessThan(2_200_000);
    await cold.close();
  });

  it('reads a folder by its manifest, and one file by its name, with what lets one in', async () => {
    await serve('arrow', '/set/');
    server.files.set('/set/dataset.json', await readFile(at('dataset.json')));
    const val = await opened(server.url('/set/'), { split: 'val' });
    expect(await val.readRows([0], ['key'])).toEqual([{ key: 'k24' }]);
    server.trick = ({ url }, response) => {
      if (url?.endsWith('?token=1')) return false;
      response.writeHead(403).end();
      return true;
    };
    const train = await opened(server.url('/set/?token=1'), { split: 'train' });
    expect(train.numRows).toBe(24);
    expect(train.path).toBe(server.url('/set/'));
    const one = await opened(server.url('/set/train-00001.arrow?token=1'), { split: 'train' });
    expect(await one.readRows([0], ['key'])).toEqual([{ key: 'k24' }]);
    await expect(opened(server.url('/set/train-00001.arrow'))).rejects.toThrow(/answered 403.*credentials/);
    await expect(opened(server.url('/set/?token=1'), { split: 'test' })).rejects.toThrow(
      /there is no split 'test'; present are train, val/,
    );
  });

  it('says what to do of a folder without a manifest, and names a shard that is missing or does not fit', async () => {
    await expect(opened(server.url('/set'))).rejects.toThrow(
      /\/set: .*a web server cannot be listed.*answers 404\. Name the shards, as in http:\S+\/set\/\{00000\.\.00099\}\.tar/,
    );
    await expect(opened(server.url('/set'))).rejects.toThrow(ConfigError);
    server.files.set('/set/dataset.json', await readFile(at('dataset.json')));
    await expect(opened(server.url('/set/'))).rejects.toThrow(
      /\/set\/train-0000[01]\.arrow: cannot be read: .*404/,
    );
    server.files.set(
      '/set/train-00000.arrow',
      (await readFile(at('arrow/train-00000.arrow'))).subarray(0, 99_999),
    );
    await expect(opened(server.url('/set/'), { split: 'train' })).rejects.toThrow(
      /\/set\/train-00000\.arrow: the shard is cut off or damaged/,
    );
    server.files.set('/set/dataset.json', Buffer.from('{}'));
    await expect(opened(server.url('/set/'))).rejects.toThrow(/dataset\.json: is not a data set's manifest/);
  });

  it('scans and unpacks what has no index, once, and anew when it changed', async () => {
    const rows = [1, 2, 3].map((i) => JSON.stringify({ key: `k${i}`, alt: `a${i}` })).join('\n');
    server.files.set('/a.jsonl.gz', gzipSync(rows));
    server.files.set('/b.tar', tarArchive({ name: 'x.txt', data: 'of the tar' }));
    server.files.set('/c.csv', Buffer.from('key,alt\nc,of the csv\n'));
    const readAll = async (name: string): Promise<unknown[]> => {
      const source = await opened(server.url(name));
      return source.readRows(all(source), source.columns);
    };
    const bodies = (): number => server.seen.filter(({ range }) => range !== 'bytes=0-0').length;
    const first = await Promise.all(['/a.jsonl.gz', '/b.tar', '/c.csv'].map(readAll));
    expect(first).toEqual([
      [1, 2, 3].map((i) => ({ key: `k${i}`, alt: `a${i}` })),
      [{ __key__: 'x', txt: 'of the tar' }],
      [{ key: 'c', alt: 'of the csv' }],
    ]);
    const before = bodies();
    await storage.close();
    storage = new Storage({ ...fast, cacheDir: at('blocks') });
    expect(await Promise.all(['/a.jsonl.gz', '/b.tar', '/c.csv'].map(readAll))).toEqual(first);
    expect(bodies()).toBe(before);
    server.files.set('/a.jsonl.gz', gzipSync('{"key":"new","alt":"b1"}'));
    expect(await readAll('/a.jsonl.gz')).toEqual([{ key: 'new', alt: 'b1' }]);
  });

  it('opens hundreds of shards many at a time', async () => {
    const names: string[] = [];
    for (let i = 0; i < 300; i++) {
      server.files.set(`/${String(i).padStart(4, '0')}.csv`, Buffer.from(`key,alt\nk${i},a\n`));
      names.push(`k${i}`);
    }
    // Answers are kept back until some are waited for, or nothing more comes.
    const waiting: (() => void)[] = [];
    let most = 0;
    let timer: NodeJS.Timeout | undefined;
    const answer = (): void => {
      for (const go of waiting.splice(0)) go();
    };
    server.trick = (request, response) => {
      waiting.push(() => server.serve(request, response));
      most = Math.max(most, waiting.length);
      clearTimeout(timer);
      if (waiting.length >= 12) answer();
      else timer = setTimeout(answer, 100);
      return true;
    };
    const source = await opened(server.url('/{0000..0299}.csv'));
    expect(await source.readColumn('key')).toEqual(names);
    expect(server.seen.length).toBeLessThanOrEqual(600);
    expect(most).toBe(12);
  });

  it('closes the storage that it made, also where it fails, and not one that was given', async () => {
    await serve('arrow');
    const source = await openSource(server.url('/train-00000.arrow'), { storage: { ...fast, cacheMiB: 0 } });
    await source.close();
    const late = source.readRows([0], ['image']).then(() => undefined);
    await expect(late).rejects.toThrow(/the storage was closed/);
    await expect(openSource(server.url('/none.arrow'), { storage: fast })).rejects.toThrow(/404/);
    const mine = await openSource(server.url('/train-00000.arrow'), { storage });
    await mine.close();
    expect((await storage.openFile(server.url('/train-00000.arrow'))).size).toBeGreaterThan(2_000_000);
    await expect(openSource(server.url('/x.arrow'), { storage: { tries: 0 } })).rejects.toThrow(
      'storage.tries is 0; it must be a whole number of at least 1.',
    );
  });

  it('gives the loader the batches of the local copy', async () => {
    await serve('parquet');
    const keysOf = async (source: string): Promise<string[]> => {
      const keys: string[] = [];
      const options = { captions: { alt: 1 }, batchSize: 8, seed: 3, epochs: 1, storage };
      for await (const batch of planBatches({ source, ...options })) keys.push(...batch.keys);
      return keys;
    };
    const keys = await keysOf(at('parquet'));
    expect(keys).toHaveLength(48);
    expect(await keysOf(server.url('/train-{00000..00001}.parquet'))).toEqual(keys);
  });
});

describe('images of a web server', () => {
  const rows = ['a b.png', 'gone.png', 'c#.png'].map((image, i) =>
    JSON.stringify({ id: `${i}`, image, alt: 'x' }),
  );
  const options = (): OpenOptions => ({
    columns: { key: 'id', image: 'image', alt: 'alt' },
    images: server.url('/pictures/?sig=1'),
  });

  beforeEach(async () => {
    await writeFile(at('rows.jsonl'), rows.join('\n'));
    server.files.set('/pictures/a b.png', Buffer.from('first'));
    server.files.set('/pictures/c#.png', Buffer.from('third'));
  });

  it('are found under names as they are, and one that is missing is a fault of its row', async () => {
    const source = await opened(at('rows.jsonl'), options());
    const read = await source.readRows([0, 1, 2], ['key', 'image']);
    expect(read.map(({ image }) => image && Buffer.from(image as Uint8Array).toString())).toEqual([
      'first',
      null,
      'third',
    ]);
    expect(JSON.stringify(read[1])).not.toContain('sig=1');
    expect(read[1]?.key).toBe('1');
  });

  it('that an outage keeps away are an error and no fault: to pass them over would change the samples', async () => {
    const source = await opened(at('rows.jsonl'), options());
    server.trick = (request, response) => {
      if (!request.url?.includes('c%23')) return false;
      response.writeHead(503).end();
      return true;
    };
    await expect(source.readRows([0, 1, 2], ['image'])).rejects.toThrow(
      /\/pictures\/c%23\.png: cannot be read: the server answered 503.*\(2 tries\)/,
    );
    await expect(source.readRows([2], ['image'])).rejects.toThrow(DataError);
    server.trick = undefined;
    expect((await source.readRows([2], ['image']))[0]?.image).toBeInstanceOf(Uint8Array);
  });
});

it('openSource takes file URLs', async () => {
  const source = await opened(pathToFileURL(at('arrow')).href, { split: 'train' });
  expect(source.fingerprint).toBe((await opened(at('arrow'), { split: 'train' })).fingerprint);
  const pattern = await opened(`${pathToFileURL(at('parquet')).href}/*-00001.parquet`);
  expect(await pattern.readRows([0], ['key'])).toEqual([{ key: 'k24' }]);
});

describe('openSource of S3', () => {
  const s3 = (): S3rver =>
    new S3rver({
      address: '127.0.0.1',
      port: 0,
      silent: true,
      directory: at('buckets'),
      configureBuckets: [{ name: 'data', configs: [] }],
    });
  let bucket: S3rver;
  let cloud: Storage;

  beforeAll(async () => {
    bucket = s3();
    const { port } = await bucket.run();
    const endpoint = `http://127.0.0.1:${port}`;
    const credentials = { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' };
    const writer = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
    const put = async (key: string, file: string): Promise<void> => {
      await writer.send(new PutObjectCommand({ Bucket: 'data', Key: key, Body: await readFile(at(file)) }));
    };
    for (const name of await readdir(at('arrow'))) {
      await put(`plain set/${name}`, `arrow/${name}`);
      await put(`listed/${name}`, `arrow/${name}`);
    }
    await put('listed/dataset.json', 'dataset.json');
    await put('plain set/notes.txt', 'dataset.json');
    writer.destroy();
    cloud = new Storage({ ...fast, cacheMiB: 0, s3: { endpoint } });
    process.env.AWS_ACCESS_KEY_ID = 'S3RVER';
    process.env.AWS_SECRET_ACCESS_KEY = 'S3RVER';
  });
  afterAll(async () => {
    delete process.env.AWS_ACCESS_KEY_ID;
    delete process.env.AWS_SECRET_ACCESS_KEY;
    await cloud.close();
    await bucket.close();
  });

  it('reads a folder by its list, with or without a slash, patterns, one file, and a manifest', async () => {
    const local = await opened(at('arrow'));
    const paths = ['plain set', 'plain set/', 'plain set/*.arrow', 'plain set/train-{00000,00001}.arrow'];
    for (const path of paths) {
      const source = await opened(`s3://data/${path}`, { storage: cloud });
      expect(source.fingerprint, path).toBe(local.fingerprint);
      expect(await digest(source, [47, 0])).toEqual(await digest(local, [47, 0]));
    }
    const one = await opened('s3://data/plain set/train-00001.arrow', { storage: cloud });
    expect(await one.readRows([0], ['key'])).toEqual([{ key: 'k24' }]);
    const val = await opened('s3://data/listed', { storage: cloud, split: 'val' });
    expect(await val.readRows([0], ['key'])).toEqual([{ key: 'k24' }]);
  });

  it('says where there is nothing', async () => {
    await expect(opened('s3://data/none', { storage: cloud })).rejects.toThrow(
      /s3:\/\/data\/none\/: there are no files/,
    );
    await expect(opened('s3://data/', { storage: cloud })).rejects.toThrow(
      /s3:\/\/data\/: there are no files/,
    );
  });
});
