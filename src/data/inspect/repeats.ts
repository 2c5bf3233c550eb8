/** Values that occur more than once: equal keys, captions, files. */
import type { RepeatReport } from './report.js';
import { SampledTable } from './sampled-table.js';

/** A value that repeats, by the rows that have it. */
export interface Repeat {
  readonly hash: number;
  readonly count: number;
  readonly firstRow: number;
  readonly lastRow: number;
}

const [COUNT, FIRST, LAST] = [0, 1, 2];

/** Counts occurrences in bounded memory: exactly up to some 2.5 million distinct values, then by a sample of them. */
export class RepeatCounter {
  readonly #table = new SampledTable(3);
  #total = 0;

  /** @param row from 0 to 2^32 - 1 */
  add(hash: number, row: number): void {
    this.#total++;
    const slot = this.#table.slotOf(hash);
    if (slot === undefined) return;
    const counts = this.#table.column(COUNT);
    if (counts[slot] === 0) this.#table.column(FIRST)[slot] = row;
    this.#table.column(LAST)[slot] = row;
    counts[slot] = (counts[slot] as number) + 1;
  }

  /** How much repeats. */
  report(): RepeatReport {
    let repeated = 0;
    let extra = 0;
    for (const slot of this.#table.slots()) {
      const count = this.#table.column(COUNT)[slot] as number;
      if (count > 1) repeated++;
      extra += count - 1;
    }
    const { scale, size } = this.#table;
    return {
      total: this.#total,
      distinct: size * scale,
      repeatedValues: repeated * scale,
      extra: extra * scale,
      exact: scale === 1,
    };
  }

  /** The values that occur most, of those held; the first of equals is the one that came first. */
  top(limit: number): Repeat[] {
    const found: Repeat[] = [];
    for (const slot of this.#table.slots()) {
      const count = this.#table.column(COUNT)[slot] as number;
      if (count < 2) continue;
      const hash = this.#table.hashAt(slot) as number;
      const [firstRow, lastRow] = [this.#table.column(FIRST)[slot], this.#table.column(LAST)[slot]];
      found.push({ hash, count, firstRow: firstRow as number, lastRow: lastRow as number });
    }
    return found.sort((a, b) => b.count - a.count || a.firstRow - b.firstRow).slice(0, limit);
  }
}
