import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { DataError } from '../../../src/errors.js';
import { type EmbeddingCache, embedThroughCache } from '../../../src/eval/cached-embeddings.js';
import { embedImages } from '../../../src/eval/embed.js';
import { type EvalRow, EvalSplit } from '../../../src/eval/split.js';
import type { EmbeddingModel } from '../../../src/models/embedding-model.js';
import { noiseImages } from '../../support/memory-source.js';

const root = mkdtempSync(join(tmpdir(), 'capstan-cached-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const SIZE = 4;
const DIM = 3;
let encoded = 0;

/** Numbers that depend on an image's place among those embedded with it, as those of a real engine may. */
const model: EmbeddingModel = {
  embedDim: DIM,
  imageSize: SIZE,
  contextLength: 4,
  encodeImages: async (images, count) => {
    encoded += count;
    return Float32Array.from(
      { length: count * DIM },
      (_, i) => (images[(i - (i % DIM)) * 16] ?? 0) / 3 + i * 1e-3,
    );
  },
  encodeTexts: async () => new Float32Array(0),
};

let rows: EvalRow[];
beforeAll(async () => {
  const images = await noiseImages(30);
  rows = images.map((image, i) => {
    if (i === 2) return { key: 'k2', image, fault: 'It has no image.', columns: {}, captions: [] };
    return { key: `k${i}`, image: i === 5 ? Uint8Array.of(1, 2) : image, columns: {}, captions: [] };
  });
});

const split = (own: readonly EvalRow[] = rows): EvalSplit =>
  new EvalSplit(own, 'test', { maxSkipRatio: 0.1 }, 'data');

let told: string[] = [];
let count = 0;
let cache: EmbeddingCache;
beforeEach(() => {
  told = [];
  encoded = 0;
  const directory = join(root, `${count++}`);
  cache = { directory, name: 'test', madeOf: { model: 'm' }, warn: (text) => told.push(text) };
});

async function uncached(): Promise<number[]> {
  const own = split();
  return [...(await embedImages(model, own.keys.length, own.images().readPixels))];
}

/** Of images that are broken there is no embedding. */
const readable = (values: Iterable<number>): number[] =>
  [...values].filter((_, i) => Math.floor(i / DIM) !== 4);

it('gives what is embedded without it, then without the model, and knows the broken images', async () => {
  const expected = readable(await uncached());
  for (const [attempt, numEncoded] of [29, 0].entries()) {
    encoded = 0;
    const own = split();
    expect(readable(await embedThroughCache(model, own, cache))).toEqual(expected);
    expect(encoded).toBe(numEncoded);
    expect(own.skips.count).toBe(2);
    expect(own.images().isBroken(4)).toBe(true);
    expect(own.images().isBroken(3)).toBe(false);
    expect(own.skips.first()[1]?.key).toBe('k5');
    expect(told, `attempt ${attempt}`).toEqual([]);
  }
});

it('keeps apart models, and pictures that differ where sizes and keys do not', async () => {
  await embedThroughCache(model, split(), cache);
  await embedThroughCache(model, split(), { ...cache, madeOf: { model: 'n' } });
  const flipped = Uint8Array.from((rows[7] as EvalRow).image);
  flipped[flipped.length - 5] = (flipped.at(-5) as number) ^ 1;
  const own = split(rows.map((row, i) => (i === 7 ? { ...row, image: flipped } : row)));
  await embedThroughCache(model, own, cache).catch(() => undefined); // the picture may be broken now
  expect(readdirSync(cache.directory)).toHaveLength(3);
});

it.each([
  ['a record', 'features-00000.safetensors', -1],
  ['a key', 'features-00000.safetensors', -30 * DIM * 4 - 1],
  ['the manifest', 'features.json', 3],
])('makes anew what is damaged: %s', async (_, file, at) => {
  const expected = readable(await embedThroughCache(model, split(), cache));
  const path = join(cache.directory, readdirSync(cache.directory)[0] as string, file);
  const bytes = readFileSync(path);
  const place = at < 0 ? bytes.length + at : at;
  bytes[place] = (bytes[place] as number) ^ 8;
  writeFileSync(path, bytes);
  expect(readable(await embedThroughCache(model, split(), cache))).toEqual(expected);
  expect(told).toEqual([expect.stringContaining('made anew')]);
  expect(readable(await embedThroughCache(model, split(), cache))).toEqual(expected);
  expect(told).toHaveLength(1);
});

it('does not hide that more images are broken than may be, with the store or without', async () => {
  const strict = (): EvalSplit => new EvalSplit(rows, 'test', { maxSkipRatio: 0.04 }, 'data');
  await expect(embedThroughCache(model, strict(), cache)).rejects.toThrow(DataError);
  await embedThroughCache(model, split(), cache);
  await expect(embedThroughCache(model, strict(), cache)).rejects.toThrow(
    'Broken images in test: 2, more than the 1 of 30',
  );
  expect(told).toEqual([]);
});
