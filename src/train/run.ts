/** A whole training run from a configuration: folder, engine, data, model, loop. */
import { dumpConfig } from '../config/load.js';
import type { TrainConfig } from '../config/schema.js';
import type { DecodedCache } from '../data/decoded-cache.js';
import { createLoader, type Loader } from '../data/loader.js';
import type { Storage } from '../data/storage/storage.js';
import { engineInfo } from '../engine/index.js';
import { ConfigError } from '../errors.js';
import type { ClipConfig } from '../models/clip/index.js';
import { didYouMean } from '../nearest.js';
import { writeFileAtomically } from '../safetensors.js';
import type { Checkpoint } from './checkpoint.js';
import type { Evaluator } from './evaluator.js';
import { TrainLogger } from './logging/logger.js';
import type { ProgressStream } from './logging/progress.js';
import { type LoopResult, runLoop } from './loop.js';
import { findStart } from './resume.js';
import { claimRunFolder, keepTokenizer, type RunPaths, runPaths, writeVersions } from './run-folder.js';
import { createTask, prepareEngine } from './setup.js';
import { resolveModel } from './tasks/clip-config.js';
import { loaderOptions, openTrainingData, type TrainingData } from './training-data.js';

export interface TrainOptions {
  /** `auto` continues from the newest whole checkpoint if there is one; `none` starts; else a checkpoint's path. */
  readonly resume?: string;
  /**
   * Makes the evaluations of the run; called once before the first step, when the engine runs. A configuration
   * that asks for evaluations is refused without it; `inLoopEvaluators` makes those that it asks for.
   */
  readonly evaluators?: () => Promise<readonly Evaluator[]>;
  /** Told of what the user should know. */
  readonly inform?: (message: string) => void;
  /** Where the progress bar goes; none if left out. */
  readonly progress?: ProgressStream;
  /** Aborting it ends the run after the current step, with a checkpoint; before the steps, it ends what is fetched. */
  readonly signal?: AbortSignal;
  /** Called when the first step is about to begin. */
  readonly onSteps?: () => void;
  /** Decoded images that runs on the same data share, instead of a cache of the run's own. */
  readonly cache?: DecodedCache;
  /** Reads the data and stays the caller's to close, instead of a storage of the run's own as configured. */
  readonly storage?: Storage;
}

export interface TrainResult extends LoopResult {
  readonly directory: string;
}

/** Optimizer steps of a run. Batches that do not fill are dropped, so an epoch has ⌊rows / batch⌋ steps. */
export function totalSteps(config: TrainConfig, numRows: number): number {
  const { batchSize, steps, epochs, samplesSeen } = config.train;
  if (steps !== undefined) return steps;
  if (samplesSeen !== undefined) return Math.ceil(samplesSeen / batchSize);
  return (epochs as number) * Math.floor(numRows / batchSize);
}

/**
 * Trains as configured.
 *
 * @throws ConfigError, DataError, CheckpointError, NumericError, EngineError, AssetError; the signal's reason when
 *   aborted while something is fetched
 */
export async function train(config: TrainConfig, options: TrainOptions = {}): Promise<TrainResult> {
  const inform = options.inform ?? (() => {});
  const resume = options.resume ?? 'none';
  if ((config.eval.retrieval || config.eval.zeroShot.length > 0) && options.evaluators === undefined) {
    throw new ConfigError(
      'The configuration asks for evaluations, but train() was given no evaluators: pass ' +
        'evaluators: () => inLoopEvaluators(config), or take eval.zeroShot and eval.retrieval out.',
    );
  }
  const model = await resolveModel(config.model);
  const data = await openTrainingData(config, options.storage);
  const paths = runPaths(`${config.run.dir}/${config.run.name}`);
  let release: (() => Promise<void>) | undefined;
  try {
    release = await claimRunFolder(paths, resume !== 'none', inform);
    const checkpoint = await findStart(paths, config, resume, inform);
    return {
      ...(await trainIn(paths, config, model, data, checkpoint, options, inform)),
      directory: paths.directory,
    };
  } finally {
    await release?.();
    await data.close();
  }
}

async function trainIn(
  paths: RunPaths,
  config: TrainConfig,
  model: ClipConfig,
  data: TrainingData,
  checkpoint: Checkpoint | undefined,
  options: TrainOptions,
  inform: (message: string) => void,
): Promise<LoopResult> {
  const { train: training } = config;
  await prepareEngine(config, { inform, signal: options.signal });
  const evaluators = (await options.evaluators?.()) ?? [];
  requireFigure(config.checkpoint.keepBest, evaluators);
  const task = createTask(config, model);
  let loader: Loader | undefined;
  let logger: TrainLogger | undefined;
  let toldNoCaption = false;
  let repeatedKeys = 0;
  try {
    if (checkpoint) task.restore(checkpoint.model, checkpoint.optimizer, checkpoint.directory);
    loader = await createLoader({
      ...loaderOptions(config, model, data),
      ...(options.cache ? { cache: options.cache } : {}),
      onSkip: (reason, key) => inform(`Skipped ${key}: ${reason}`),
      onNoCaption: (key) => {
        if (toldNoCaption) return; // AltText is missing often: a line for each would bury the rest
        toldNoCaption = true;
        inform(
          `Passed over ${key}: it has no caption of the mix. Others like it are counted in metrics.jsonl.`,
        );
      },
      onRepeatedKey: (key) => {
        repeatedKeys++;
        if (repeatedKeys > 1) return; // counted, and told at the end
        inform(
          `Warning: more than one sample of ${data.sources.map(({ path }) => path).join(' or ')} has the key '${key}'. Samples with the same key draw the ` +
            "same kind of caption and the same crop in an epoch. Make the values of the column 'key' different.",
        );
      },
      ...(checkpoint ? { resumeFrom: checkpoint.state.loader, mixFrom: checkpoint.mix } : {}),
    });
    // Only now is all known to fit: a run that is refused leaves nothing that would be in the way of the mended one.
    await writeFileAtomically(paths.config, dumpConfig(config));
    await writeVersions(paths, engineInfo(), training.seed);
    await keepTokenizer(paths, model, config.model.text?.tokenizer);
    const steps = totalSteps(config, data.numRows);
    logger = new TrainLogger(paths.directory, {
      totalSteps: steps,
      logEvery: training.logEvery,
      ...(checkpoint ? { resumeStep: checkpoint.state.step } : {}),
      ...(options.progress ? { progress: options.progress } : {}),
    });
    options.onSteps?.();
    return await runLoop({
      task,
      loader,
      logger,
      schedule: {
        kind: training.schedule === 'cosine' ? 'cosine' : 'const',
        lr: training.lr,
        warmupSteps: training.warmupSteps,
        totalSteps: steps,
      },
      seed: training.seed,
      directory: paths.directory,
      checkpointRoot: paths.checkpoints,
      checkpointEvery: config.checkpoint.every,
      keepLast: config.checkpoint.keepLast,
      keepBest: config.checkpoint.keepBest,
      evalEvery: config.eval.every,
      evaluators,
      ...(checkpoint ? { start: checkpoint.state } : {}),
      ...(options.signal ? { signal: options.signal } : {}),
    });
  } finally {
    if (repeatedKeys > 1) inform(`${repeatedKeys} samples of an epoch had the key of another one.`);
    await loader?.close();
    task.dispose();
    logger?.close();
  }
}

/** A misspelt figure would never come up, and no checkpoint would be kept for it. */
function requireFigure(keepBest: string | null, evaluators: readonly Evaluator[]): void {
  const figures = evaluators.flatMap((evaluator) => evaluator.figures);
  if (keepBest === null || figures.length === 0 || figures.includes(keepBest)) return;
  throw new ConfigError(
    `checkpoint.keepBest is '${keepBest}', which no evaluation of this run measures` +
      `${didYouMean(keepBest, figures) || '.'} They measure ${figures.join(', ')}.`,
  );
}
