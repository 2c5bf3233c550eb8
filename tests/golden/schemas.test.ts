/**
 * Files laid out as the public data sets are, written by pyarrow, tarfile, csv and json (tools/golden/make_schemas.py),
 * against what the generator says is in them.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type OpenOptions, openSource } from '../../src/data/datasets/open.js';
import { createLoader } from '../../src/data/loader.js';
import type { CaptionMix } from '../../src/data/mixing.js';
import { captionKinds, type Row, rowFault, type Value } from '../../src/data/schema.js';
import { schemaNames } from '../../src/data/schemas/registry.js';
import type { Source } from '../../src/data/sources/source.js';

interface Expected {
  readonly schema: string;
  readonly files: readonly string[];
  readonly split: string;
  /** Relative to the data set's folder. */
  readonly images?: string;
  /** An image stands as its SHA-256. */
  readonly rows: readonly Readonly<Record<string, Value>>[];
}

const root = fileURLToPath(new URL('data/schemas/', import.meta.url));
const names = readdirSync(root, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);
const expectedOf = (name: string): Expected => JSON.parse(readFileSync(join(root, `${name}.json`), 'utf8'));

let cache: string;

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'capstan-schemas-'));
  vi.stubEnv('CAPSTAN_CACHE', cache); // where the indexes of text files are kept
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(cache, { recursive: true });
});

function open(name: string, options: OpenOptions = {}): Promise<Source> {
  const { split, images } = expectedOf(name);
  return openSource(join(root, name), {
    split,
    ...(images === undefined ? {} : { images: join(root, name, images) }),
    ...options,
  });
}

async function readAll(source: Source, columns: readonly string[]): Promise<Row[]> {
  return source.readRows([...Array(source.numRows).keys()], columns);
}

const comparable = (row: Row): Record<string, Value> =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => {
      if (value instanceof Uint8Array) return [name, createHash('sha256').update(value).digest('hex')];
      return [name, typeof value === 'bigint' ? Number(value) : value];
    }),
  );

describe.each(names)('%s', (name) => {
  const { schema, rows } = expectedOf(name);
  const columns = Object.keys(rows[0] ?? {});

  it.each([
    ['found by its columns', {}],
    ['named', { schema }],
  ])('is read, %s', async (_, options: OpenOptions) => {
    const source = await open(name, options);
    expect(source.schema).toBe(schema);
    const found = await readAll(source, columns);
    expect(found.map(rowFault)).toEqual(rows.map(() => undefined));
    expect(found.map(comparable)).toEqual(rows);
    for (const column of columns) {
      const values = await source.readColumn(column);
      expect(values.map((value) => comparable({ value }).value)).toEqual(rows.map((row) => row[column]));
    }
  });

  it('has the caption kinds that the data set has, and no others', async () => {
    const source = await open(name);
    const kinds = captionKinds.filter((kind) => source.columns.includes(kind));
    expect(kinds).toEqual(captionKinds.filter((kind) => columns.includes(kind)));
  });
});

it('covers every schema', () => {
  const covered = new Set(names.map((name) => expectedOf(name).schema));
  expect(schemaNames.filter((name) => !covered.has(name))).toEqual(['capstan', 'custom']);
});

describe('a loader', () => {
  it.each<[string, CaptionMix, OpenOptions]>([
    ['coyo-hd', { alt: 0.4, ssc: 0.3, dsc: 0.3 }, {}],
    ['cc12m-llavanext', { alt: 0.4, ssc: 0.3, dsc: 0.3 }, {}],
    ['dreamlip', { alt: 0.4, ssc: 0.3, 'dsc+': 0.3 }, {}],
    ['webdataset', { alt: 0.5, ssc: 0.5 }, { schema: 'webdataset', columns: { ssc: 'org_caption' } }],
  ])('mixes the captions of %s', async (name, captions, options) => {
    const source = await open(name, options);
    const texts = new Map(
      (await readAll(source, ['key', ...Object.keys(captions)])).map((row) => [String(row.key), row]),
    );
    vi.unstubAllEnvs(); // the tokenizer's file is in the cache
    const loader = await createLoader({
      source,
      captions,
      batchSize: 6,
      imageSize: 8,
      contextLength: 32,
      seed: 1,
      transform: 'train',
      workers: 0,
    });
    const drawn = new Set<string>();
    for (let epoch = 0; epoch < 8; epoch++) {
      const batch = await loader.next();
      expect(batch.skipped).toEqual([]);
      expect(new Set(batch.keys).size).toBe(6);
      for (const [i, key] of batch.keys.entries()) {
        const kind = batch.kinds[i] as string;
        expect([texts.get(key)?.[kind]].flat()).toContain(batch.captions[i]);
        drawn.add(kind);
      }
    }
    expect([...drawn].sort()).toEqual(Object.keys(captions).sort());
    await loader.close();
    await source.close();
  });
});
