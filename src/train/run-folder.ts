/** A run's folder: what it holds, and who may write into it. */
import { execFile } from 'node:child_process';
import { readdir, readFile, realpath } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeDirectories, removeEmptyDirectories } from '../directories.js';
import type { EngineInfo } from '../engine/index.js';
import { CheckpointError, ConfigError } from '../errors.js';
import { takeLock } from '../lock.js';
import type { ClipConfig } from '../models/clip/index.js';
import { writeFileAtomically } from '../safetensors.js';

/** Paths in a run's folder. */
export function runPaths(directory: string) {
  return {
    directory,
    config: join(directory, 'config.yaml'),
    versions: join(directory, 'versions.json'),
    /** A copy of the run's tokenizer.json, if it has one: the model is of no use without. */
    tokenizer: join(directory, 'tokenizer.json'),
    checkpoints: join(directory, 'checkpoints'),
    /** Embeddings that evaluations keep. */
    features: join(directory, 'features'),
    lock: join(directory, '.lock'),
  } as const;
}

export type RunPaths = ReturnType<typeof runPaths>;

/**
 * Claims a run's folder for this process.
 *
 * @param mayExist whether an earlier run may be continued there
 * @param inform told why it takes a while, if it does
 * @returns a function that gives the folder up, and removes what was made for it if nothing was put there: a run
 *   that is refused leaves nothing behind
 * @throws ConfigError if the folder holds another run or another process trains in it; CheckpointError if it cannot be
 *   written
 */
export async function claimRunFolder(
  { directory, lock }: RunPaths,
  mayExist: boolean,
  inform: (message: string) => void = () => {},
): Promise<() => Promise<void>> {
  const refuseOtherRun = async (): Promise<void> => {
    if (mayExist) return;
    const present = (await readdir(directory).catch(() => [])).filter((name) => !name.startsWith('.lock'));
    if (present.length === 0) return;
    throw new ConfigError(
      `${directory} holds a run already. Continue it with --resume auto, or choose another run.name.`,
    );
  };
  await refuseOtherRun();
  let release: () => Promise<void>;
  let made: string | undefined;
  try {
    made = await makeDirectories(directory);
    const unlock = await takeLock(lock, {
      onWait: ({ pid, host }) =>
        inform(`${directory} is locked by process ${pid} on ${host}: looking whether that is still there.`),
      refusal: ({ pid, host }) =>
        new ConfigError(
          `Process ${pid} on ${host} trains in ${directory}. Wait for it, or choose another run.name.`,
        ),
    });
    release = async () => {
      await unlock();
      await removeEmptyDirectories(directory, made);
    };
  } catch (error) {
    await removeEmptyDirectories(directory, made);
    throw error instanceof ConfigError ? error : notWritable(directory, error);
  }
  try {
    // One that began and ended in the meantime.
    await refuseOtherRun();
  } catch (error) {
    await release();
    throw error;
  }
  return release;
}

function notWritable(directory: string, error: unknown): CheckpointError {
  return new CheckpointError(
    `Cannot write into the run's folder ${directory}: ${(error as Error).message}. ` +
      'Choose another run.dir, or make room and give this user the right to write there.',
    { cause: error },
  );
}

/** The version of this package. */
export async function capstanVersion(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** Writes versions.json: what the run's numbers may depend on besides its configuration. */
export async function writeVersions(paths: RunPaths, engine: EngineInfo, seed: number): Promise<void> {
  const versions = {
    capstan: await capstanVersion(),
    commit: await gitCommit(),
    node: process.version,
    tensorflow: engine.tensorflow,
    device: engine.device,
    devices: engine.devices.map(({ name, type }) => `${type} ${name}`),
    threads: engine.threads,
    platform: `${process.platform} ${process.arch}`,
    processor: cpus()[0]?.model ?? 'unknown',
    seed,
  };
  await writeFileAtomically(paths.versions, `${JSON.stringify(versions, null, 2)}\n`);
}

/** Copies the run's tokenizer.json, if it has one, so that the run can be evaluated wherever the file goes. */
export async function keepTokenizer(
  paths: RunPaths,
  model: ClipConfig,
  tokenizer: string | undefined,
): Promise<void> {
  if (model.text.tokenizer === undefined || tokenizer === undefined) return;
  await writeFileAtomically(paths.tokenizer, await readFile(tokenizer));
}

async function gitCommit(): Promise<string | null> {
  try {
    const root = await realpath(new URL('../../', import.meta.url));
    const ask = ['rev-parse', '--show-toplevel', 'HEAD'];
    const { stdout } = await promisify(execFile)('git', ask, { cwd: root, timeout: 5000 });
    const [top, commit] = stdout.trim().split('\n');
    // Installed as a dependency, it lies in a repository of the user's, whose commits are none of ours.
    return top !== undefined && (await realpath(top)) === root ? (commit ?? null) : null;
  } catch {
    return null;
  }
}
