/** Reads what tells how a file is laid out: its ends, and heads with much between them that nobody wants yet. */
import { mapConcurrently } from '../map-concurrently.js';
import { peek, type StoredFile } from '../storage/stored-file.js';

/** Kept of the end of the file, where footers are, and read at its start, where schemas are. */
const END_BYTES = 64 * 1024;
/** Read at least, for one head often comes soon after another. */
const WINDOW_BYTES = 4096;
/** Heads closer to each other are read with what is between them, as any reader from front to back does. */
const FAR_BYTES = 1024 * 1024;
const AT_ONCE = 16;

type Bytes = Uint8Array<ArrayBuffer>;

/** Reads few bytes in few requests, and holds those that it read last. */
export class SparseReader {
  readonly #ahead = new Map<number, Bytes>();
  #tail: Promise<Bytes> | undefined;
  #held: { readonly start: number; readonly bytes: Bytes } | undefined;
  #end = 0;

  constructor(private readonly file: StoredFile) {}

  /** The bytes, as the caller's own. @throws DataError as the file's `read` */
  async read(offset: number, length: number): Promise<Bytes> {
    const { size } = this.file;
    const tailStart = Math.max(0, size - END_BYTES);
    if (offset >= tailStart && offset + length <= size) {
      this.#tail ??= peek(this.file, tailStart, size - tailStart);
      return (await this.#tail).slice(offset - tailStart, offset - tailStart + length);
    }
    if (!this.#holds(offset, length)) {
      const ahead = this.#ahead.get(offset);
      const wanted = Math.min(Math.max(length, offset === 0 ? END_BYTES : WINDOW_BYTES), size - offset);
      const isFar = this.#end === 0 || offset - this.#end >= FAR_BYTES;
      const bytes =
        ahead !== undefined && ahead.length >= length
          ? ahead
          : await (isFar ? peek(this.file, offset, wanted) : this.file.read(offset, wanted));
      this.#held = { start: offset, bytes };
      this.#end = offset + bytes.length;
    }
    const { start, bytes } = this.#held as { start: number; bytes: Bytes };
    return bytes.slice(offset - start, offset - start + length);
  }

  /** Reads heads at these places, which rise, at the same time, as far as they are far apart. */
  async ahead(offsets: readonly number[]): Promise<void> {
    if (this.file.peek === undefined) return; // a disk is not waited for
    const far = offsets.filter((offset, i) => i > 0 && offset - (offsets[i - 1] as number) >= FAR_BYTES);
    await mapConcurrently(far, AT_ONCE, async (offset) => {
      const length = Math.min(WINDOW_BYTES, this.file.size - offset);
      if (length > 0) this.#ahead.set(offset, await peek(this.file, offset, length));
    });
  }

  #holds(offset: number, length: number): boolean {
    const held = this.#held;
    return held !== undefined && offset >= held.start && offset + length <= held.start + held.bytes.length;
  }
}
