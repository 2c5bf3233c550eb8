/**
 * Memory for pieces of any size that come and go, used again by classes of size. Memory for each anew would have the
 * garbage collector run every few megabytes, since it counts those bytes, and the system clear each page.
 */
import { freeMemory } from './free-memory.js';

/** Classes to each doubling of the size: at most a fifth of a piece is left over. */
const CLASSES_PER_DOUBLING = 4;

/** The size of the smallest class that holds so many bytes. */
function classSize(numBytes: number): number {
  const doubling = 2 ** Math.floor(Math.log2(Math.max(numBytes, CLASSES_PER_DOUBLING)));
  const step = doubling / CLASSES_PER_DOUBLING;
  return Math.ceil(numBytes / step) * step;
}

/** Copies of bytes in memory that is used again. */
export class SizedMemory {
  readonly #spare = new Map<number, ArrayBuffer[]>();
  #spareBytes = 0;

  /** @param maxBytes kept while nobody uses them */
  constructor(private readonly maxBytes: number) {}

  /** The bytes in memory of their own, which may be longer. */
  copy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    const size = classSize(bytes.length);
    let buffer = this.#spare.get(size)?.pop();
    if (buffer === undefined) buffer = new Uint8Array(Buffer.allocUnsafeSlow(size).buffer).buffer;
    else this.#spareBytes -= size;
    const copy = new Uint8Array(buffer, 0, bytes.length);
    copy.set(bytes);
    return copy;
  }

  /** Takes a copy's memory back; nobody may look at it afterwards. */
  put(copy: Uint8Array<ArrayBuffer>): void {
    const { buffer } = copy;
    if (this.#spareBytes + buffer.byteLength > this.maxBytes) {
      freeMemory(copy);
      return;
    }
    const spare = this.#spare.get(buffer.byteLength);
    if (spare === undefined) this.#spare.set(buffer.byteLength, [buffer]);
    else spare.push(buffer);
    this.#spareBytes += buffer.byteLength;
  }

  clear(): void {
    this.#spare.clear();
    this.#spareBytes = 0;
  }
}
