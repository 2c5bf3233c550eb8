/**
 * Checksums of the compile cache's entries. TensorFlow keeps none, and what XLA says of an entry with a changed bit,
 * or computes with it, explains nothing. Beside `NAME.pb` lies `NAME.pb.sha256`: the checksum in hexadecimal, a blank,
 * and a stamp of the file as it was when it was last found to have that checksum. A file that still has its stamp is
 * not read again: all of a large cache takes seconds.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

export const ENTRY = '.pb';
export const CHECKSUM = '.sha256';

interface Note {
  readonly checksum: string;
  /** Empty if the file was not found to have the checksum yet. */
  readonly stamp: string;
}

/** Paths of a directory's entries. */
export function cacheEntries(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith(ENTRY))
    .map((name) => join(directory, name));
}

/**
 * Finds the damaged entries: those that are not whole, or do not have the checksum that was noted.
 *
 * @param isWhole tells of an open file whether it has the form of an entry
 * @returns them, and the checksums of all others that had to be read
 */
export function checkEntries(
  directory: string,
  isWhole: (file: number) => boolean,
): { readonly damaged: readonly string[]; readonly checksums: ReadonlyMap<string, string> } {
  const damaged: string[] = [];
  const checksums = new Map<string, string>();
  for (const entry of cacheEntries(directory)) {
    unlessGone(() => {
      const note = readNote(entry);
      if (note?.stamp === stampOf(entry)) return;
      const checksum = reading(entry, (file) => (isWhole(file) ? sha256(file) : undefined));
      if (checksum === undefined || (note !== undefined && note.checksum !== checksum)) damaged.push(entry);
      else checksums.set(entry, checksum);
    });
  }
  return { damaged, checksums };
}

/**
 * Notes the checksums of entries that have none, and those that are given; removes those of entries that are gone.
 *
 * @param checksums of entries that were just read
 */
export function noteChecksums(directory: string, checksums: ReadonlyMap<string, string> = new Map()): void {
  for (const entry of cacheEntries(directory)) {
    unlessGone(() => {
      const known = checksums.get(entry);
      // One that has a note and lost its stamp is checked at the next start, not taken for good.
      if (known === undefined && readNote(entry) !== undefined) return;
      const stamp = stampOf(entry);
      const part = `${entry}${CHECKSUM}.${process.pid}.tmp`;
      writeFileSync(part, `${known ?? reading(entry, sha256)} ${stamp}`);
      renameSync(part, entry + CHECKSUM);
    });
  }
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (name.endsWith(ENTRY + CHECKSUM) && !existsSync(path.slice(0, -CHECKSUM.length))) {
      unlessGone(() => unlinkSync(path));
    }
  }
}

/** Undefined too if the note itself was cut off. */
function readNote(entry: string): Note | undefined {
  const path = entry + CHECKSUM;
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const [, checksum, stamp] = /^([0-9a-f]{64})(?: (.*))?$/.exec(text) ?? [];
  return checksum === undefined ? undefined : { checksum, stamp: stamp ?? '' };
}

/** Tells a boot of this machine from others: after a crash, a file may lack what was written last. */
const boot = existsSync('/proc/sys/kernel/random/boot_id')
  ? readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  : '';

/** Changes when the file is written to or replaced, and when the machine is started again. */
function stampOf(entry: string): string {
  const { size, mtimeMs, ino } = statSync(entry);
  return `${size} ${mtimeMs} ${ino} ${boot}`;
}

const sha256 = (file: number): string => createHash('sha256').update(readFileSync(file)).digest('hex');

/** Reads a file in a way that does not count as its use, where the system lets it. */
function reading<T>(path: string, read: (file: number) => T): T {
  const file = openUnused(path);
  try {
    return read(file);
  } finally {
    closeSync(file);
  }
}

function openUnused(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | (constants.O_NOATIME ?? 0));
  } catch (error) {
    // Another user's file.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
    return openSync(path, 'r');
  }
}

/** For files that another process may remove at any time. */
export function unlessGone(work: () => void): void {
  try {
    work();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
