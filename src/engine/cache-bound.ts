/** Keeps the compile cache from growing without end. */
import { readdirSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { CHECKSUM, cacheEntries, unlessGone } from './cache-checksums.js';

/** A training run's kernels take a few megabytes for each model, batch size and machine. */
const MAX_BYTES = 512 * 2 ** 20;
/** Entries used since are left, whatever they take: another process may have just made them. */
const RECENT_MS = 3_600_000;
/** What `machineKey` gives. */
const DIRECTORY = /^[0-9a-f]{16}$/;

/**
 * Removes the entries that were not used for the longest time until all directories below `root` hold at most
 * `maxBytes`. The time of use is that of the last reading, as exactly as the file system keeps it (most do to a day),
 * or else of the writing.
 *
 * Processes may do so at once, and others may use the cache: TensorFlow reads an entry as a whole when it needs it, and
 * compiles anew what is not there.
 *
 * @throws the file system's error, but not if an entry or `root` is gone
 */
export function boundCache(root: string, maxBytes: number = MAX_BYTES): void {
  const entries: { path: string; bytes: number; usedAt: number }[] = [];
  unlessGone(() => {
    for (const found of readdirSync(root, { withFileTypes: true })) {
      if (!found.isDirectory() || !DIRECTORY.test(found.name)) continue;
      for (const path of cacheEntries(join(root, found.name))) {
        unlessGone(() => {
          const { size, atimeMs, mtimeMs } = statSync(path);
          entries.push({ path, bytes: size, usedAt: Math.max(atimeMs, mtimeMs) });
        });
      }
    }
  });
  let total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
  const before = Date.now() - RECENT_MS;
  for (const { path, bytes, usedAt } of entries.sort((a, b) => a.usedAt - b.usedAt)) {
    if (total <= maxBytes || usedAt > before) return;
    unlessGone(() => unlinkSync(path));
    unlessGone(() => unlinkSync(path + CHECKSUM));
    total -= bytes;
  }
}
