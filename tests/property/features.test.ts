/** Stores of features: a stop at any point changes nothing, and their loader has the order of the images' loader. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type CacheFeaturesOptions, cacheFeatures } from '../../src/data/features/cache-features.js';
import { openFeatures } from '../../src/data/features/store.js';
import { type Batch, createLoader, type FeatureLoaderOptions } from '../../src/data/loader.js';
import type { Row } from '../../src/data/schema.js';
import { MemorySource, sampleRows } from '../support/memory-source.js';

const root = mkdtempSync(join(tmpdir(), 'capstan-features-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let rows: Row[];
let count = 0;

beforeAll(async () => {
  rows = await sampleRows(60);
});

const SIDE = 4;
const DIM = 3;

/** Sums over the pixels of each channel, which tell images and crops apart. */
async function encode(pixels: Uint8Array, images: number): Promise<Float32Array> {
  const out = new Float32Array(images * DIM);
  for (const [i, value] of pixels.entries()) {
    const at = Math.floor(i / (SIDE * SIDE * 3)) * DIM + (i % 3);
    out[at] = (out[at] as number) + value / 256;
  }
  return out;
}

const plan = fc.record({
  numRows: fc.integer({ min: 1, max: 60 }),
  shardRows: fc.integer({ min: 3, max: 25 }),
  embedBatch: fc.integer({ min: 1, max: 20 }),
  variants: fc.integer({ min: 1, max: 3 }),
  dtype: fc.constantFrom('float32' as const, 'float16' as const, 'bfloat16' as const),
  broken: fc.uniqueArray(fc.nat({ max: 59 }), { maxLength: 5 }),
  silent: fc.uniqueArray(fc.nat({ max: 59 }), { maxLength: 5 }),
  seed: fc.nat(),
  batchSize: fc.integer({ min: 1, max: 12 }),
  shuffle: fc.boolean(),
  /** Batches after which an attempt is stopped, one attempt after the other. */
  stops: fc.array(fc.integer({ min: 1, max: 8 }), { maxLength: 3 }),
});

type Plan = typeof plan extends fc.Arbitrary<infer T> ? T : never;

function sourceOf({ numRows, broken, silent }: Plan): MemorySource {
  return new MemorySource(
    rows.slice(0, numRows).map((row, i) => ({
      ...row,
      // Of no image, and of one that cannot be decoded.
      ...(broken.includes(i) ? { image: i % 2 === 0 ? null : Uint8Array.of(1, 2, 3) } : {}),
      ...(silent.includes(i) ? { alt: '', ssc: null } : {}),
    })),
  );
}

const cacheOptions = (drawn: Plan, source: MemorySource, out: string): CacheFeaturesOptions => ({
  source,
  out,
  input: { kind: 'image', imageSize: SIDE, encode },
  madeOf: { model: 'sums' },
  shape: [DIM],
  dtype: drawn.dtype,
  variants: drawn.variants,
  seed: drawn.seed,
  batchSize: drawn.embedBatch,
  shardRows: drawn.shardRows,
  workers: 0,
  maxSkipRatio: 1,
});

const filesOf = (path: string): unknown =>
  readdirSync(path).map((name) => [name, readFileSync(join(path, name), 'base64')]);

it('embedding stopped at any batches leaves the bytes of one that never stopped', async () => {
  await fc.assert(
    fc.asyncProperty(plan, async (drawn) => {
      const [whole, stopped] = [join(root, `${count++}`), join(root, `${count++}`)];
      const source = sourceOf(drawn);
      const all = await cacheFeatures(cacheOptions(drawn, source, whole));
      expect(all).toMatchObject({ rows: drawn.numRows, finished: true, embedded: drawn.numRows });
      expect(all.broken).toBe(drawn.broken.filter((row) => row < drawn.numRows).length);
      for (const stop of drawn.stops) {
        const controller = new AbortController();
        let numBatches = 0;
        const thrown = new Error('killed');
        await cacheFeatures({
          ...cacheOptions(drawn, source, stopped),
          signal: controller.signal,
          input: {
            kind: 'image',
            imageSize: SIDE,
            encode: (pixels, images) => {
              // Half of the times the encoder fails instead.
              if (++numBatches === stop && stop % 2 === 0) throw thrown;
              if (numBatches === stop) controller.abort();
              return encode(pixels, images);
            },
          },
        }).catch((error: unknown) => expect(error).toBe(thrown));
      }
      const last = await cacheFeatures(cacheOptions(drawn, source, stopped));
      expect(last).toMatchObject({ rows: all.rows, broken: all.broken, finished: true });
      expect(filesOf(stopped)).toEqual(filesOf(whole));
    }),
    { numRuns: 25, seed: 1 },
  );
});

/** A batch without what images and features differ in. */
const rest = ({ images: _, imageSize: __, features: ___, ...others }: Batch): Partial<Batch> => others;

it('a loader of features has the order, captions, skips and states of the loader of the images', async () => {
  let numSkipped = 0;
  await fc.assert(
    fc.asyncProperty(plan, async (drawn) => {
      const usable =
        drawn.numRows - new Set([...drawn.broken, ...drawn.silent].filter((i) => i < drawn.numRows)).size;
      fc.pre(usable >= drawn.batchSize);
      const out = join(root, `${count++}`);
      const source = sourceOf(drawn);
      await cacheFeatures(cacheOptions(drawn, source, out));
      const store = await openFeatures(out);
      const { seed, batchSize, shuffle } = drawn;
      const common = {
        source,
        captions: { alt: 0.4, ssc: 0.6 },
        contextLength: 8,
        maxSkipRatio: 1,
        workers: 0,
        ...{ seed, batchSize, shuffle },
      };
      const numBatches = 5;
      const images = await createLoader({ ...common, imageSize: SIDE, transform: 'train' });
      const options: FeatureLoaderOptions = { ...common, features: store };
      const features = await createLoader(options);
      const seen: Batch[] = [];
      for (let i = 0; i < numBatches; i++) {
        const [expected, found] = [await images.next(), await features.next()];
        expect(rest(found)).toEqual(rest(expected));
        expect(found.images).toHaveLength(0);
        const { fingerprint: _, ...position } = images.state();
        expect(features.state()).toMatchObject(position);
        seen.push(found);
        numSkipped += found.skipped.length;
      }
      // Each has the features of its row, in one of the variants.
      for (const { keys, features: values = new Float32Array(0) } of seen) {
        for (const [i, key] of keys.entries()) {
          const row = Number(key.slice(1));
          const variants = Array.from({ length: drawn.variants }, (_, variant) => variant);
          const stored = await store.read(
            variants.map(() => row),
            variants,
          );
          const own = [...values.subarray(i * DIM, (i + 1) * DIM)];
          expect(variants.map((v) => [...stored.subarray(v * DIM, (v + 1) * DIM)])).toContainEqual(own);
        }
      }
      // One resumed after each batch goes on with the next.
      const half = await createLoader(options);
      await half.next();
      await half.next();
      const resumeFrom = JSON.parse(JSON.stringify(half.state()));
      await half.close();
      const resumed = await createLoader({ ...options, resumeFrom });
      for (const expected of seen.slice(2)) expect(await resumed.next()).toEqual(expected);
      await Promise.all([images.close(), features.close(), resumed.close()]);
      await store.close();
    }),
    { numRuns: 25, seed: 2 },
  );
  expect(numSkipped).toBeGreaterThan(10); // so that the property says something about broken samples
});
