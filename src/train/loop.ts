/** The training loop: the only one. It knows steps, data, checkpoints and evaluations, but no model. */
import type { Batch, Loader } from '../data/loader.js';
import { type Diversity, summarize } from '../data/mix-stats.js';
import { pruneCheckpoints, type RunState, saveCheckpoint } from './checkpoint.js';
import type { Evaluator } from './evaluator.js';
import type { MetricsRow, TrainLogger } from './logging/logger.js';
import { nonFinite } from './non-finite.js';
import { type LearningRateSchedule, learningRate } from './optim/schedule.js';
import type { TrainTask } from './task.js';

export interface LoopOptions {
  readonly task: TrainTask;
  readonly loader: Loader;
  readonly logger: TrainLogger;
  readonly schedule: LearningRateSchedule;
  readonly seed: number;
  /** The run's folder, for what is said of a step whose numbers went wrong. */
  readonly directory: string;
  /** Directory of the run's checkpoints. */
  readonly checkpointRoot: string;
  /** Steps between checkpoints; the last step always makes one. */
  readonly checkpointEvery: number;
  readonly keepLast: number;
  /** The figure of the evaluations whose best checkpoint is kept; larger is better. */
  readonly keepBest: string | null;
  /** Steps between evaluations; null for none. The last step is always evaluated if there are evaluators. */
  readonly evalEvery: number | null;
  readonly evaluators: readonly Evaluator[];
  /** Where to go on, from a checkpoint. */
  readonly start?: RunState | undefined;
  /** Aborting it ends the run after the step that is under way, with a checkpoint. */
  readonly signal?: AbortSignal | undefined;
}

export interface LoopResult {
  readonly step: number;
  readonly samplesSeen: number;
  /** Broken samples passed over since the run began. */
  readonly skipped: number;
  readonly finished: boolean;
  /** Figures of the last evaluation. */
  readonly evaluation: Record<string, number>;
  /** The last checkpoint that this call saved; undefined if it ended before there was one. */
  readonly checkpoint: string | undefined;
}

/**
 * Trains until the schedule's last step or the signal.
 *
 * @throws NumericError when the loss, the gradient or a parameter that is to be saved is NaN or infinite; the
 *   last checkpoint is left as it was. DataError from the loader.
 */
export async function runLoop(options: LoopOptions): Promise<LoopResult> {
  const { task, loader, logger, schedule, signal } = options;
  let step = options.start?.step ?? 0;
  let samplesSeen = options.start?.samplesSeen ?? 0;
  let skipped = options.start?.skipped ?? 0;
  let noCaption = options.start?.noCaption ?? 0;
  // keepBest may have changed since: what another figure was says nothing of this one.
  let best = options.start?.best?.metric === options.keepBest ? options.start?.best : undefined;
  let evaluation: Record<string, number> = {};
  let checkpoint: string | undefined;

  const evaluate = async (): Promise<void> => {
    evaluation = {};
    for (const evaluator of options.evaluators) {
      Object.assign(evaluation, await evaluator.evaluate(task.embedder()));
    }
    logger.logEval(step, evaluation);
    const metric = options.keepBest;
    const value = metric === null ? undefined : evaluation[metric];
    if (metric !== null && value !== undefined && (best === undefined || value > best.value)) {
      best = { metric, value, step };
    }
  };

  const save = async (batch: Batch, numbers: { loss: number; gradNorm: number }): Promise<void> => {
    // The loss is of the parameters before the step: those after it may have gone without its showing yet.
    const params = task.nonFiniteParams();
    if (params.length > 0)
      throw await nonFinite(options.directory, { step, ...numbers, params, batch, checkpoint });
    // What is logged so far must be on the disk before the checkpoint that counts on it.
    logger.flush();
    const state: RunState = {
      step,
      samplesSeen,
      skipped,
      noCaption,
      seed: options.seed,
      model: task.model,
      loader: loader.state(),
      ...(best === undefined ? {} : { best }),
    };
    const tensors = { model: task.modelTensors(), optimizer: task.optimizerTensors() };
    checkpoint = await saveCheckpoint(options.checkpointRoot, state, tensors, loader.mix());
    await pruneCheckpoints(options.checkpointRoot, options.keepLast, best === undefined ? [] : [best.step]);
  };

  let epoch = options.start?.loader.epoch;
  let lastEnd = performance.now();
  while (step < schedule.totalSteps && !signal?.aborted) {
    const batch = await loader.next();
    const dataReady = performance.now();
    const lr = learningRate(schedule, step);
    const { loss, gradNorm, extra } = await task.step(batch, lr);
    step++;
    samplesSeen += batch.keys.length;
    skipped += batch.skipped.length;
    noCaption += batch.noCaption.length;
    if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) {
      const params = task.nonFiniteParams();
      throw await nonFinite(options.directory, { step, loss, gradNorm, params, batch, checkpoint });
    }
    if (epoch !== undefined && batch.epoch !== epoch) {
      const { previous } = loader.stats();
      if (previous !== undefined) logger.logEpoch(step - 1, previous.epoch, previous.summary);
    }
    epoch = batch.epoch;
    const end = performance.now();
    logger.log({
      step,
      epoch: batch.epoch,
      samplesSeen,
      loss,
      lr,
      gradNorm,
      ...extra,
      ...batchMetrics(batch),
      skipped,
      noCaption,
      stepMs: end - lastEnd,
      dataWaitMs: dataReady - lastEnd,
      imgPerSec: (batch.keys.length / (end - lastEnd)) * 1000,
    });
    const last = step === schedule.totalSteps;
    const due = (every: number | null): boolean => every !== null && every > 0 && step % every === 0;
    if (options.evaluators.length > 0 && (due(options.evalEvery) || last)) {
      try {
        await evaluate();
      } catch (error) {
        // What was learnt so far is not lost by what is asked of it.
        await save(batch, { loss, gradNorm });
        throw error;
      }
    }
    if (due(options.checkpointEvery) || last || signal?.aborted || best?.step === step) {
      await save(batch, { loss, gradNorm });
    }
    loader.recycle(batch);
    lastEnd = performance.now();
  }
  const finished = step >= schedule.totalSteps;
  // Of an epoch that goes on later, there is a row when it ends.
  if (finished && epoch !== undefined) logger.logEpoch(step, epoch, loader.stats().cumulative);
  return { step, samplesSeen, skipped, finished, evaluation, checkpoint };
}

/** What the batch was made of: kinds realised, text lengths, losses of text, variety. */
function batchMetrics(batch: Batch) {
  const {
    ratios,
    sources,
    fallbacks,
    tokens,
    truncatedShare,
    truncatedByKind,
    diversity,
    duplicateCaptions,
  } = summarize(batch);
  const byKind = (figure: keyof Diversity): Record<string, number> =>
    Object.fromEntries(Object.entries(diversity).map(([kind, of]) => [kind, of[figure]]));
  return {
    mix: ratios,
    ...(sources.length > 1 ? { sources: Object.fromEntries(sources.entries()) } : {}),
    fallbacks,
    tokensMean: tokens.mean,
    tokensP95: tokens.p95,
    truncatedShare,
    truncatedByKind,
    vocabulary: byKind('vocabulary'),
    distinct1: byKind('distinct1'),
    distinct2: byKind('distinct2'),
    duplicateCaptions,
  } satisfies Partial<MetricsRow>;
}
