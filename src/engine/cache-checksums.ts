/**
 * Checksums of the compile cache's entries. TensorFlow keeps none, and what XLA says of an entry with a changed bit,
 * or computes with it, explains nothing. Beside `NAME.pb` lies `NAME.pb.sha256`: hexadecimal, 64 characters.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ENTRY = '.pb';
const CHECKSUM = '.sha256';

const sha256 = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

/** Paths of a directory's entries. */
export function cacheEntries(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith(ENTRY))
    .map((name) => join(directory, name));
}

/** Whether an entry has its checksum, or none was noted. */
export function fitsChecksum(entry: string): boolean {
  const noted = notedChecksum(entry);
  return noted === undefined || noted === sha256(entry);
}

/** Undefined too if the note itself was cut off. */
function notedChecksum(entry: string): string | undefined {
  const path = entry + CHECKSUM;
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  return /^[0-9a-f]{64}$/.test(text) ? text : undefined;
}

/** Notes the checksums of entries that have none, and removes those of entries that are gone. */
export function noteChecksums(directory: string): void {
  for (const entry of cacheEntries(directory)) {
    if (notedChecksum(entry) !== undefined) continue;
    const part = `${entry}${CHECKSUM}.${process.pid}.tmp`;
    writeFileSync(part, sha256(entry));
    renameSync(part, entry + CHECKSUM);
  }
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (name.endsWith(ENTRY + CHECKSUM) && !existsSync(path.slice(0, -CHECKSUM.length))) unlinkSync(path);
  }
}
