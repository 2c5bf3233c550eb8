/** Files held open for reading, the last ones used: a store may have more shards than a process may have files. */
import { type FileHandle, open } from 'node:fs/promises';

const MAX_OPEN = 64;

interface Held {
  readonly file: Promise<FileHandle>;
  users: number;
}

/** Reads ranges of files, which it opens and closes itself. Safe to call concurrently. */
export class OpenFiles {
  /** By path, the one used last at the end. */
  readonly #held = new Map<string, Held>();

  /**
   * Bytes of a file; fewer than asked for where it ends. They begin a buffer of their own.
   *
   * @throws the file system's error
   */
  async read(path: string, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const held = this.#take(path);
    try {
      const bytes = new Uint8Array(length);
      const file = await held.file;
      for (let at = 0; at < length; ) {
        const { bytesRead } = await file.read(bytes, at, length - at, offset + at);
        if (bytesRead === 0) return bytes.subarray(0, at);
        at += bytesRead;
      }
      return bytes;
    } finally {
      held.users--;
    }
  }

  /** Closes all of them. No read may be under way. */
  async close(): Promise<void> {
    const all = [...this.#held.values()];
    this.#held.clear();
    await Promise.all(all.map(({ file }) => closeQuietly(file)));
  }

  #take(path: string): Held {
    const held = this.#held.get(path) ?? this.#open(path);
    this.#held.delete(path);
    this.#held.set(path, held);
    held.users++;
    return held;
  }

  #open(path: string): Held {
    for (const [other, { file, users }] of this.#held) {
      if (this.#held.size < MAX_OPEN) break;
      if (users > 0) continue;
      this.#held.delete(other);
      void closeQuietly(file);
    }
    const file = open(path, 'r');
    file.catch(() => this.#held.delete(path)); // the next read finds it mended, or says so again
    return { file, users: 0 };
  }
}

/** What was only read has nothing to lose. */
const closeQuietly = (file: Promise<FileHandle>): Promise<void> =>
  file.then((opened) => opened.close()).catch(() => undefined);
