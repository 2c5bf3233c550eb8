/**
 * Which samples of the order make up a batch. A batch has a number of slots; slot i takes the i-th next position. Where
 * that sample cannot be used, the slot takes the next position after all those taken, in order of the slots, and so on
 * in rounds. So one sample that fails moves no other from its slot, and ranks that own slots need to tell each other
 * only which of them failed.
 */

/** A slot and the position that it is to take. */
export interface SlotRequest {
  readonly slot: number;
  readonly position: number;
}

/** The slots of one batch. */
export class Slots {
  /** Position that each slot holds or waits for; undefined where the epoch has none left. */
  readonly #positions: (number | undefined)[];
  readonly #end: number;
  #next: number;
  #pending: SlotRequest[] = [];

  /**
   * @param start position at which the batch begins
   * @param end positions of the epoch
   */
  constructor(batchSize: number, start: number, end: number) {
    this.#positions = new Array<number | undefined>(batchSize).fill(undefined);
    this.#next = start;
    this.#end = end;
    this.#request([...this.#positions.keys()]);
  }

  /** What the slots that have no sample yet are to take, in order of the slots. */
  get pending(): readonly SlotRequest[] {
    return this.#pending;
  }

  /** The first position that no slot has taken. */
  get next(): number {
    return this.#next;
  }

  /** The filled slots, in order. To be asked when none is pending. */
  filled(): SlotRequest[] {
    return this.#positions.flatMap((position, slot) => (position === undefined ? [] : [{ slot, position }]));
  }

  /** Ends a round. @param failed the pending slots, rising, whose samples cannot be used */
  settle(failed: readonly number[]): void {
    this.#pending = [];
    for (const slot of failed) this.#positions[slot] = undefined;
    this.#request(failed);
  }

  #request(slots: readonly number[]): void {
    for (const slot of slots) {
      if (this.#next >= this.#end) return;
      const position = this.#next++;
      this.#positions[slot] = position;
      this.#pending.push({ slot, position });
    }
  }
}
