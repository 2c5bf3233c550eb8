/** A run's folder: what it holds, and who may write into it. */
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus, hostname } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { EngineInfo } from '../engine/index.js';
import { ConfigError } from '../errors.js';
import { writeFileAtomically } from '../safetensors.js';

/** Paths in a run's folder. */
export function runPaths(directory: string) {
  return {
    directory,
    config: join(directory, 'config.yaml'),
    versions: join(directory, 'versions.json'),
    checkpoints: join(directory, 'checkpoints'),
    lock: join(directory, '.lock'),
  } as const;
}

export type RunPaths = ReturnType<typeof runPaths>;

/**
 * Claims a run's folder for this process.
 *
 * @param mayExist whether an earlier run may be continued there
 * @returns a function that gives the folder up
 * @throws ConfigError if the folder holds another run, another process trains in it, or it cannot be written
 */
export async function claimRunFolder(paths: RunPaths, mayExist: boolean): Promise<() => Promise<void>> {
  const { directory, lock } = paths;
  const present = (await readdir(directory).catch(() => [])).filter((name) => name !== '.lock');
  if (present.length > 0 && !mayExist) {
    throw new ConfigError(
      `${directory} holds a run already. Continue it with --resume auto, or choose another run.name.`,
    );
  }
  try {
    await mkdir(directory, { recursive: true });
  } catch (error) {
    throw notWritable(directory, error);
  }
  for (;;) {
    try {
      await writeFile(lock, `${process.pid}\n${hostname()}\n`, { flag: 'wx' });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw notWritable(directory, error);
      const [pid, host] = (await readFile(lock, 'utf8').catch(() => '')).split('\n');
      if (host === hostname() && !isAlive(Number(pid))) {
        await rm(lock, { force: true });
        continue;
      }
      throw new ConfigError(
        `Process ${pid} on ${host} trains in ${directory}. Wait for it, or delete ${lock} if it is gone.`,
      );
    }
  }
  return () => rm(lock, { force: true });
}

function notWritable(directory: string, error: unknown): ConfigError {
  return new ConfigError(
    `Cannot write into the run's folder ${directory}: ${(error as Error).message}. ` +
      'Choose another run.dir, or make room and give this user the right to write there.',
    { cause: error },
  );
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Writes versions.json: what the run's numbers may depend on besides its configuration. */
export async function writeVersions(paths: RunPaths, engine: EngineInfo, seed: number): Promise<void> {
  const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  const versions = {
    capstan: version,
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

async function gitCommit(): Promise<string | null> {
  try {
    const here = new URL('.', import.meta.url);
    const { stdout } = await promisify(execFile)('git', ['rev-parse', 'HEAD'], { cwd: here, timeout: 5000 });
    return stdout.trim();
  } catch {
    return null;
  }
}
