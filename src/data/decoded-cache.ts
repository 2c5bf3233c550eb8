/** Decoded images in memory that all decoding threads share, kept from epoch to epoch. */
import type { DecodedImage } from './image/decode.js';

/** Where an image lies in the cache, and what is to be known of it. */
export interface Placement extends Omit<DecodedImage, 'data'> {
  readonly offset: number;
}

/** Bytes at the beginning that hold how many are in use. */
const HEAD = 8;

/**
 * Images one after the other, in the order in which threads decoded them. When it is full nothing more is kept
 * and nothing dropped: an epoch asks for each image once, in an order of its own, so that dropping the oldest
 * would drop what is about to be asked for.
 */
export class DecodedCache {
  readonly #used: BigInt64Array;
  readonly #bytes: Uint8Array;

  /** The cache in that memory, which a thread got from {@link DecodedCache.allocate}. */
  constructor(readonly memory: SharedArrayBuffer) {
    this.#used = new BigInt64Array(memory, 0, 1);
    this.#bytes = new Uint8Array(memory, HEAD);
  }

  /** An empty cache for that many bytes of pixels; undefined for none. */
  static allocate(bytes: number): DecodedCache | undefined {
    return bytes > 0 ? new DecodedCache(new SharedArrayBuffer(HEAD + bytes)) : undefined;
  }

  /** Keeps the image if there is room. Threads may call it at the same time. */
  put({ data, ...facts }: DecodedImage): Placement | undefined {
    const offset = Number(Atomics.add(this.#used, 0, BigInt(data.length)));
    if (offset + data.length > this.#bytes.length) return undefined;
    this.#bytes.set(data, offset);
    return { ...facts, offset };
  }

  /** The image at that place; its pixels are the cache's own and not to be changed. */
  get({ offset, ...facts }: Placement): DecodedImage {
    const length = facts.width * facts.height * facts.channels;
    return { ...facts, data: this.#bytes.subarray(offset, offset + length) };
  }
}
