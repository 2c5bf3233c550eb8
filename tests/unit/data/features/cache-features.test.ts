import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type CacheFeaturesOptions,
  type CacheProgress,
  cacheFeatures,
} from '../../../../src/data/features/cache-features.js';
import { readFeatures } from '../../../../src/data/features/read-features.js';
import { openFeatures } from '../../../../src/data/features/store.js';
import { evalTransform, trainTransform } from '../../../../src/data/image/transforms.js';
import { createLoader } from '../../../../src/data/loader.js';
import type { Row } from '../../../../src/data/schema.js';
import { ClipTokenizer } from '../../../../src/data/text/clip-tokenizer.js';
import { ConfigError, DataError, ShapeError } from '../../../../src/errors.js';
import { KeyedRandom } from '../../../../src/rng.js';
import { MemorySource, sampleRows } from '../../../support/memory-source.js';

const root = mkdtempSync(join(tmpdir(), 'capstan-features-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let count = 0;
const newPath = (): string => join(root, `${count++}`);
let rows: Row[];
beforeAll(async () => {
  rows = (await sampleRows(10)).map((row, i) => ({ ...row, label: `class ${i % 3}` }));
});

const SIZE = 8;
const PIXELS = SIZE * SIZE * 3;

/** The pixels themselves. */
const asPixels = {
  kind: 'image' as const,
  imageSize: SIZE,
  encode: async (pixels: Uint8Array) => Float32Array.from(pixels),
};

const options = (change: Partial<CacheFeaturesOptions> = {}): CacheFeaturesOptions => ({
  source: new MemorySource(rows),
  out: newPath(),
  input: asPixels,
  madeOf: { model: 'm' },
  shape: [SIZE, SIZE, 3],
  batchSize: 3,
  workers: 0,
  shardRows: 4,
  ...change,
});

describe('cacheFeatures', () => {
  it('keeps what the encoder makes of images as evaluations see them', async () => {
    const given = options();
    const progress: CacheProgress[] = [];
    const result = await cacheFeatures({ ...given, onProgress: (step) => progress.push(step) });
    expect(result).toEqual({ rows: 10, numRows: 10, broken: 0, noCaption: 0, embedded: 10, finished: true });
    expect(progress.map((step) => step.rows)).toEqual([3, 4, 7, 8, 10]);
    const store = await openFeatures(given.out);
    expect(store.madeOf).toEqual({ model: 'm', input: 'image', imageSize: SIZE, transform: 'eval' });
    for (const row of [9, 0, 4]) {
      const expected = await evalTransform(rows[row]?.image as Uint8Array, SIZE);
      expect([...(await store.read([row]))]).toEqual([...expected]);
    }
    await store.close();
    expect(await cacheFeatures(given)).toMatchObject({ embedded: 0, finished: true });
  });

  it('keeps as variants the crops that training draws in as many epochs', async () => {
    const given = options({ variants: 3, seed: 5, dtype: 'float16' });
    await cacheFeatures(given);
    const store = await openFeatures(given.out);
    expect(store.madeOf).toMatchObject({ transform: 'train, crops of 0.9 to 1', seed: 5 });
    for (const variant of [0, 1, 2]) {
      const random = new KeyedRandom(5, 'crop', variant, 'k6');
      const expected = await trainTransform(rows[6]?.image as Uint8Array, SIZE, random);
      expect([...(await store.read([6], [variant]))]).toEqual([...expected]);
    }
    await store.close();
  });

  it('embeds captions of a kind, and notes the rows that have none', async () => {
    const source = new MemorySource(rows.map((row, i) => (i === 4 ? { ...row, alt: ' ' } : row)));
    const input = {
      kind: 'text' as const,
      caption: 'alt' as const,
      contextLength: 8,
      encode: async (tokens: Int32Array) => Float32Array.from(tokens),
    };
    const given = options({ source, input, shape: [8], maxSkipRatio: 0 });
    expect(await cacheFeatures(given)).toMatchObject({ broken: 0, noCaption: 1 });
    const store = await openFeatures(given.out);
    expect(store.numNoCaption).toBe(1);
    const tokenizer = await ClipTokenizer.load();
    const expected = tokenizer.encodeBatch(['a photo number 7'], 8).tokens;
    expect([...(await store.read([7]))]).toEqual([...expected]);
    await expect(store.read([4])).rejects.toThrow('It has no caption of kind alt.');
    // A loader passes over such a row as one without a caption.
    const loader = await createLoader({
      source,
      features: store,
      contextLength: 8,
      captions: { ssc: 1 },
      batchSize: 9,
      seed: 0,
      epochs: 1,
      maxSkipRatio: 0,
    });
    expect(await loader.next()).toMatchObject({ noCaption: ['k4'], skipped: [] });
    await loader.close();
    await store.close();
  });

  it('notes broken rows and gives up at one too many', async () => {
    const images = [null, Uint8Array.of(1, 2, 3)];
    const source = new MemorySource(
      rows.map((row, i) => ({ ...row, image: images[i - 5] ?? (i === 5 ? null : row.image) })) as Row[],
    );
    const told: string[] = [];
    const given = options({ source, maxSkipRatio: 0.2, onSkip: ({ key }) => told.push(key) });
    expect(await cacheFeatures(given)).toMatchObject({ rows: 10, broken: 2 });
    expect(told).toEqual(['k5', 'k6']);
    const { keys, labels, features } = await readFeatures(given.out, { source, column: 'label' });
    expect(keys).toEqual(['k0', 'k1', 'k2', 'k3', 'k4', 'k7', 'k8', 'k9']);
    expect(labels).toEqual([0, 1, 2, 0, 1, 1, 2, 0].map((label) => `class ${label}`));
    const last = await evalTransform(rows[9]?.image as Uint8Array, SIZE);
    expect([...features.subarray(7 * PIXELS)]).toEqual([...last]);
    const strict = options({ source, maxSkipRatio: 0.1 });
    await expect(cacheFeatures(strict)).rejects.toThrow(
      /broken samples: 2, more than the 1 of 10 that maxSkipRatio = 0\.1 allows/,
    );
    await expect(cacheFeatures(strict)).rejects.toThrow(DataError); // and again where it is gone on with
  });

  it('says what is wrong: the encoder, the columns, another model, other options', async () => {
    const wrong = options({ input: { ...asPixels, encode: async () => new Float32Array(7) } });
    await expect(cacheFeatures(wrong)).rejects.toThrow(ShapeError);
    await expect(cacheFeatures(wrong)).rejects.toThrow(
      'The encoder returned 7 numbers for 3 rows of shape [8, 8, 3]',
    );
    const text = {
      kind: 'text' as const,
      caption: 'dsc' as const,
      contextLength: 8,
      encode: async () => new Float32Array(0),
    };
    await expect(cacheFeatures(options({ input: text }))).rejects.toThrow("no column 'dsc'");
    const given = options();
    await cacheFeatures(given);
    await expect(cacheFeatures({ ...given, madeOf: { model: 'n' } })).rejects.toThrow(
      'made of model: is "m", expected "n"',
    );
    await expect(cacheFeatures({ ...given, variants: 2 })).rejects.toThrow(/variants: is 1, expected 2/);
    await expect(cacheFeatures({ ...given, batchSize: 0 })).rejects.toThrow(ConfigError);
    const other = new MemorySource(rows, 'rebuilt');
    await expect(cacheFeatures({ ...given, source: other })).rejects.toThrow(
      'data: is "rows-10", expected "rebuilt"',
    );
    await expect(readFeatures(given.out, { source: other, column: 'label' })).rejects.toThrow(
      /holds features of 10 rows of data rows-10…, but memory has 10 rows and is rebuilt…/,
    );
  });
});

describe('createLoader with features', () => {
  const loader = { contextLength: 8, captions: { alt: 1 }, batchSize: 2, seed: 0 };

  it('refuses stores of other data, of another number of sources, and other keys', async () => {
    const given = options();
    await cacheFeatures(given);
    const store = await openFeatures(given.out);
    const features = store;
    const other = new MemorySource(rows, 'rebuilt');
    await expect(createLoader({ ...loader, source: other, features })).rejects.toThrow('or embed this data');
    const same = new MemorySource(rows);
    await expect(createLoader({ ...loader, source: same, features: [store, store] })).rejects.toThrow(
      'There are 1 sources and 2 stores of features',
    );
    const renamed = await createLoader({
      ...loader,
      source: new MemorySource(rows.map((row) => ({ ...row, key: `other ${row.key}` }))),
      features,
      shuffle: false,
    });
    await expect(renamed.next()).rejects.toThrow(
      "row 0 is of key 'k0', but the data set has 'other k0' there",
    );
    await renamed.close();
    await store.close();
  });

  it('is not resumed from a loader of images, or of another store', async () => {
    const [one, two] = [options(), options({ madeOf: { model: 'n' } })];
    await cacheFeatures(one);
    await cacheFeatures(two);
    const stores = [await openFeatures(one.out), await openFeatures(two.out)] as const;
    const source = new MemorySource(rows);
    const images = await createLoader({ ...loader, source, imageSize: 4, transform: 'train', workers: 0 });
    await expect(
      createLoader({ ...loader, source, features: stores[0], resumeFrom: images.state() }),
    ).rejects.toThrow(/transform: was "train", is absent; .*store of features: was absent/);
    const first = await createLoader({ ...loader, source, features: stores[0] });
    await expect(
      createLoader({ ...loader, source, features: stores[1], resumeFrom: first.state() }),
    ).rejects.toThrow('store of features: was');
    await Promise.all([images.close(), first.close()]);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('joins a store onto each of several sources', async () => {
    const more: Row[] = (await sampleRows(6)).map((row) => ({ ...row, key: `m${row.key}` }));
    const sources = [new MemorySource(rows), new MemorySource(more)];
    const given = sources.map((source) => options({ source }));
    for (const one of given) await cacheFeatures(one);
    const features = await Promise.all(given.map(({ out }) => openFeatures(out)));
    const joined = await createLoader({
      ...loader,
      sources: sources.map((source) => ({ source })),
      features,
      batchSize: 16,
    });
    const { keys, features: found = new Float32Array(0) } = await joined.next();
    expect(keys).toHaveLength(16);
    for (const [i, key] of keys.entries()) {
      const image = [...rows, ...more].find((row) => row.key === key)?.image;
      const expected = await evalTransform(image as Uint8Array, SIZE);
      expect([...found.subarray(i * PIXELS, (i + 1) * PIXELS)]).toEqual([...expected]);
    }
    await joined.close();
    await Promise.all(features.map((store) => store.close()));
  });
});
