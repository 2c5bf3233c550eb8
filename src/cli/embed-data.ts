/** Embeds a data set with a run's model: what `capstan data embed` does. */
import { type OpenOptions, openSource } from '../data/datasets/open.js';
import { type CachedFeatures, type CacheProgress, cacheFeatures } from '../data/features/cache-features.js';
import type { FeatureDtype } from '../data/features/half.js';
import type { CaptionKind } from '../data/schema.js';
import { loadClip } from '../train/load-clip.js';
import { engineOptions } from '../train/setup.js';
import { modelIdentity } from './model-identity.js';
import { loadRunConfig } from './run-config.js';

export interface EmbedOptions {
  readonly data: string;
  readonly reading: OpenOptions;
  readonly run: string;
  readonly checkpoint: 'latest' | 'best' | number;
  readonly out: string;
  readonly what: 'image' | CaptionKind;
  readonly dtype: FeatureDtype;
  readonly batch: number;
  readonly variants: number;
  readonly seed: number;
  readonly workers?: number;
  readonly device?: 'auto' | 'cpu' | 'cuda';
  readonly maxSkipRatio?: number;
  readonly inform: (message: string) => void;
  readonly onProgress: (progress: CacheProgress) => void;
  readonly signal: AbortSignal;
}

/** Embeds with the image or the text tower; rows have length 1. @throws as `cacheFeatures`, `loadClip`, `openSource` */
export async function embedData(options: EmbedOptions): Promise<CachedFeatures> {
  const { data, run, what, batch, device, workers, maxSkipRatio, inform } = options;
  const config = await loadRunConfig(run);
  const source = await openSource(data, options.reading);
  try {
    const model = await loadClip(run, {
      checkpoint: options.checkpoint,
      batchSize: batch,
      precision: config.train.precision,
      ...engineOptions(config),
      ...(device === undefined ? {} : { device }),
      signal: options.signal,
      warn: inform,
    });
    try {
      const { imageSize, contextLength, embedDim } = model;
      return await cacheFeatures({
        source,
        out: options.out,
        input:
          what === 'image'
            ? { kind: 'image', imageSize, exif: config.data.exif, encode: model.encodeImages }
            : {
                kind: 'text',
                caption: what,
                contextLength,
                tokenizer: await model.tokenizerFile(),
                encode: model.encodeTexts,
              },
        madeOf: await modelIdentity(model, config),
        shape: [embedDim],
        dtype: options.dtype,
        variants: options.variants,
        seed: options.seed,
        batchSize: batch,
        maxSkipRatio: maxSkipRatio ?? config.data.maxSkipRatio,
        ...(workers === undefined ? {} : { workers }),
        onSkip: ({ key, reason }) => inform(`Skipped ${key}: ${reason}`),
        warn: inform,
        onProgress: options.onProgress,
        signal: options.signal,
      });
    } finally {
      model.dispose();
    }
  } finally {
    await source.close();
  }
}
