/** A set of 64-bit digests that takes 8 to 16 bytes for each: lists have hundreds of millions of rows. */

const INITIAL_SLOTS = 1024;

/**
 * Digests by their first eight bytes, which must be those of a cryptographic hash: among a hundred million, two that
 * differ are taken for one with a chance of 3 in 10,000.
 */
export class DigestSet {
  #slots = new BigUint64Array(INITIAL_SLOTS);
  #size = 0;
  /** Zero marks an empty slot. */
  #hasZero = false;

  get size(): number {
    return this.#size;
  }

  /** Adds a digest; tells whether it was not there before. */
  add(digest: Uint8Array): boolean {
    const value = new DataView(digest.buffer, digest.byteOffset, 8).getBigUint64(0);
    if (value === 0n) {
      if (this.#hasZero) return false;
      this.#hasZero = true;
      this.#size++;
      return true;
    }
    if (!place(this.#slots, value)) return false;
    this.#size++;
    if (2 * this.#size > this.#slots.length) this.#grow();
    return true;
  }

  #grow(): void {
    const slots = new BigUint64Array(2 * this.#slots.length);
    for (const value of this.#slots) if (value !== 0n) place(slots, value);
    this.#slots = slots;
  }
}

/** Puts a value into the first free slot from its own on; false if it is there already. */
function place(slots: BigUint64Array, value: bigint): boolean {
  const mask = slots.length - 1; // a power of two
  for (let at = Number(BigInt.asUintN(32, value)) & mask; ; at = (at + 1) & mask) {
    const found = slots[at];
    if (found === value) return false;
    if (found === 0n) {
      slots[at] = value;
      return true;
    }
  }
}
