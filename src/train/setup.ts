/** The parts of a run as its configuration describes them. */
import { clipMergesPath } from '../assets/index.js';
import { type DataSource, dataSources, type TrainConfig } from '../config/schema.js';
import { openSource } from '../data/datasets/open.js';
import { readingOptions } from '../data/datasets/reading-options.js';
import type { LoaderOptions, LoaderSource, OrderOptions } from '../data/loader.js';
import type { Source } from '../data/sources/source.js';
import { describeEngine, type EngineOptions, startEngine } from '../engine/index.js';
import { ConfigError } from '../errors.js';
import type { ClipConfig } from '../models/clip/index.js';
import { ClipTask } from './tasks/clip.js';

/** The open data sets of a run. */
export interface TrainingData {
  readonly sources: readonly Source[];
  /** Of all of them: the samples of an epoch. */
  readonly numRows: number;
  close(): Promise<void>;
}

/** Opens the training splits. @throws ConfigError if they fill no batch; as `openSource` */
export async function openTrainingData({ data, train }: TrainConfig): Promise<TrainingData> {
  const sources: Source[] = [];
  const close = async (): Promise<void> => {
    for (const source of sources) await source.close();
  };
  try {
    for (const source of dataSources(data)) {
      sources.push(await openSource(source.path, { split: source.split, ...readingOptions(source) }));
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

/** The engine's options as a configuration gives them. */
export function engineOptions({ engine }: TrainConfig): EngineOptions {
  return {
    device: engine.device,
    ...(engine.threads === 'auto' ? {} : { threads: engine.threads }),
    ...(engine.libtensorflow === null ? {} : { libtensorflow: engine.libtensorflow }),
  };
}

export interface PrepareOptions {
  /** Told what is computed on. */
  readonly inform?: ((message: string) => void) | undefined;
  /** Aborting it ends what is being fetched. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Starts the engine as configured, and sees to it that the tokenizer's files are there, so that what comes after
 * fetches nothing.
 *
 * @throws EngineError, AssetError; the signal's reason when aborted
 */
export async function prepareEngine(config: TrainConfig, options: PrepareOptions): Promise<void> {
  const { inform, signal } = options;
  await startEngine({ ...engineOptions(config), signal });
  for (const line of await describeEngine()) inform?.(line);
  await clipMergesPath({ signal });
}

/** The model with its optimizer, at its first step. The engine must run. */
export function createTask({ train, eval: evaluation }: TrainConfig, model: ClipConfig): ClipTask {
  return new ClipTask({
    config: model,
    seed: train.seed,
    precision: train.precision,
    remat: train.remat,
    optimizer: {
      beta1: train.beta1,
      beta2: train.beta2,
      eps: train.eps,
      weightDecay: train.weightDecay,
    },
    gradClipNorm: train.gradClipNorm,
    evalBatchSize: evaluation.batchSize,
  });
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
  };
}
