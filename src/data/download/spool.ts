/**
 * Images of a shard whose earlier rows are still under way. They wait on the disk: a single slow server would else have
 * the memory filled with what came meanwhile.
 */
import { type FileHandle, open, rm } from 'node:fs/promises';
import { DataError } from '../../errors.js';
import { message } from '../storage/stored-file.js';

/** A file of images in the order in which they came. */
export class Spool {
  #end = 0;

  private constructor(
    private readonly path: string,
    private readonly file: FileHandle,
  ) {}

  /** @throws DataError if the file cannot be made */
  static async open(path: string): Promise<Spool> {
    try {
      return new Spool(path, await open(path, 'w+'));
    } catch (cause) {
      throw unwritable(path, cause);
    }
  }

  /** Writes bytes; several at a time do no harm. @returns where they are @throws DataError for a full disk */
  async append(bytes: Uint8Array): Promise<number> {
    const offset = this.#end;
    this.#end += bytes.length;
    try {
      for (let at = 0; at < bytes.length; ) {
        const { bytesWritten } = await this.file.write(bytes, at, bytes.length - at, offset + at);
        at += bytesWritten;
      }
    } catch (cause) {
      throw unwritable(this.path, cause);
    }
    return offset;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const { bytesRead } = await this.file.read(bytes, at, length - at, offset + at);
      if (bytesRead === 0) throw new DataError(`${this.path}: ended early. Start the download again.`);
      at += bytesRead;
    }
    return bytes;
  }

  async remove(): Promise<void> {
    await this.file.close();
    await rm(this.path, { force: true });
  }
}

function unwritable(path: string, cause: unknown): DataError {
  return new DataError(
    `${path}: cannot be written (${message(cause)}). Make room, then start again: finished shards are kept.`,
    { cause },
  );
}
