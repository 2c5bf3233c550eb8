/**
 * Memory that is used again. What moves between threads would else be allocated anew for each chunk: the garbage
 * collector counts those bytes and runs every few megabytes, and the system clears each page.
 */

/** Larger pieces are not kept. */
const MAX_KEPT_BYTES = 64 * 2 ** 20;
/** New pieces are longer than asked for by this share, so that the next need, which differs a little, fits too. */
const SLACK = 1 / 4;

/** A few pieces of memory that nobody uses. */
export class SpareMemory {
  readonly #pieces: Uint8Array<ArrayBuffer>[] = [];

  /** @param maxPieces pieces kept at a time */
  constructor(private readonly maxPieces: number) {}

  /** A piece of at least that many bytes, of any content. */
  take(numBytes: number): Uint8Array<ArrayBuffer> {
    const fits = this.#pieces.findIndex(({ length }) => length >= numBytes);
    if (fits >= 0) return this.#pieces.splice(fits, 1)[0] as Uint8Array<ArrayBuffer>;
    return new Uint8Array(Buffer.allocUnsafeSlow(Math.ceil(numBytes * (1 + SLACK))).buffer);
  }

  /** A piece of exactly that many bytes, if there is one. */
  takeExact(numBytes: number): Uint8Array<ArrayBuffer> | undefined {
    const fits = this.#pieces.findIndex(({ length }) => length === numBytes);
    return fits < 0 ? undefined : this.#pieces.splice(fits, 1)[0];
  }

  /** Keeps a piece that its user is done with; the oldest goes if there are too many. */
  put(piece: Uint8Array<ArrayBuffer>): void {
    if (piece.length === 0 || piece.length > MAX_KEPT_BYTES) return;
    this.#pieces.push(piece);
    if (this.#pieces.length > this.maxPieces) this.#pieces.shift();
  }

  clear(): void {
    this.#pieces.length = 0;
  }
}
