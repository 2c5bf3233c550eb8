/** What the training loop needs of an evaluation; `eval` implements it and the CLI hands it in. */
import type { EmbeddingModel } from '../models/embedding-model.js';

export interface Evaluator {
  readonly name: string;
  /** Figures by name, such as `zeroShot/top1`. */
  evaluate(model: EmbeddingModel): Promise<Record<string, number>>;
}
