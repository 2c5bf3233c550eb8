/** A file that is written from front to back and appears under its path when it is whole, or not at all. */
import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { DataError } from '../../errors.js';
import { message } from '../storage/stored-file.js';

/** A file being written, beside its place. */
export class PartFile {
  private constructor(
    private readonly path: string,
    private readonly partPath: string,
    private readonly file: FileHandle,
  ) {}

  /** @throws DataError if no file can be made there. */
  static async open(path: string): Promise<PartFile> {
    const partPath = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.part`;
    try {
      return new PartFile(path, partPath, await open(partPath, 'wx'));
    } catch (cause) {
      throw unwritable(path, cause);
    }
  }

  /** Writes behind what was written before. @throws DataError for a failing disk. */
  async append(chunks: readonly Uint8Array[]): Promise<void> {
    try {
      for (const chunk of chunks) await this.file.writeFile(chunk);
    } catch (cause) {
      throw unwritable(this.path, cause);
    }
  }

  /** Brings what was written to the disk and the file to its place. @throws DataError as `append` does. */
  async commit(): Promise<void> {
    try {
      await this.file.sync();
      await this.file.close();
      await rename(this.partPath, this.path);
    } catch (cause) {
      throw unwritable(this.path, cause);
    }
  }

  /** Gives the file up and leaves nothing of it. */
  async discard(): Promise<void> {
    await this.file.close().catch(() => undefined); // it may be closed
    await rm(this.partPath, { force: true });
  }
}

/** The error of a file that could not be written. */
export function unwritable(path: string, cause: unknown): DataError {
  const advice = 'Make room or raise the limit, or choose another place.';
  return new DataError(`${path}: cannot be written (${message(cause)}). ${advice}`, { cause });
}
