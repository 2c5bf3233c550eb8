/** The directory in which TensorFlow keeps what XLA compiled. */
import { fstatSync, readdirSync, readSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { makeDirectories } from '../directories.js';
import { boundCache } from './cache-bound.js';
import { checkEntries, noteChecksums, unlessGone } from './cache-checksums.js';

/**
 * Flags for `TF_XLA_FLAGS` that keep compiled kernels in `directory`, which is made if need be. What it and the
 * directories of other machines beside it hold is kept within bounds.
 *
 * The cache only saves time, but TensorFlow fails the call that meets a broken file or cannot write a new one. So broken
 * files are removed here, a directory that cannot be written to is only read, and one that is of no use is left
 * alone: no flags. What this process adds gets its checksums when it ends; of one that was killed, at the next start.
 *
 * @param warn told of entries that were damaged and are compiled anew
 */
export async function compileCacheFlags(
  directory: string,
  warn: (message: string) => void,
): Promise<string[]> {
  try {
    await makeDirectories(directory);
    const writable = isWritable(directory);
    ignoringErrors(() => boundCache(dirname(directory)));
    const { damaged, checksums } = checkEntries(directory, isWhole);
    for (const path of damaged) unlessGone(() => unlinkSync(path));
    if (damaged.length > 0) {
      const names = damaged.map((path) => basename(path)).join(', ');
      warn(`Damaged files of the compile cache ${directory} were removed and are compiled anew: ${names}.`);
    }
    if (writable) {
      removeLeftovers(directory);
      noteChecksums(directory, checksums);
      process.once('exit', () => ignoringErrors(() => noteChecksums(directory)));
    }
    return [
      `--tf_xla_persistent_cache_directory=${quoted(directory)}`,
      ...(writable ? [] : ['--tf_xla_persistent_cache_read_only=true']),
    ];
  } catch {
    return [];
  }
}

/** A flag's value as TensorFlow reads it from the environment, where blanks end a flag. */
export function quoted(value: string): string {
  return /[\s"']/.test(value) ? `"${value.replace(/["\\]/g, '\\$&')}"` : value;
}

/** About as much as the kernels of a training step take. */
const PROBE_BYTES = 2 ** 20;

/** Tries it: permissions, quotas and space, whatever the system has. */
function isWritable(directory: string): boolean {
  const path = join(directory, `probe-${process.pid}.tmp`);
  try {
    writeFileSync(path, new Uint8Array(PROBE_BYTES));
    return true;
  } catch {
    return false;
  } finally {
    ignoringErrors(() => unlinkSync(path));
  }
}

/** Age at which no process writes a temporary file any more. */
const LEFTOVER_MS = 3_600_000;

/** Removes the temporary files of processes that were killed in the midst of writing. */
function removeLeftovers(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (!name.endsWith('.tmp')) continue;
    const path = join(directory, name);
    ignoringErrors(() => {
      if (Date.now() - statSync(path).mtimeMs > LEFTOVER_MS) unlinkSync(path);
    });
  }
}

/** For what another process may have done already, or the disk may refuse without harm. */
function ignoringErrors(work: () => void): void {
  try {
    work();
  } catch {
    // As said.
  }
}

const LENGTH_DELIMITED = 2;

/**
 * Whether a file is one message of length-delimited fields that ends where the file does, as TensorFlow's entries (key,
 * program and machine code) are: false if it was cut off, or is something else. Reads a few bytes a field.
 */
function isWhole(file: number): boolean {
  const { size } = fstatSync(file);
  const head = new Uint8Array(11);
  let at = 0;
  let fields = 0;
  while (at < size) {
    const read = readSync(file, head, 0, head.length, at);
    if (((head[0] as number) & 7) !== LENGTH_DELIMITED) return false;
    let length = 0;
    let i = 1;
    for (let scale = 1; ; scale *= 128) {
      if (i >= read) return false;
      const byte = head[i++] as number;
      length += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    at += i + length;
    fields++;
  }
  return at === size && fields > 0;
}
