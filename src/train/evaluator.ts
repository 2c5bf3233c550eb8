/** What the training loop needs of an evaluation; `eval` implements it and the CLI hands it in. */
import type { EmbeddingModel } from '../models/embedding-model.js';

export interface Evaluator {
  readonly name: string;
  /** The names of its figures, such as `val/zeroShot/label/top1`. */
  readonly figures: readonly string[];
  /** The figures by name. */
  evaluate(model: EmbeddingModel): Promise<Record<string, number>>;
}
