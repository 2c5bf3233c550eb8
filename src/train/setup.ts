/** The engine and the task of a run as its configuration describes them. */
import { clipMergesPath } from '../assets/index.js';
import type { TrainConfig } from '../config/schema.js';
import { CLIP_TOKENIZER } from '../data/text/tokenizer.js';
import { describeEngine, type EngineOptions, startEngine } from '../engine/index.js';
import type { ClipConfig } from '../models/clip/index.js';
import { ClipTask } from './tasks/clip.js';

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
  await prepareTokenizer(config, signal);
}

/** Sees to it that the tokenizer's files are there. @throws AssetError; the signal's reason when aborted */
export async function prepareTokenizer(
  { model }: TrainConfig,
  signal: AbortSignal | undefined,
): Promise<void> {
  if ((model.text?.tokenizer ?? CLIP_TOKENIZER) === CLIP_TOKENIZER) await clipMergesPath({ signal });
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
