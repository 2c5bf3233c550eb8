/** A trained CLIP from a run's folder or a checkpoint, ready to embed. */
import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { loadConfig } from '../config/load.js';
import type { Tokenizer } from '../data/text/token-batch.js';
import { loadTokenizer, type TokenizerFile, tokenizerFile } from '../data/text/tokenizer.js';
import { createVariable, startEngine } from '../engine/index.js';
import { CheckpointError, ConfigError } from '../errors.js';
import {
  type ClipConfig,
  type ClipEmbedder,
  checkClipConfig,
  clipParamSpecs,
  clipParamsFromWeights,
  createClipEmbedder,
} from '../models/clip/index.js';
import {
  type Checkpoint,
  checkpointName,
  listCheckpoints,
  loadCheckpoint,
  newestCheckpoint,
} from './checkpoint.js';
import { runPaths } from './run-folder.js';

export interface LoadClipOptions {
  /** `latest`, `best` or a step. Default: `latest`. Ignored if the path is a checkpoint's directory. */
  readonly checkpoint?: 'latest' | 'best' | number;
  /** Samples per run of a tower. Default: 64. */
  readonly batchSize?: number;
  readonly precision?: 'fp32' | 'bf16';
  readonly device?: 'auto' | 'cpu' | 'cuda';
  /** Threads of the engine, if it does not run yet. Default: the cores this process may use. */
  readonly threads?: number;
  /** TensorFlow's library or a directory that holds it, if the engine does not run yet. Default: the pinned one. */
  readonly libtensorflow?: string;
  /** Aborting it ends the fetch of the engine. */
  readonly signal?: AbortSignal | undefined;
  /** Told of damaged checkpoints that are passed over. */
  readonly warn?: (message: string) => void;
}

/** A CLIP with its weights. Dispose of it when it is no longer needed. */
export interface LoadedClip extends ClipEmbedder {
  readonly config: ClipConfig;
  readonly step: number;
  readonly samplesSeen: number;
  /** Directory of the checkpoint. */
  readonly directory: string;
  /**
   * Loads the tokenizer that it was trained with: CLIP's own, or the copy of a tokenizer.json in the run's folder.
   *
   * @throws CheckpointError if that is gone or another; AssetError if CLIP's merges cannot be had
   */
  tokenizer(): Promise<Tokenizer>;
  /** Its file, for what loads it in threads of its own. Throws as {@link tokenizer} does. */
  tokenizerFile(): Promise<TokenizerFile>;
}

/**
 * Finds a checkpoint by a run's folder and a choice, or by its own directory.
 *
 * @throws CheckpointError if there is none or it is damaged; ConfigError if there is none of that choice
 */
export async function findCheckpoint(path: string, options: LoadClipOptions = {}): Promise<Checkpoint> {
  if (existsSync(join(path, 'state.json'))) return loadCheckpoint(path);
  const root = runPaths(path).checkpoints;
  const choice = options.checkpoint ?? 'latest';
  if (typeof choice === 'number') return checkpointOfStep(path, root, choice);
  const newest = await newestCheckpoint(root, options.warn ?? (() => {}));
  if (!newest) {
    throw new CheckpointError(
      `${path} holds no checkpoint: expected a run's folder with checkpoints/step-…, or such a directory.`,
    );
  }
  if (choice === 'latest') return newest;
  const { best } = newest.state;
  if (!best) throw await noBest(path, newest.state.step);
  return checkpointOfStep(path, root, best.step);
}

async function checkpointOfStep(path: string, root: string, step: number): Promise<Checkpoint> {
  const directory = join(root, checkpointName(step));
  if (existsSync(directory)) return loadCheckpoint(directory);
  const steps = (await listCheckpoints(root)).map((each) => Number(basename(each).replace('step-', '')));
  throw new ConfigError(
    steps.length === 0
      ? `${path} holds no checkpoint of step ${step}, nor any other.`
      : `${path} holds no checkpoint of step ${step}, only of ${steps.join(', ')}. Choose one of these, latest or best.`,
  );
}

async function noBest(path: string, step: number): Promise<ConfigError> {
  const none = `${path} has no best checkpoint`;
  const config = await loadConfig(runPaths(path).config).catch(() => undefined);
  if (config === undefined) {
    return new ConfigError(
      `${none} up to step ${step}: its configuration sets no checkpoint.keepBest, or no evaluation has measured that yet.`,
    );
  }
  const { keepBest } = config.checkpoint;
  return new ConfigError(
    keepBest === null
      ? `${none}: its configuration sets no checkpoint.keepBest.`
      : `${none} up to step ${step}: no evaluation has measured ${keepBest} (checkpoint.keepBest) yet. Take latest or a ` +
          'step, or train on until eval.every.',
  );
}

/**
 * Loads a CLIP and starts the engine if it does not run.
 *
 * @param path a run's folder, or a checkpoint's directory
 * @throws CheckpointError if there is none, it is damaged, or it is not of a CLIP; ConfigError if there is none of that
 *   choice; as `startEngine`
 */
export async function loadClip(path: string, options: LoadClipOptions = {}): Promise<LoadedClip> {
  const { state, model, directory } = await findCheckpoint(path, options);
  if (state.model.kind !== 'clip') {
    throw new CheckpointError(`${directory} is a checkpoint of a ${state.model.kind} model; expected clip.`);
  }
  const config = state.model.config as ClipConfig;
  try {
    checkClipConfig(config);
  } catch (error) {
    // Of a config without towers, it is no ConfigError.
    throw new CheckpointError(
      `${join(directory, 'state.json')} is damaged: model.config: ${(error as Error).message} ` +
        'Put the file back from a copy, or take another checkpoint.',
      { cause: error },
    );
  }
  const weights = clipParamsFromWeights(
    config,
    Object.fromEntries(
      [...model].flatMap(([name, { shape, data }]) =>
        data instanceof Float32Array ? [[name, { shape, data }]] : [],
      ),
    ),
    join(directory, 'model.safetensors'),
  );
  const { device = 'auto', threads, libtensorflow, signal } = options;
  await startEngine({
    device,
    signal,
    ...(threads === undefined ? {} : { threads }),
    ...(libtensorflow === undefined ? {} : { libtensorflow }),
  });
  const variables = clipParamSpecs(config).map(({ name, shape }) =>
    createVariable(name, weights[name] as Float32Array, shape),
  );
  const embedder = createClipEmbedder(
    config,
    () => Object.fromEntries(variables.map((variable) => [variable.name, variable.read()])),
    { batchSize: options.batchSize ?? 64, precision: options.precision ?? 'fp32' },
  );
  return {
    ...embedder,
    config,
    step: state.step,
    samplesSeen: state.samplesSeen,
    directory,
    tokenizer: async () => loadTokenizer(await tokenizerFileOf(config, directory)),
    tokenizerFile: () => tokenizerFileOf(config, directory),
    dispose: () => {
      embedder.dispose();
      for (const variable of variables) variable.dispose();
    },
  };
}

async function tokenizerFileOf({ text }: ClipConfig, directory: string): Promise<TokenizerFile> {
  if (text.tokenizer === undefined) return tokenizerFile();
  const { tokenizer: path } = runPaths(dirname(dirname(resolve(directory))));
  const missing = `${directory} was trained with a tokenizer.json of SHA-256 ${text.tokenizer}`;
  let file: TokenizerFile;
  try {
    file = await tokenizerFile({ tokenizer: path, endToken: text.endToken });
  } catch (cause) {
    throw new CheckpointError(`${missing}, but ${path} cannot be read. Put the run's copy back there.`, {
      cause,
    });
  }
  if (file.sha256 === text.tokenizer) return file;
  throw new CheckpointError(`${missing}, but ${path} has ${file.sha256}. Put the run's own copy back there.`);
}
