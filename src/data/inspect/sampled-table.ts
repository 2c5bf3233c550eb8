/** A hash table of bounded memory: all values while they fit, then a fair sample of them. */

const FIRST_SLOTS = 1024;
/** 2^22 slots hold 2.5 million values. */
const MAX_SLOTS = 2 ** 22;
/** Share of the slots that may be taken. */
const FILL = 0.6;
const EMPTY = -1;

/**
 * Distinct values with some 32-bit numbers each. When the table is full, it keeps the values whose hash ends in a zero bit, then in
 * two, and so on: a sample that does not depend on their order, so that counts of what it holds, times
 * {@link SampledTable.scale}, estimate those of all values without bias. The same values are kept in every table of the
 * same scale.
 */
export class SampledTable {
  #level = 0;
  #size = 0;
  #hashes = new Float64Array(FIRST_SLOTS).fill(EMPTY);
  #columns: Uint32Array[];

  /** @param maxSlots a power of two, from 1,024 on */
  constructor(
    numColumns: number,
    private readonly maxSlots = MAX_SLOTS,
  ) {
    this.#columns = Array.from({ length: numColumns }, () => new Uint32Array(FIRST_SLOTS));
  }

  /** How many values each one that is held stands for; 1 while all are. */
  get scale(): number {
    return 2 ** this.#level;
  }

  /** Values held. */
  get size(): number {
    return this.#size;
  }

  /** Numbers of the values, by their slots. */
  column(index: number): Uint32Array {
    return this.#columns[index] as Uint32Array;
  }

  /** The value in a slot; undefined if it is empty. */
  hashAt(slot: number): number | undefined {
    const hash = this.#hashes[slot] as number;
    return hash === EMPTY ? undefined : hash;
  }

  /** Slots that hold a value. */
  *slots(): Generator<number> {
    for (let slot = 0; slot < this.#hashes.length; slot++) {
      if (this.#hashes[slot] !== EMPTY) yield slot;
    }
  }

  /**
   * The slot of a value, taken with zeros if the value is new; undefined if it is not in the sample. It stands until the
   * next call.
   *
   * @param hash a whole number from 0 to 2^53 - 1, evenly spread
   */
  slotOf(hash: number): number | undefined {
    if (!this.#isSampled(hash)) return undefined;
    const slot = this.#find(hash);
    if (this.#hashes[slot] === hash) return slot;
    if (this.#size + 1 > this.#hashes.length * FILL) {
      this.#makeRoom();
      return this.slotOf(hash);
    }
    this.#hashes[slot] = hash;
    this.#size++;
    return slot;
  }

  #isSampled(hash: number): boolean {
    return ((hash >>> 0) & (2 ** this.#level - 1)) === 0;
  }

  #find(hash: number): number {
    const mask = this.#hashes.length - 1;
    let slot = (Math.imul((hash >>> 0) ^ Math.floor(hash / 2 ** 32), 0x9e3779b1) >>> 8) & mask;
    while (this.#hashes[slot] !== hash && this.#hashes[slot] !== EMPTY) slot = (slot + 1) & mask;
    return slot;
  }

  #makeRoom(): void {
    const [hashes, columns] = [this.#hashes, this.#columns];
    const grows = hashes.length < this.maxSlots;
    if (!grows) this.#level++;
    const slots = grows ? hashes.length * 2 : hashes.length;
    this.#hashes = new Float64Array(slots).fill(EMPTY);
    this.#columns = columns.map(() => new Uint32Array(slots));
    this.#size = 0;
    for (const [from, hash] of hashes.entries()) {
      if (hash === EMPTY || !this.#isSampled(hash)) continue;
      const slot = this.#find(hash);
      this.#hashes[slot] = hash;
      this.#size++;
      for (const [i, column] of columns.entries()) {
        (this.#columns[i] as Uint32Array)[slot] = column[from] as number;
      }
    }
  }
}
