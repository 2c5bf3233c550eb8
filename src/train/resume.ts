/** Where a run begins: at a checkpoint or at step 0, and whether its configuration may go on from there. */
import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { loadConfig } from '../config/load.js';
import type { TrainConfig } from '../config/schema.js';
import { ConfigError } from '../errors.js';
import { type Checkpoint, listCheckpoints, loadCheckpoint, newestCheckpoint } from './checkpoint.js';
import type { RunPaths } from './run-folder.js';

/**
 * Keys that may change while a run goes on, because they do not decide what it learns. What `data.path` holds, and
 * as which columns it is read, is compared by the loader. They are free in each of `data.sources` likewise.
 */
const FREE = [
  'run',
  'engine',
  'eval',
  'checkpoint',
  // What is in the file is compared by the loader.
  'model.text.tokenizer',
  'data.path',
  'data.format',
  'data.schema',
  'data.columns',
  'data.images',
  'data.storage',
  'data.workers',
  'data.prefetch',
  'data.cacheMiB',
  'data.maxSkipRatio',
  'train.logEvery',
  'train.remat',
];

/** Keys of a run's length, which may change where the learning rate does not depend on it. */
const LENGTH = ['train.steps', 'train.epochs', 'train.samplesSeen'];

/**
 * Finds the checkpoint that a run begins at; undefined if it begins at step 0.
 *
 * @param resume `none`, `auto` for the newest whole checkpoint of the run's own, or a checkpoint's directory
 * @throws CheckpointError if the checkpoint is damaged
 * @throws ConfigError if it was trained with another configuration, or going on from there would mix two courses of
 *   training in one folder
 */
export async function findStart(
  paths: RunPaths,
  config: TrainConfig,
  resume: string,
  inform: (message: string) => void,
): Promise<Checkpoint | undefined> {
  if (resume === 'none') return undefined;
  const start =
    resume === 'auto' ? await newestCheckpoint(paths.checkpoints, inform) : await loadGiven(paths, resume);
  if (start === undefined) {
    inform(`No checkpoint in ${paths.directory}: starting at step 0.`);
    return undefined;
  }
  const own = isOwn(paths, start.directory);
  if (own) {
    await requireSameConfig(paths, config, start.directory, inform);
    tellOfLostLogs(paths, start, inform);
  }
  requireSameSeed(config, start);
  inform(
    `Going on from ${basename(start.directory)}, ${start.state.samplesSeen.toLocaleString('en-US')} samples seen.`,
  );
  // The best checkpoint of another run is not here, and would keep this one from having its own.
  return own ? start : { ...start, state: { ...start.state, best: undefined } };
}

const isOwn = (paths: RunPaths, directory: string): boolean =>
  resolve(dirname(directory)) === resolve(paths.checkpoints);

async function loadGiven(paths: RunPaths, directory: string): Promise<Checkpoint> {
  if (!existsSync(directory)) {
    throw new ConfigError(
      `--resume ${directory}: there is no such checkpoint. Give auto, none, or a directory such as ` +
        `${paths.checkpoints}/step-00001000.`,
    );
  }
  const start = await loadCheckpoint(directory);
  const present = await listCheckpoints(paths.checkpoints);
  const inTheWay = isOwn(paths, directory)
    ? present.filter((other) => basename(other) > basename(resolve(directory)))
    : present;
  if (inTheWay.length > 0) {
    throw new ConfigError(
      `${paths.directory} holds ${isOwn(paths, directory) ? 'later checkpoints' : 'checkpoints of its own'}: ` +
        `${inTheWay.map((other) => basename(other)).join(', ')}. ` +
        'Choose another run.name to go on from the one given, or delete them.',
    );
  }
  return start;
}

async function requireSameConfig(
  paths: RunPaths,
  config: TrainConfig,
  checkpoint: string,
  inform: (message: string) => void,
): Promise<void> {
  if (!existsSync(paths.config)) {
    // Model, seed, data and mix are in the checkpoint and are compared; the rest is not.
    inform(
      `Warning: ${paths.config} is gone, so that nobody can tell whether learning rate, batch size, length and the ` +
        'like are those that the run began with. The configuration of now is written in its place. If they are ' +
        'not the same, stop, put the file back, or give another run.name with ' +
        `--resume ${checkpoint}.`,
    );
    return;
  }
  const isConstant = config.train.schedule === 'constant';
  const changes = differences(await loadConfig(paths.config), config).filter(
    ({ path }) => !(isConstant && LENGTH.includes(path)),
  );
  if (changes.length === 0) return;
  const lengthened = changes.some(({ path }) => LENGTH.includes(path))
    ? "With train.schedule: cosine the learning rate depends on the run's whole length, so that a longer run would have " +
      'had others from its first step on; only with train.schedule: constant may the length change. '
    : '';
  throw new ConfigError(
    `${paths.directory} was trained with another configuration:\n${changes.map(({ text }) => `  ${text}`).join('\n')}\n` +
      `${lengthened}Restore ${changes.length === 1 ? 'this key' : 'these keys'} to go on, or begin another run from its ` +
      `newest checkpoint with another run.name and --resume ${checkpoint}.`,
  );
}

/** Both files are there from a run's first step on. */
function tellOfLostLogs(
  { directory }: RunPaths,
  { state }: Checkpoint,
  inform: (message: string) => void,
): void {
  const lost = ['metrics.jsonl', 'eval.jsonl'].filter((name) => !existsSync(join(directory, name)));
  if (lost.length === 0) return;
  inform(
    `Warning: ${lost.join(' and ')} ${lost.length === 1 ? 'is' : 'are'} gone from ${directory}: what was logged up to ` +
      `step ${state.step} is lost, and curves begin after it. To keep it, stop and put the file back.`,
  );
}

function requireSameSeed(config: TrainConfig, { directory, state }: Checkpoint): void {
  if (state.seed === config.train.seed) return;
  throw new ConfigError(
    `${directory} was trained with seed ${state.seed}, the configuration has ${config.train.seed}. ` +
      'Set train.seed to the former, or start a new run.',
  );
}

/** Each key that differs and may not, with both values in its text. */
function differences(before: unknown, now: unknown, path = ''): { path: string; text: string }[] {
  if (FREE.includes(path.replace(/^data\.sources\.\d+\./, 'data.'))) return [];
  if (isTree(before, path) && isTree(now, path)) {
    return [...new Set([...Object.keys(before), ...Object.keys(now)])].flatMap((key) =>
      differences(before[key], now[key], path === '' ? key : `${path}.${key}`),
    );
  }
  if (JSON.stringify(before) === JSON.stringify(now)) return [];
  return [{ path, text: `${path}: was ${show(before)}, is ${show(now)}` }];
}

function isTree(value: unknown, path: string): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && (!Array.isArray(value) || path === 'data.sources');
}

const show = (value: unknown): string => (value === undefined ? 'not set' : JSON.stringify(value));
