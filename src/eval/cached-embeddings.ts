/** Embeddings of a split's images, kept in a store of features so that the next evaluation need not make them. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { MissingFeature } from '../data/features/shard.js';
import { type FeatureSpec, featureSize, type MadeOf, specFingerprint } from '../data/features/spec.js';
import { openFeatures } from '../data/features/store.js';
import { FeatureWriter, type WriterOptions } from '../data/features/writer.js';
import { DataError } from '../errors.js';
import type { EmbeddingModel } from '../models/embedding-model.js';
import { embedBlocks } from './embed.js';
import type { EvalSplit } from './split.js';

/** Where embeddings are kept, and what they are made of. */
export interface EmbeddingCache {
  /** Folder of the stores, each of which has a name of its own in it. */
  readonly directory: string;
  /** Name of the split, for people. */
  readonly name: string;
  /** The model and all else on which a bit of an embedding depends. */
  readonly madeOf: MadeOf;
  /** Told of what is damaged and made anew, and of another process that is waited for. */
  readonly warn: (message: string) => void;
}

/**
 * Embeds a split's images, or reads what an earlier evaluation of the same made of them: the same numbers, to the bit.
 * Images that could not be decoded are noted in the store and in the split.
 *
 * @returns images * embedDim
 * @throws DataError if more images are broken than may be; the file system's error
 */
export async function embedThroughCache(
  model: EmbeddingModel,
  split: EvalSplit,
  cache: EmbeddingCache,
): Promise<Float32Array> {
  const spec: FeatureSpec = {
    source: split.fingerprint,
    madeOf: {
      ...cache.madeOf,
      input: 'image',
      transform: 'eval',
      imageSize: model.imageSize,
      // A source's fingerprint does not tell data that was built anew to the same sizes.
      images: split.contentHash,
    },
    dtype: 'float32',
    shape: [model.embedDim],
    variants: 1,
    numRows: split.numRows,
  };
  const path = join(cache.directory, `${cache.name}-${specFingerprint(spec).slice(0, 12)}`);
  await fill(path, spec, model, split, cache);
  const found = await readAll(path, split).catch(async (error: unknown) => {
    if (!(error instanceof DataError)) throw error;
    await discard(path, error, cache);
    await fill(path, spec, model, split, cache);
    return readAll(path, split);
  });
  split.noteBroken(found.broken);
  return found.embeddings;
}

/** Damage to what can be made anew is no reason to fail. */
async function discard(path: string, error: DataError, { warn }: EmbeddingCache): Promise<void> {
  warn(`${error.message} All embeddings of the split are made anew.`);
  await rm(path, { recursive: true, force: true });
}

/** Embeds what the store lacks. */
async function fill(
  path: string,
  spec: FeatureSpec,
  model: EmbeddingModel,
  split: EvalSplit,
  cache: EmbeddingCache,
): Promise<void> {
  const { warn } = cache;
  const options: WriterOptions = {
    warn,
    onWait: ({ pid, host }) => warn(`Process ${pid} on ${host} writes ${path}: waiting for it.`),
  };
  const writer = await FeatureWriter.open(path, spec, options).catch(async (error: unknown) => {
    if (!(error instanceof DataError)) throw error;
    await discard(path, error, cache);
    return FeatureWriter.open(path, spec, options);
  });
  try {
    const { places, rowKeys } = split;
    const { embedDim } = model;
    const { readPixels } = split.images();
    for (const shard of writer.missing) {
      const { first, end } = writer.range(shard);
      const images = [...places.keys()].filter((image) => isWithin(places[image] as number, first, end));
      const values = new Float32Array((end - first) * embedDim);
      const [from = 0] = images;
      const blocks = embedBlocks(model, places.length, readPixels, from, from + images.length);
      for await (const block of blocks) {
        for (let image = block.from; image < block.to; image++) {
          const place = places[image] as number;
          if (!isWithin(place, first, end)) continue;
          const row = block.rows.subarray(
            (image - block.from) * embedDim,
            (image + 1 - block.from) * embedDim,
          );
          values.set(row, (place - first) * embedDim);
        }
      }
      const missing = new Map<number, MissingFeature>();
      for (const [place, reason] of split.faults) {
        if (isWithin(place, first, end)) missing.set(place - first, { broken: true, reason });
      }
      await writer.writeShard(shard, { keys: rowKeys.slice(first, end), values, missing });
    }
  } finally {
    await writer.close();
  }
}

const isWithin = (place: number, first: number, end: number): boolean => place >= first && place < end;

/** All embeddings, zeros of images that are broken, and which these are. */
async function readAll(
  path: string,
  { places, keys }: EvalSplit,
): Promise<{ embeddings: Float32Array; broken: Map<number, string> }> {
  const store = await openFeatures(path);
  try {
    const size = featureSize(store);
    const embeddings = new Float32Array(places.length * size);
    const broken = new Map<number, string>();
    let image = 0;
    for await (const batch of store.batches()) {
      for (; image < places.length; image++) {
        const at = (places[image] as number) - batch.first;
        if (at >= batch.keys.length) break;
        if (batch.keys[at] !== keys[image]) {
          throw new DataError(`${path} has '${batch.keys[at]}' where the split has '${keys[image]}'.`);
        }
        const why = batch.missing.get(batch.first + at);
        if (why === undefined)
          embeddings.set(batch.values.subarray(at * size, (at + 1) * size), image * size);
        else broken.set(image, why.reason);
      }
    }
    return { embeddings, broken };
  } finally {
    await store.close();
  }
}
