import { statfs } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { makeDirectories } from '../directories.js';
import { AssetError } from '../errors.js';

/**
 * Directory of everything that capstan keeps per user: `$CAPSTAN_CACHE`, else `$XDG_CACHE_HOME/capstan`,
 * else `~/.cache/capstan`. It may be deleted at any time when no run is active.
 */
export function cacheDirectory(): string {
  const own = process.env.CAPSTAN_CACHE;
  if (own) return own;
  const xdg = process.env.XDG_CACHE_HOME;
  // The XDG specification has relative paths ignored.
  if (xdg && isAbsolute(xdg)) return join(xdg, 'capstan');
  return join(homedir(), '.cache', 'capstan');
}

/** Creates `directory` and its parents. @throws AssetError that names the directory and the way out. */
export async function makeDirectory(directory: string): Promise<void> {
  try {
    await makeDirectories(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw notWritable(directory, error);
    throw describeFileError(error, directory);
  }
}

function notWritable(path: string, cause: unknown): AssetError {
  const { code } = cause as NodeJS.ErrnoException;
  return new AssetError(
    `Cannot write ${path} (${code}). Make it writable, or set CAPSTAN_CACHE to a directory that is.`,
    { cause },
  );
}

/** Bytes that the user may still write to the file system of `directory`, which exists. */
export async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

/** @throws AssetError when fewer than `needed` bytes are free where `directory` lies. */
export async function requireSpace(directory: string, needed: number, purpose: string): Promise<void> {
  const free = await freeBytes(directory);
  if (free >= needed) return;
  throw new AssetError(
    `Disk full: ${purpose} needs ${formatBytes(needed)} in ${directory}, where ${formatBytes(free)} are free. ` +
      'Free some space, or set CAPSTAN_CACHE to a directory on a larger disk.',
  );
}

/** Turns a failed file operation in the cache into an AssetError with a cure; other errors pass unchanged. */
export function describeFileError(error: unknown, path: string): Error {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new AssetError(
      `Disk full (${code}) while writing ${path}. Free some space, or set CAPSTAN_CACHE to a directory on a ` +
        'larger disk.',
      { cause: error },
    );
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOTDIR') {
    return notWritable(path, error);
  }
  return error instanceof Error ? error : new Error(String(error));
}

/** `273829956` → `261.1 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
