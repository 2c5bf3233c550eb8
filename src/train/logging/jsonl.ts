/** JSON lines that survive a crash and a resumption: one row per line, each row with its step. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { DataError } from '../../errors.js';
import { cannotWrite } from '../../safetensors.js';

/**
 * Cuts a file after its last row up to a step, so that a run resumed there writes what an uninterrupted one
 * would have written. A last line that a crash cut off goes, too. Without a file nothing happens.
 *
 * @throws DataError if a line that is not the last is no row with a step
 */
export function truncateAfterStep(path: string, step: number): void {
  if (!existsSync(path)) return;
  const bytes = readFileSync(path);
  let end = 0;
  for (let line = 1; end < bytes.length; line++) {
    const newline = bytes.indexOf(0x0a, end);
    if (newline < 0 || stepOf(bytes.toString('utf8', end, newline), path, line) > step) break;
    end = newline + 1;
  }
  if (end === bytes.length) return;
  const file = openSync(path, 'r+');
  try {
    ftruncateSync(file, end);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function stepOf(text: string, path: string, line: number): number {
  try {
    const { step } = JSON.parse(text) as { step?: unknown };
    if (typeof step === 'number') return step;
  } catch {
    // Reported below.
  }
  throw new DataError(
    `${path}, line ${line}: expected a row with a step, found ${JSON.stringify(text.slice(0, 80))}.`,
  );
}

/** Appends rows to a file. */
export class JsonlWriter {
  readonly #path: string;
  readonly #file: number;

  constructor(path: string) {
    this.#path = path;
    this.#file = openSync(path, 'a');
  }

  /**
   * Appends a row in one write, so that only a crash of the machine or a full disk can cut it.
   *
   * @throws CheckpointError if the disk is full; the rows before stay
   */
  append(row: object): void {
    try {
      writeFileSync(this.#file, `${JSON.stringify(row)}\n`);
    } catch (error) {
      throw cannotWrite(this.#path, error);
    }
  }

  /** Returns when the rows are on the disk. */
  flush(): void {
    fsyncSync(this.#file);
  }

  close(): void {
    closeSync(this.#file);
  }
}
