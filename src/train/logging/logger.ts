/** What a run leaves to be looked at: metrics.jsonl, eval.jsonl, data.jsonl and TensorBoard's events. */
import { join } from 'node:path';
import type { MixSummary } from '../../data/loader.js';
import { JsonlWriter, truncateAfterStep } from './jsonl.js';
import { type ProgressStream, TrainProgress } from './progress.js';
import { TensorboardWriter } from './tensorboard.js';

/** A row of metrics.jsonl: one optimizer step. */
export interface MetricsRow {
  /** Steps done, this one included. */
  readonly step: number;
  readonly epoch: number;
  readonly samplesSeen: number;
  readonly loss: number;
  readonly lr: number;
  /** Euclidean norm of all gradients, before clipping. */
  readonly gradNorm: number;
  /** The factor of the similarities, not its logarithm. */
  readonly logitScale?: number;
  /** Time of the step, waiting for data included. */
  readonly stepMs: number;
  readonly dataWaitMs: number;
  readonly imgPerSec: number;
  /** Share of each kind of caption in the batch. */
  readonly mix: Readonly<Record<string, number>>;
  /** Share of each source in the batch, by its number; left out where there is one. */
  readonly sources?: Readonly<Record<string, number>>;
  /** Samples of the batch whose kind had no caption, so that another kind's stands in, or whose concatenation lacks one. */
  readonly fallbacks: number;
  /** Mean length of the captions before they are cut, and the length that 95 % of them do not exceed, tokens. */
  readonly tokensMean: number;
  readonly tokensP95: number;
  /** Share of the captions that were cut. */
  readonly truncatedShare: number;
  /** By kind: share of its captions that were cut. */
  readonly truncatedByKind: Readonly<Record<string, number>>;
  /** By kind: distinct tokens of the batch's captions. */
  readonly vocabulary: Readonly<Record<string, number>>;
  /** By kind: distinct tokens over all tokens, and distinct pairs of neighbours over all pairs. */
  readonly distinct1: Readonly<Record<string, number>>;
  readonly distinct2: Readonly<Record<string, number>>;
  /** Share of the batch's captions that another sample of it has, too. */
  readonly duplicateCaptions: number;
  /** Samples passed over since the run began because they are broken. */
  readonly skipped: number;
  /** Samples passed over since the run began because they have no caption of the mix. */
  readonly noCaption: number;
}

export interface TrainLoggerOptions {
  /** Steps of the whole run. */
  readonly totalSteps: number;
  /** Steps between rows of metrics.jsonl; the last step always has one. Default: 1. */
  readonly logEvery?: number;
  /** The checkpoint's step that the run goes on from: what was logged after it is cut off. */
  readonly resumeStep?: number;
  /** Where progress is shown; nowhere if left out. */
  readonly progress?: ProgressStream;
}

/** Logs a run into its folder. Only the times in it differ between an uninterrupted run and a resumed one. */
export class TrainLogger {
  readonly #metrics: JsonlWriter;
  readonly #evals: JsonlWriter;
  readonly #data: JsonlWriter;
  readonly #board: TensorboardWriter;
  readonly #progress: TrainProgress | undefined;
  readonly #every: number;
  readonly #totalSteps: number;

  /**
   * @param runDir the run's folder, which must be there
   * @throws DataError if rows logged earlier are damaged
   */
  constructor(runDir: string, options: TrainLoggerOptions) {
    const { totalSteps, resumeStep, progress } = options;
    const metricsPath = join(runDir, 'metrics.jsonl');
    const evalPath = join(runDir, 'eval.jsonl');
    const dataPath = join(runDir, 'data.jsonl');
    // Rows of a run that crashed before its first checkpoint go, too.
    for (const path of [metricsPath, evalPath]) truncateAfterStep(path, resumeStep ?? 0);
    // The row of an epoch that ended with the checkpoint's step is written, or written anew, when the next one begins.
    truncateAfterStep(dataPath, (resumeStep ?? 0) - 1);
    this.#metrics = new JsonlWriter(metricsPath);
    this.#evals = new JsonlWriter(evalPath);
    this.#data = new JsonlWriter(dataPath);
    this.#board = new TensorboardWriter(runDir, (resumeStep ?? 0) + 1);
    this.#every = options.logEvery ?? 1;
    this.#totalSteps = totalSteps;
    if (progress) this.#progress = new TrainProgress(progress, totalSteps, resumeStep ?? 0);
  }

  /** Logs a step. */
  log(row: MetricsRow): void {
    if (row.step % this.#every === 0 || row.step === this.#totalSteps) {
      this.#metrics.append(row);
      const { step, ...values } = row;
      this.#board.scalars(step, prefixed('train/', values));
    }
    this.#progress?.update(row);
  }

  /** Logs what an epoch's captions were, or those of the last one so far when the run ends. */
  logEpoch(step: number, epoch: number, summary: MixSummary): void {
    this.#data.append({ step, epoch, ...summary });
    const { ratios, tokens, duplicateCaptions, duplicateKeys, diversity } = summary;
    this.#board.scalars(
      step,
      prefixed('epoch/', { epoch, ratios, tokens, duplicateCaptions, duplicateKeys, ...diversity }),
    );
  }

  /** Logs the figures of an evaluation by name, such as `val/zeroShot/label/top1`. */
  logEval(step: number, metrics: Readonly<Record<string, number>>): void {
    this.#evals.append({ step, ...metrics });
    this.#board.scalars(step, prefixed('eval/', metrics));
  }

  /** Returns when all that was logged is on the disk: before a checkpoint that counts on it. */
  flush(): void {
    this.#metrics.flush();
    this.#evals.flush();
    this.#data.flush();
    this.#board.flush();
  }

  /** Flushes and closes; to be called once. */
  close(): void {
    this.#progress?.stop();
    this.flush();
    this.#metrics.close();
    this.#evals.close();
    this.#data.close();
    this.#board.close();
  }
}

/** The numbers among the values, and those of maps as `map/name`. */
function prefixed(prefix: string, values: Readonly<Record<string, unknown>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]): [string, number][] => {
      if (typeof value === 'number') return [[`${prefix}${name}`, value]];
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
      return Object.entries(prefixed(`${prefix}${name}/`, value as Record<string, unknown>));
    }),
  );
}
