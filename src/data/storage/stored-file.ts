/** A file that is read by byte ranges, wherever it is kept. Readers of every format take one. */
import { type FileHandle, open, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { DataError } from '../../errors.js';
import { freeMemory } from '../free-memory.js';

/** A file of known size whose content does not change while it is read. Safe to read concurrently. */
export interface StoredFile {
  /** As the user wrote it, for messages: a path or a URL. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Differs when the content does: time of the last change, ETag, or hash. */
  readonly version: string;
  /** Names the file where `path` leaves out what may be secret: a hash of its whole address. */
  readonly key?: string;
  /** What its server says of the content (ETag, else date): equal while the content is. Undefined if it says nothing. */
  readonly tag?: string;
  /**
   * Reads `length` bytes from `offset`; the result is the caller's own.
   *
   * @throws DataError if the file is not there any more, was changed, or ends earlier.
   */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /** As `read`, of bytes whose neighbours nobody wants, such as a footer. There where that makes a difference. */
  peek?(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /** See {@link openScan}. There where that makes a difference. */
  scan?(): Promise<FileScan>;
}

/** A file that is read in many pieces, one after the other. */
export interface FileScan {
  /** As {@link StoredFile.read}, but the bytes are the caller's until its next read only. */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /** @throws DataError if the file was changed meanwhile */
  close(): Promise<void>;
}

/** Begins to read most of a file in many pieces, for which a local one is held open; to be closed. @throws DataError */
export async function openScan(file: StoredFile): Promise<FileScan> {
  const own = await file.scan?.();
  if (own !== undefined) return own;
  let last: Uint8Array<ArrayBuffer> | undefined;
  const read = async (offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> => {
    const bytes = await file.read(offset, length);
    if (last !== undefined) freeMemory(last); // a scan of a large set would else leave it all to the garbage collector
    last = bytes;
    return bytes;
  };
  return { read, close: async () => {} };
}

/** Reads a few bytes of which the neighbours are not wanted. */
export function peek(file: StoredFile, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  return file.peek === undefined ? file.read(offset, length) : file.peek(offset, length);
}

/** What tells a file, for a purpose, from every other, and from itself before a change. */
export function fileIdentity(
  { path, key, size, version }: Pick<StoredFile, 'path' | 'key' | 'size' | 'version'>,
  ...purpose: readonly (string | number)[]
): string {
  // A relative path means another file in another directory; a URL is absolute.
  const absolute = key ?? (/^[a-z][a-z0-9+.-]*:\/\//i.test(path) ? path : resolve(path));
  return JSON.stringify([...purpose, absolute, size, version]);
}

/** Opens a file of this machine. It is held open only while it is read, so a data set may have any number. */
export async function openLocalFile(path: string): Promise<StoredFile> {
  try {
    const { size, mtimeMs } = await stat(path);
    return new LocalFile(path, size, `${mtimeMs}`);
  } catch (cause) {
    throw new DataError(`${path}: cannot be read (${message(cause)}).`, { cause });
  }
}

class LocalFile implements StoredFile {
  constructor(
    readonly path: string,
    readonly size: number,
    readonly version: string,
  ) {}

  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    // Not cleared, as all of it is read.
    const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
    const file = await this.#open();
    try {
      await this.#check(file);
      await this.#fill(file, bytes, offset);
    } finally {
      await file.close();
    }
    return bytes;
  }

  async scan(): Promise<FileScan> {
    const file = await this.#open();
    let memory = new Uint8Array(0);
    return {
      read: async (offset, length) => {
        if (memory.length < length) memory = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
        const bytes = memory.subarray(0, length);
        await this.#fill(file, bytes, offset);
        return bytes;
      },
      close: async () => {
        try {
          await this.#check(file);
        } finally {
          await file.close();
        }
      },
    };
  }

  async #open(): Promise<FileHandle> {
    try {
      return await open(this.path);
    } catch (cause) {
      const advice = 'Put the file back as it was, then start again.';
      throw new DataError(`${this.path}: cannot be opened any more (${message(cause)}). ${advice}`, {
        cause,
      });
    }
  }

  async #check(file: FileHandle): Promise<void> {
    const { size, mtimeMs } = await file.stat();
    if (size < this.size) throw cutOff(this.path, `${this.size} bytes`, `${size}`);
    if (size !== this.size || `${mtimeMs}` !== this.version) {
      throw new DataError(
        `${this.path}: the file was changed while it was read. Start again, from a copy that stays as it is.`,
      );
    }
  }

  async #fill(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const { bytesRead } = await file.read(bytes, at, bytes.length - at, offset + at);
      if (bytesRead === 0) throw cutOff(this.path, `${offset + bytes.length} bytes`, `${offset + at}`);
      at += bytesRead;
    }
  }
}

/** The error of a shard that ends too early. */
export function cutOff(path: string, expected: string, found: string): DataError {
  return new DataError(
    `${path}: the shard is cut off or damaged: expected ${expected}, found ${found}. Build or copy it again.`,
  );
}

/** The message of anything thrown. */
export function message(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
