/** The data of a run and the order of its batches, for which no engine is loaded. */
import { type DataSource, dataSources, type TrainConfig } from '../config/schema.js';
import { openSource } from '../data/datasets/open.js';
import { readingOptions } from '../data/datasets/reading-options.js';
import type { LoaderOptions, LoaderSource, OrderOptions } from '../data/loader.js';
import type { Source } from '../data/sources/source.js';
import { storageOptions } from '../data/storage/options.js';
import { borrowStorage, type Storage } from '../data/storage/storage.js';
import { ConfigError } from '../errors.js';
import type { ClipConfig } from '../models/clip/config.js';
import { tokenizerOptions } from './tasks/clip-config.js';

/** The open data sets of a run. */
export interface TrainingData {
  readonly sources: readonly Source[];
  /** Of all of them: the samples of an epoch. */
  readonly numRows: number;
  close(): Promise<void>;
}

/**
 * Opens the training splits.
 *
 * @param given reads them and stays the caller's; by default one as configured, which is closed with them
 * @throws ConfigError if they fill no batch; as `openSource`
 */
export async function openTrainingData({ data, train }: TrainConfig, given?: Storage): Promise<TrainingData> {
  const { storage, release } = borrowStorage(given ?? storageOptions(data.storage));
  const sources: Source[] = [];
  const close = async (): Promise<void> => {
    for (const source of sources) await source.close();
    await release();
  };
  try {
    for (const source of dataSources(data)) {
      const { path, split } = source;
      sources.push(await openSource(path, { split, storage, ...readingOptions(source) }));
    }
    const numRows = sources.reduce((sum, source) => sum + source.numRows, 0);
    if (numRows >= train.batchSize) return { sources, numRows, close };
    const where = dataSources(data).map(({ split, path }) => `split '${split}' of ${path}`);
    throw new ConfigError(
      `train.batchSize is ${train.batchSize}, but ${where.join(' and ')} has only ` +
        `${numRows} samples: no batch can be filled.`,
    );
  } catch (error) {
    await close();
    throw error;
  }
}

/** Which samples and captions the training batches have. */
export function orderOptions({ data, train }: TrainConfig, { sources }: TrainingData): OrderOptions {
  const { captions, mixing, missing, concat, captionDropout, mixSchedule, shuffleBuffer } = data;
  return {
    sources: dataSources(data).map((source, i) => loaderSource(source, sources[i] as Source)),
    captions,
    mixing,
    missing,
    concat,
    captionDropout,
    mixSchedule,
    ...(shuffleBuffer === 'auto' ? {} : { shuffleBuffer }),
    batchSize: train.batchSize,
    seed: train.seed,
    maxSkipRatio: data.maxSkipRatio,
  };
}

function loaderSource({ weight, captions }: DataSource, source: Source): LoaderSource {
  return {
    source,
    ...(weight === undefined ? {} : { weight }),
    ...(captions === undefined ? {} : { captions }),
  };
}

/** How the training batches are made. */
export function loaderOptions(config: TrainConfig, model: ClipConfig, opened: TrainingData): LoaderOptions {
  const { data } = config;
  return {
    ...orderOptions(config, opened),
    imageSize: model.vision.imageSize,
    contextLength: model.text.contextLength,
    cacheBytes: data.cacheMiB * 2 ** 20,
    ...(data.workers === 'auto' ? {} : { workers: data.workers }),
    prefetch: data.prefetch,
    transform: 'train',
    cropScale: data.cropScale as [number, number],
    flip: data.flip,
    exif: data.exif,
    scaledDecode: data.scaledDecode,
    ...tokenizerOptions(config.model),
  };
}
