/** The engine and the task of a run as its configuration describes them. */
import type { TrainConfig } from '../config/schema.js';
import { startEngine } from '../engine/index.js';
import type { ClipConfig } from '../models/clip/index.js';
import { ClipTask } from './tasks/clip.js';

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
