/** What both sides of a CLIP bench start from: initial weights and batches, as files. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLoader } from '../../src/data/loader.js';
import { type ClipConfig, clipWeights, initClip } from '../../src/models/clip/index.js';
import { KeyedRandom } from '../../src/rng.js';
import { serializeSafetensors } from '../../src/safetensors.js';
import type { BatchFiles } from './protocol.js';

/** Batches of one shape, one after the other. */
export interface ClipBatches {
  readonly count: number;
  readonly batchSize: number;
  /** count × batchSize × S × S × 3 bytes. */
  readonly images: Uint8Array;
  /** count × batchSize × L ids. */
  readonly tokens: Int32Array;
}

/** Runs `work` with a new folder for temporary files, which is removed afterwards. */
export async function withScratch<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'capstan-bench-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return work(folder);
}

/** Writes the model's initial weights by `seed`. @returns the file's path */
export function writeWeights(folder: string, config: ClipConfig, seed: number): string {
  const path = join(folder, 'weights.safetensors');
  const weights = clipWeights(config, initClip(config, seed));
  writeFileSync(path, serializeSafetensors(new Map(Object.entries(weights))));
  return path;
}

/** Writes batches as the workers read them. */
export function writeBatches(folder: string, { count, batchSize, images, tokens }: ClipBatches): BatchFiles {
  const files = { imagesFile: join(folder, 'images.bin'), tokensFile: join(folder, 'tokens.bin') };
  writeFileSync(files.imagesFile, images);
  writeFileSync(files.tokensFile, tokens);
  return { count, batchSize, ...files };
}

/** The first batches that a training on a data set's `train` split would see, captions half and half. */
export async function datasetBatches(
  path: string,
  config: ClipConfig,
  count: number,
  batchSize: number,
  seed: number,
): Promise<ClipBatches> {
  const { imageSize } = config.vision;
  const { contextLength } = config.text;
  const loader = await createLoader({
    source: path,
    split: 'train',
    captions: { alt: 0.5, ssc: 0.5 },
    transform: 'train',
    batchSize,
    imageSize,
    contextLength,
    seed,
  });
  const images = new Uint8Array(count * batchSize * imageSize ** 2 * 3);
  const tokens = new Int32Array(count * batchSize * contextLength);
  for (let i = 0; i < count; i++) {
    const batch = await loader.next();
    images.set(batch.images, i * batch.images.length);
    tokens.set(batch.tokens, i * batch.tokens.length);
  }
  await loader.close();
  return { count, batchSize, images, tokens };
}

/** Random pixels and random captions of all lengths; the first of each batch fills the context. */
export function randomBatches(
  config: ClipConfig,
  count: number,
  batchSize: number,
  seed: number,
): ClipBatches {
  const random = new KeyedRandom('bench-batches', seed);
  const { contextLength, vocabSize } = config.text;
  const images = new Uint8Array(count * batchSize * config.vision.imageSize ** 2 * 3);
  for (let i = 0; i < images.length; i++) images[i] = random.int(256);
  const tokens = new Int32Array(count * batchSize * contextLength);
  // The two highest ids are the start and the end of a text.
  const [start, end] = [vocabSize - 2, vocabSize - 1];
  for (let row = 0; row < count * batchSize; row++) {
    const words = row % batchSize === 0 ? contextLength - 2 : random.int(contextLength - 1);
    const ids = Array.from({ length: words }, () => random.int(start));
    tokens.set([start, ...ids, end], row * contextLength);
  }
  return { count, batchSize, images, tokens };
}
