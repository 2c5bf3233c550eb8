/** A trained CLIP from a run's folder or a checkpoint, ready to embed. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createVariable, startEngine } from '../engine/index.js';
import { CheckpointError } from '../errors.js';
import {
  type ClipConfig,
  type ClipEmbedder,
  checkClipConfig,
  clipParamSpecs,
  clipParamsFromWeights,
  createClipEmbedder,
} from '../models/clip/index.js';
import { type Checkpoint, checkpointName, loadCheckpoint, newestCheckpoint } from './checkpoint.js';
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
}

/** Finds a checkpoint by a run's folder and a choice, or by its own directory. @throws CheckpointError */
export async function findCheckpoint(path: string, options: LoadClipOptions = {}): Promise<Checkpoint> {
  if (existsSync(join(path, 'state.json'))) return loadCheckpoint(path);
  const root = runPaths(path).checkpoints;
  const choice = options.checkpoint ?? 'latest';
  if (typeof choice === 'number') return loadCheckpoint(join(root, checkpointName(choice)));
  const newest = await newestCheckpoint(root, options.warn ?? (() => {}));
  if (!newest) {
    throw new CheckpointError(
      `${path} holds no checkpoint: expected a run's folder with checkpoints/step-…, or such a directory.`,
    );
  }
  if (choice === 'latest') return newest;
  const { best } = newest.state;
  if (!best) {
    throw new CheckpointError(
      `${path} has no best checkpoint: its configuration sets no checkpoint.keepBest.`,
    );
  }
  return loadCheckpoint(join(root, checkpointName(best.step)));
}

/**
 * Loads a CLIP and starts the engine if it does not run.
 *
 * @param path a run's folder, or a checkpoint's directory
 * @throws CheckpointError if there is none, it is damaged, or it is not of a CLIP; as `startEngine`
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
    dispose: () => {
      embedder.dispose();
      for (const variable of variables) variable.dispose();
    },
  };
}
