/** Embeddings of a split's images, kept in a store of features so that the next evaluation need not make them. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { MissingFeature } from '../data/features/shard.js';
import { type FeatureSpec, featureSize, type MadeOf, specFingerprint } from '../data/features/spec.js';
import { openFeatures } from '../data/features/store.js';
import { FeatureWriter } from '../data/features/writer.js';
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
    madeOf: { ...cache.madeOf, input: 'image', transform: 'eval', imageSize: model.imageSize },
    dtype: 'float32',
    shape: [model.embedDim],
    variants: 1,
    numRows: split.numRows,
  };
  const path = join(cache.directory, `${cache.name}-${specFingerprint(spec).slice(0, 12)}`);
  try {
    await fill(path, spec, model, split, cache);
    return await read(path, split);
  } catch (error) {
    if (!(error instanceof DataError) || split.skips.exceeded) throw error;
    // A cache is no reason to fail.
    cache.warn(`${error.message} All of it is made anew.`);
    await rm(path, { recursive: true, force: true });
    await fill(path, spec, model, split, cache);
    return read(path, split);
  }
}
