/** The parts of a run as its configuration describes them. */
import type { TrainConfig } from '../config/schema.js';
import { openSource } from '../data/datasets/open.js';
import { readingOptions } from '../data/datasets/reading-options.js';
import type { LoaderOptions } from '../data/loader.js';
import type { Source } from '../data/sources/source.js';
import { startEngine } from '../engine/index.js';
import { ConfigError } from '../errors.js';
import type { ClipConfig } from '../models/clip/index.js';
import { ClipTask } from './tasks/clip.js';

/** Opens the training split. @throws ConfigError if it fills no batch; as `openSource` */
export async function openTrainingData({ data, train }: TrainConfig): Promise<Source> {
  const source = await openSource(data.path, { split: data.split, ...readingOptions(data) });
  if (source.numRows >= train.batchSize) return source;
  await source.close();
  throw new ConfigError(
    `train.batchSize is ${train.batchSize}, but split '${data.split}' of ${data.path} has only ` +
      `${source.numRows} samples: no batch can be filled.`,
  );
}

/** Starts the engine as configured. @throws EngineError */
export async function startConfiguredEngine({ engine }: TrainConfig): Promise<void> {
  await startEngine({
    device: engine.device,
    ...(engine.threads === 'auto' ? {} : { threads: engine.threads }),
    ...(engine.libtensorflow === null ? {} : { libtensorflow: engine.libtensorflow }),
  });
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

/** How the training batches are made. */
export function loaderOptions(
  { data, train }: TrainConfig,
  model: ClipConfig,
  source: Source,
): LoaderOptions {
  return {
    source,
    captions: data.captions,
    batchSize: train.batchSize,
    imageSize: model.vision.imageSize,
    contextLength: model.text.contextLength,
    seed: train.seed,
    cacheBytes: data.cacheMiB * 2 ** 20,
    ...(data.workers === 'auto' ? {} : { workers: data.workers }),
    prefetch: data.prefetch,
    transform: 'train',
    cropScale: data.cropScale as [number, number],
    maxSkipRatio: data.maxSkipRatio,
  };
}
