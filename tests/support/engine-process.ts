/** The engine in processes of its own: scripts that import the built package. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Finished, follow } from './cli.js';

const dist = (path: string): string => JSON.stringify(pathToFileURL(resolve('dist', path)).href);

/** What every script begins with: capstan's exports and the session, whose binding counts native handles. */
const PRELUDE = [
  `import * as capstan from ${dist('index.js')};`,
  `import { session } from ${dist('engine/session.js')};`,
  'const { compile, createVariable, startEngine, tf } = capstan;',
  '',
].join('\n');

export interface ScriptOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** No file may grow beyond this many KiB, which a write meets as it meets a full disk. */
  readonly maxFileKilobytes?: number;
}

/**
 * Runs a module, `script.mjs`, that uses `capstan`, some of its names directly, and `session`. A process that
 * hangs is killed after a minute: its code is null then.
 */
export async function runScript(script: string, options: ScriptOptions = {}): Promise<Finished> {
  const directory = await mkdtemp(join(tmpdir(), 'capstan-script-'));
  try {
    const path = join(directory, 'script.mjs');
    await writeFile(path, PRELUDE + script);
    const env = { ...process.env, ...options.env };
    // What an engine in this process has set.
    for (const name of ['XLA_FLAGS', 'TF_XLA_FLAGS']) if (!(name in (options.env ?? {}))) delete env[name];
    const limit = options.maxFileKilobytes;
    const command = `${limit === undefined ? '' : `ulimit -f ${2 * limit}; `}exec "$0" "$@"`;
    const child = spawn('sh', ['-c', command, process.execPath, path], {
      env,
      timeout: 60_000,
      killSignal: 'SIGKILL',
    });
    return await follow(child).finished;
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** The number of lines that {@link runScript} puts before a script. */
export const PRELUDE_LINES = PRELUDE.split('\n').length - 1;
