/** Folders of the user's cache that stay within a bound by giving up what was used longest ago, as file times tell. */
import { readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';

/** An unfinished file or lock untouched for so long was left by a process that was killed. */
const ABANDONED_MS = 3_600_000;

/** How a folder is bounded. */
export interface FolderBound {
  readonly maxBytes: number;
  /** Whether a file is whole, by its name. Others are unfinished or locks, and are let be while they are touched. */
  readonly isWhole: (name: string) => boolean;
  /** Files used within this time are in use and stay. Default: none are. */
  readonly inUseMs?: number;
}

/**
 * Removes what killed processes left, then whole files, those used longest ago first, until the rest is within the
 * bound. Processes may do so at the same time.
 *
 * @returns the bytes that are left, unfinished files included: over the bound if all that is there is in use
 */
export async function keepWithin(
  folder: string,
  { maxBytes, isWhole, inUseMs = 0 }: FolderBound,
): Promise<number> {
  const found = await Promise.all((await readdir(folder)).map((name) => look(folder, name)));
  const files = found.filter((file) => file !== undefined).sort((a, b) => b.idleMs - a.idleMs);
  let total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  for (const { name, path, bytes, idleMs } of files) {
    const canGo = isWhole(name) ? total > maxBytes && idleMs >= inUseMs : idleMs > ABANDONED_MS;
    if (!canGo) continue;
    await unlink(path).catch(() => undefined);
    total -= bytes;
  }
  return total;
}

/** Undefined if it went away meanwhile. */
async function look(
  folder: string,
  name: string,
): Promise<{ name: string; path: string; bytes: number; idleMs: number } | undefined> {
  const path = join(folder, name);
  const info = await stat(path).catch(() => undefined);
  return info && { name, path, bytes: info.size, idleMs: Date.now() - info.mtimeMs };
}
