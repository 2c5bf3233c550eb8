/** The command line as a user runs it: the compiled program in a process of its own, on a small model and data. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What a process left when it ended. */
export interface Finished {
  /** Null if a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly process: ChildProcess;
  readonly finished: Promise<Finished>;
  /** What it wrote to standard error so far. */
  stderr(): string;
}

/** Collects what a child process, just started, writes until it ends. */
export function follow(child: ChildProcess): Running {
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (part: string) => {
      text[name] += part;
    });
  }
  const finished = once(child, 'close').then(([code, signal]) => ({ code, signal, ...text }));
  return { process: child, finished, stderr: () => text.stderr };
}

/** Starts `capstan` with these arguments. */
export function start(...args: string[]): Running {
  return follow(spawn(process.execPath, ['dist/cli/main.js', ...args]));
}

/** Runs `capstan` with these arguments to its end. */
export function capstan(...args: string[]): Promise<Finished> {
  return start(...args).finished;
}

/** The same where no file may grow beyond `kilobytes`, which a write meets in the way it meets a full disk. */
export function capstanWithin(kilobytes: number, ...args: string[]): Promise<Finished> {
  // POSIX counts the limit in blocks of 512 bytes.
  const command = `ulimit -f ${2 * kilobytes}; exec "$0" "$@"`;
  return follow(spawn('sh', ['-c', command, process.execPath, 'dist/cli/main.js', ...args])).finished;
}

/** `--set` before each of these. */
export const set = (...sets: string[]): string[] => sets.flatMap((text) => ['--set', text]);

/** Builds the emoji set with some 130 pictures to train on, 32 pixels wide. */
export async function buildData(directory: string): Promise<void> {
  const { code, stderr } = await capstan(
    'data',
    'build',
    'emoji',
    '--out',
    directory,
    '--limit',
    '16',
    '--size',
    '32',
  );
  if (code !== 0) throw new Error(stderr);
}

export interface TinyOptions {
  readonly data: string;
  readonly runs: string;
  /** Default: 3. */
  readonly steps?: number;
  /** Default: 2. */
  readonly checkpointEvery?: number;
}

/** Writes a configuration whose steps take milliseconds, and returns its path. */
export async function writeTinyConfig(path: string, options: TinyOptions): Promise<string> {
  const { data, runs, steps = 3, checkpointEvery = 2 } = options;
  const lines = [
    'task: clip',
    'model:',
    '  preset: emoji-tiny',
    '  embedDim: 16',
    '  vision: { imageSize: 32, patchSize: 16, width: 16, depth: 1, headWidth: 16 }',
    '  text: { contextLength: 16, width: 16, depth: 1, numHeads: 1 }',
    'data:',
    `  path: ${data}`,
    '  captions: { alt: 0.5, ssc: 0.5 }',
    '  workers: 1',
    'train:',
    '  batchSize: 8',
    `  steps: ${steps}`,
    '  lr: 1e-3',
    'checkpoint:',
    `  every: ${checkpointEvery}`,
    'engine:',
    '  device: cpu',
    'run:',
    `  dir: ${runs}`,
    '  name: tiny',
  ];
  await writeFile(path, `${lines.join('\n')}\n`);
  return path;
}

export type LoggedRow = Readonly<Record<string, unknown>>;

/** The rows that a run logged; none if it has not yet. */
export async function loggedRows(runDir: string, file = 'metrics.jsonl'): Promise<LoggedRow[]> {
  const text = await readFile(join(runDir, file), 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as LoggedRow);
}

/** What in the rows does not depend on the clock. */
export function untimed(rows: readonly LoggedRow[]): LoggedRow[] {
  const timed = ['stepMs', 'dataWaitMs', 'imgPerSec'];
  return rows.map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => !timed.includes(name))));
}

/** A checkpoint's directory. */
export function checkpointOf(runDir: string, step: number): string {
  return join(runDir, 'checkpoints', `step-${String(step).padStart(8, '0')}`);
}

/** The sha256 of each file of a checkpoint: equal if and only if the checkpoints are, to the bit. */
export async function checkpointDigests(runDir: string, step: number): Promise<Record<string, string>> {
  const names = ['model.safetensors', 'optimizer.safetensors', 'state.json'];
  const digest = async (name: string) => {
    const bytes = await readFile(join(checkpointOf(runDir, step), name));
    return [name, createHash('sha256').update(bytes).digest('hex')] as const;
  };
  return Object.fromEntries(await Promise.all(names.map(digest)));
}
