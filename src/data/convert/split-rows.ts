/** The rows of one split of what is converted, in the order in which they are written. */
import { mapConcurrently } from '../map-concurrently.js';
import { WindowOrder } from '../order/window-order.js';
import type { Row } from '../schema.js';
import type { Source } from '../sources/source.js';

/** Bytes of the shards whose rows are read at a time, about. */
const READ_BYTES = 8 * 2 ** 20;
/** Most rows read at a time. */
const MAX_READ = 1024;
/** Rows read at a time where each is a file of its own. */
const FILE_READ = 64;
/** Reads under way ahead of the row that is written. */
const AHEAD = 2;

/** A row with its place. */
export interface NumberedRow {
  readonly row: Row;
  /** Where it stands in the order of the split, from 0. */
  readonly position: number;
  /** The source that it is of, and its number there. */
  readonly source: Source;
  readonly index: number;
}

/** The rows of several sources one after the other, as they are stored or permuted. */
export class SplitRows {
  readonly numRows: number;
  readonly #order: WindowOrder;
  /** First row of each source. */
  readonly #starts: readonly number[];

  /** @param seed of a permutation of all rows; undefined for the order in which they are stored */
  constructor(
    readonly split: string,
    readonly sources: readonly Source[],
    seed: number | undefined,
  ) {
    let start = 0;
    this.#starts = sources.map(({ numRows }) => {
      start += numRows;
      return start - numRows;
    });
    this.numRows = start;
    this.#order = new WindowOrder({
      seed: seed ?? 0,
      source: 0,
      shardRows: sources.flatMap(({ shardRows }) => shardRows),
      window: Math.max(1, start),
      shuffle: seed !== undefined,
    });
  }

  /** Rows from a position on, the next ones read while these are used. A column that a source lacks is null. */
  async *from(
    position: number,
    columns: readonly string[],
    end = this.numRows,
  ): AsyncGenerator<NumberedRow, void> {
    const size = this.#readSize();
    const ahead: Promise<NumberedRow[]>[] = [];
    let next = position;
    try {
      for (;;) {
        while (ahead.length < AHEAD && next < end) {
          const read = this.#read(next, Math.min(next + size, end), columns);
          read.catch(() => undefined); // thrown where it is awaited
          ahead.push(read);
          next += size;
        }
        const rows = await ahead.shift();
        if (rows === undefined) return;
        yield* rows;
      }
    } finally {
      await Promise.allSettled(ahead);
    }
  }

  #readSize(): number {
    const sizes = this.sources.map(({ rowBytes }) =>
      rowBytes === undefined ? FILE_READ : Math.ceil(READ_BYTES / Math.max(1, rowBytes)),
    );
    return Math.max(1, Math.min(MAX_READ, ...sizes));
  }

  async #read(start: number, end: number, columns: readonly string[]): Promise<NumberedRow[]> {
    const places = Array.from({ length: end - start }, (_, i) => {
      const row = this.#order.rowAt(0, start + i);
      const at = this.#starts.findLastIndex((first) => first <= row);
      return { at, index: row - (this.#starts[at] as number) };
    });
    const rows = new Array<NumberedRow>(places.length);
    await mapConcurrently([...this.sources.entries()], this.sources.length, async ([at, source]) => {
      const wanted = [...places.entries()].filter(([, place]) => place.at === at);
      if (wanted.length === 0) return;
      const present = columns.filter((column) => source.columns.includes(column));
      const found = await source.readRows(
        wanted.map(([, { index }]) => index),
        present,
      );
      for (const [i, [place, { index }]] of wanted.entries()) {
        rows[place] = { row: found[i] as Row, position: start + place, source, index };
      }
    });
    return rows;
  }
}
