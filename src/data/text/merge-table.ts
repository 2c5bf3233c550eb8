/**
 * The merges of a byte-pair vocabulary in memory that threads can share: a hash table with linear probing. A `Map` of
 * them would take each thread a tenth of a second to fill, and megabytes.
 */
import type { MergeLookup } from './bpe.js';

const SLOT_BITS = 17;
const NUM_SLOTS = 2 ** SLOT_BITS;
/** What it holds at most: fuller, it would be slow. */
const MAX_MERGES = NUM_SLOTS / 2;
/** 2^32 over the golden ratio: neighbouring pairs come to lie far apart. */
const MULTIPLIER = 0x9e3779b1;

/** From a pair of ids (`pairKey`) to the id of their merge, which is never 0. */
export class MergeTable implements MergeLookup {
  /** Bytes of {@link memory}. */
  static readonly BYTES = NUM_SLOTS * (Uint32Array.BYTES_PER_ELEMENT + Uint16Array.BYTES_PER_ELEMENT);
  readonly #keys: Uint32Array;
  /** 0 where a slot is free. */
  readonly #merged: Uint16Array;
  #size = 0;

  /** @param memory that of another table, whose merges this one then has; zeros for an empty one */
  constructor(memory: ArrayBufferLike = new ArrayBuffer(MergeTable.BYTES)) {
    this.#keys = new Uint32Array(memory, 0, NUM_SLOTS);
    this.#merged = new Uint16Array(memory, this.#keys.byteLength, NUM_SLOTS);
  }

  /** The id of the merge of a pair, if there is one. */
  get(key: number): number | undefined {
    const merged = this.#merged[this.#slotOf(key)] as number;
    return merged === 0 ? undefined : merged;
  }

  /** Adds a merge. @throws RangeError if there are too many */
  set(key: number, merged: number): void {
    if (this.#size === MAX_MERGES) throw new RangeError(`a merge table holds ${MAX_MERGES} merges at most`);
    const slot = this.#slotOf(key);
    if (this.#merged[slot] === 0) this.#size++;
    this.#keys[slot] = key;
    this.#merged[slot] = merged;
  }

  /** The slot of a pair, or the free one where it belongs. */
  #slotOf(key: number): number {
    let slot = Math.imul(key, MULTIPLIER) >>> (32 - SLOT_BITS);
    while (this.#merged[slot] !== 0 && this.#keys[slot] !== key) slot = (slot + 1) % NUM_SLOTS;
    return slot;
  }
}
