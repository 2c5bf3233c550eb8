/** Reading of some rows of a source that may be damaged here and there. */
import { DataError } from '../../errors.js';
import { uniform } from '../../rng.js';
import { FAULT, type Row } from '../schema.js';
import type { Source } from '../sources/source.js';

/**
 * `count` of `total` places at even distances, each drawn within its stretch by the seed; all of them if there are no more.
 *
 * @param what tells one choice with the seed from another
 */
export function spreadPlaces(total: number, count: number, seed: number, what: string): number[] {
  if (count >= total) return Array.from({ length: total }, (_, i) => i);
  return Array.from({ length: count }, (_, i) => {
    const [from, to] = [Math.floor((i * total) / count), Math.floor(((i + 1) * total) / count)];
    return from + Math.floor(uniform(seed, what, i) * (to - from));
  });
}

/** Reads that may fail before damaged pieces are given up whole, not searched for rows that can be read. */
const MAX_FAILED_READS = 400;

/** Reads rows of one source; those that cannot be read have a fault. */
export class RowProbe {
  #failedReads = 0;

  constructor(private readonly source: Source) {}

  /** The rows in the order of `places`. @throws ConfigError for a column that is not there */
  async read(places: readonly number[], columns: readonly string[]): Promise<Row[]> {
    try {
      return await this.source.readRows(places, columns);
    } catch (cause) {
      if (!(cause instanceof DataError)) throw cause;
      this.#failedReads++;
      if (places.length === 1 || this.#failedReads > MAX_FAILED_READS) {
        return places.map(() => faulty(columns, cause.message));
      }
      const half = places.length >> 1;
      const first = await this.read(places.slice(0, half), columns);
      return [...first, ...(await this.read(places.slice(half), columns))];
    }
  }
}

function faulty(columns: readonly string[], message: string): Row {
  return { ...Object.fromEntries(columns.map((column) => [column, null])), [FAULT]: message };
}
