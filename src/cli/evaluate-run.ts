/** Evaluates a run's checkpoint on a split: what `capstan eval` and the quickstart do. */
import { realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type DataSource, dataSources, type TrainConfig } from '../config/schema.js';
import { readingOptions } from '../data/datasets/reading-options.js';
import { storageOptions } from '../data/storage/options.js';
import { tokenizeWith } from '../eval/in-loop.js';
import {
  type EmbeddingCache,
  type EvalOutcome,
  type EvalRunOptions,
  evalRetrieval,
  evalZeroShot,
} from '../eval/index.js';
import { readEvalSplit } from '../eval/read-split.js';
import { listCheckpoints } from '../train/checkpoint.js';
import { type LoadedClip, loadClip } from '../train/load-clip.js';
import { runPaths } from '../train/run-folder.js';
import { engineOptions, prepareTokenizer } from '../train/setup.js';
import { machineIdentity, modelIdentity } from './model-identity.js';
import { loadRunConfig } from './run-config.js';
import { withStorage } from './with-storage.js';

export interface EvaluateOptions {
  readonly checkpoint?: 'latest' | 'best' | number;
  /** Another data set than the run's. */
  readonly data?: string;
  readonly split: string;
  readonly device?: 'auto' | 'cpu' | 'cuda';
  /** Share of the rows that may be broken; by default that of the run's training data. */
  readonly maxSkipRatio?: number;
  /** Whether embeddings of the images are kept in the run's folder for the next evaluation. Default true. */
  readonly cache?: boolean;
  /** Aborting it ends what is being fetched, and the reading. */
  readonly signal?: AbortSignal;
  /** Told of damaged checkpoints and of broken images that are passed over. */
  readonly warn: (message: string) => void;
}

/** A run's model and a split, loaded for one evaluation or several. Dispose of it afterwards. */
export class RunEvaluation {
  readonly #model: LoadedClip;
  readonly #options: Omit<EvalRunOptions, 'model'>;

  private constructor(model: LoadedClip, options: Omit<EvalRunOptions, 'model'>) {
    this.#model = model;
    this.#options = options;
  }

  /**
   * Reads the split and loads the model.
   *
   * @throws ConfigError if the run has no configuration or the data no such split; CheckpointError; DataError;
   *   EngineError; AssetError; the signal's reason when aborted
   */
  static async open(runDir: string, options: EvaluateOptions): Promise<RunEvaluation> {
    const config: TrainConfig = await loadRunConfig(runDir);
    const [own] = dataSources(config.data) as [DataSource];
    const otherData = options.data !== undefined && !(await isSamePath(options.data, own.path));
    const data = otherData ? (options.data as string) : own.path;
    const split = await withStorage(storageOptions(config.data.storage), (storage) =>
      readEvalSplit(data, {
        split: options.split,
        maxSkipRatio: options.maxSkipRatio ?? config.data.maxSkipRatio,
        inform: options.warn,
        storage,
        exif: config.data.exif,
        // Other data may be stored and laid out in another way.
        ...(otherData ? {} : readingOptions(own)),
      }),
    );
    options.signal?.throwIfAborted();
    await prepareTokenizer(config, options.signal);
    const checkpoint = options.checkpoint ?? 'latest';
    const model = await loadClip(runDir, {
      checkpoint,
      batchSize: config.eval.batchSize,
      precision: config.train.precision,
      ...engineOptions(config),
      ...(options.device === undefined ? {} : { device: options.device }),
      signal: options.signal,
      warn: options.warn,
    });
    const embeddings: EmbeddingCache = {
      directory: runPaths(runDir).features,
      name: options.split,
      madeOf: {
        ...(await modelIdentity(model, config)),
        ...(await machineIdentity(config)),
        exif: config.data.exif,
      },
      warn: options.warn,
    };
    const newest = (await listCheckpoints(runPaths(runDir).checkpoints)).at(-1) ?? '';
    return new RunEvaluation(model, {
      split,
      tokenize: tokenizeWith(await model.tokenizer()),
      context: {
        step: model.step,
        checkpoint: model.directory,
        data,
        dataFingerprint: split.fingerprint,
        split: options.split,
      },
      differs: {
        data: otherData,
        checkpoint: checkpoint !== 'latest' && basename(model.directory) !== basename(newest),
      },
      evalDir: join(runDir, 'eval'),
      ...(options.cache === false ? {} : { cache: embeddings }),
    });
  }

  /** Classifies by a column and writes the result into the run's folder. */
  zeroShot(classes: string, templates: string): Promise<EvalOutcome> {
    return evalZeroShot({ model: this.#model, ...this.#options }, classes, templates);
  }

  /** Retrieves in both directions and writes the result into the run's folder. */
  retrieval(): Promise<EvalOutcome> {
    return evalRetrieval({ model: this.#model, ...this.#options });
  }

  /** Frees the model. */
  dispose(): void {
    this.#model.dispose();
  }
}

/** Whether two paths lead to the same place; one that leads nowhere is the same as none but itself. */
async function isSamePath(a: string, b: string): Promise<boolean> {
  const [realA, realB] = await Promise.all([a, b].map((path) => realpath(path).catch(() => path)));
  return realA === realB;
}
