/** What the training loop needs of the thing that it trains. */
import type { Batch } from '../data/loader.js';
import type { EmbeddingModel } from '../models/embedding-model.js';
import type { TensorMap } from './checkpoint.js';

/** Numbers of one step. */
export interface StepMetrics {
  readonly loss: number;
  /** Euclidean norm of all gradients, before clipping. */
  readonly gradNorm: number;
  /** Others, by name. */
  readonly extra: Readonly<Record<string, number>>;
}

/** A model with its optimizer. The loop owns the order of things, the task the numbers. */
export interface TrainTask {
  /** Stored in checkpoints, so that a checkpoint is enough to rebuild the model. */
  readonly model: { readonly kind: string; readonly config: unknown };
  /** One optimizer step. JavaScript goes on while it runs. */
  step(batch: Batch, lr: number): Promise<StepMetrics>;
  modelTensors(): TensorMap;
  optimizerTensors(): TensorMap;
  /** Replaces parameters and optimizer state. @throws CheckpointError naming the tensor that does not fit */
  restore(model: TensorMap, optimizer: TensorMap, source: string): void;
  /** Names of the parameters that hold a NaN or an infinity. */
  nonFiniteParams(): string[];
  /** The model as it is, for evaluation. */
  embedder(): EmbeddingModel;
  dispose(): void;
}
