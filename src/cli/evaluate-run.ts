/** Evaluates a run's checkpoint on a split: what `capstan eval` and the quickstart do. */
import { join } from 'node:path';
import { loadConfig } from '../config/load.js';
import { type DataSource, dataSources, type TrainConfig } from '../config/schema.js';
import { readingOptions } from '../data/datasets/reading-options.js';
import { loadTokenize } from '../eval/in-loop.js';
import {
  type EvalOutcome,
  type EvalSplit,
  evalRetrieval,
  evalZeroShot,
  type Tokenize,
} from '../eval/index.js';
import { readEvalSplit } from '../eval/read-split.js';
import { type LoadedClip, loadClip } from '../train/load-clip.js';

export interface EvaluateOptions {
  readonly checkpoint?: 'latest' | 'best' | number;
  /** Another data set than the run's. */
  readonly data?: string;
  readonly split: string;
  readonly device?: 'auto' | 'cpu' | 'cuda';
  /** Told of damaged checkpoints that are passed over. */
  readonly warn: (message: string) => void;
}

/** A run's model and a split, loaded for one evaluation or several. Dispose of it afterwards. */
export class RunEvaluation {
  readonly #model: LoadedClip;
  readonly #split: EvalSplit;
  readonly #tokenize: Tokenize;
  readonly #context: { step: number; checkpoint: string; data: string; split: string };
  readonly #evalDir: string;

  private constructor(
    runDir: string,
    model: LoadedClip,
    split: EvalSplit,
    tokenize: Tokenize,
    data: string,
    splitName: string,
  ) {
    this.#model = model;
    this.#split = split;
    this.#tokenize = tokenize;
    this.#context = { step: model.step, checkpoint: model.directory, data, split: splitName };
    this.#evalDir = join(runDir, 'eval');
  }

  /**
   * Reads the split and loads the model.
   *
   * @throws ConfigError if the run has no configuration or the data no such split; CheckpointError; DataError
   */
  static async open(runDir: string, options: EvaluateOptions): Promise<RunEvaluation> {
    const config: TrainConfig = await loadConfig(join(runDir, 'config.yaml'));
    const [own] = dataSources(config.data) as [DataSource];
    const data = options.data ?? own.path;
    const split = await readEvalSplit(data, {
      split: options.split,
      // Other data may be stored and laid out in another way.
      ...(options.data === undefined ? readingOptions(own) : {}),
    });
    const model = await loadClip(runDir, {
      checkpoint: options.checkpoint ?? 'latest',
      batchSize: config.eval.batchSize,
      precision: config.train.precision,
      device: options.device ?? config.engine.device,
      warn: options.warn,
    });
    return new RunEvaluation(runDir, model, split, await loadTokenize(), data, options.split);
  }

  /** Classifies by a column and writes the result into the run's folder. */
  zeroShot(classes: string, templates: string): Promise<EvalOutcome> {
    return evalZeroShot(this.#options(), classes, templates);
  }

  /** Retrieves in both directions and writes the result into the run's folder. */
  retrieval(): Promise<EvalOutcome> {
    return evalRetrieval(this.#options());
  }

  /** Frees the model. */
  dispose(): void {
    this.#model.dispose();
  }

  #options() {
    return {
      model: this.#model,
      split: this.#split,
      tokenize: this.#tokenize,
      context: this.#context,
      evalDir: this.#evalDir,
    };
  }
}
