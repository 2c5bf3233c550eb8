/**
 * Which source each position of an epoch takes its sample from. Sources are interleaved in proportion: up to any
 * position a source has had its share of the samples, give or take a few, and so has each batch. Nothing is drawn with
 * replacement: each source is visited from its first sample to its last, and then anew.
 */
import { KeyedRandom } from '../../rng.js';

/** A sample's place in its source. */
export interface Place {
  /** Number of the source. */
  readonly source: number;
  /** How many times the source was visited whole before. */
  readonly epoch: number;
  /** Position in the source's order of that epoch. */
  readonly position: number;
}

export interface InterleaveOptions {
  readonly seed: number;
  /** Rows of each source. */
  readonly numRows: readonly number[];
  /** Share of each source; without it each has a share of its size, and an epoch visits every sample once. */
  readonly weights?: readonly number[] | undefined;
  readonly shuffle: boolean;
}

/** Positions that are permuted together: few, so that every batch has its share of each source. */
const BLOCK = 64;

/** Weights are counted in parts of this, which makes them exact integers. */
const WEIGHT_PARTS = 2 ** 40;

interface Block {
  readonly key: string;
  readonly sources: Uint16Array;
  /** Per position, how many samples its source gave before, since the beginning. */
  readonly counts: Float64Array;
}

/**
 * Maps positions to places. A pure function of its options, the epoch and the position.
 *
 * Of the first P positions the first source has ⌊P·w₁⌋, the second its share of the rest, rounded down, and so on;
 * the last has what is left. That is monotone in P and, where P·w are whole numbers, exact: without weights each
 * source is through just when the epoch is.
 */
export class Interleave {
  /** Positions of an epoch: the number of rows of all sources. */
  readonly epochLength: number;
  readonly #options: InterleaveOptions;
  readonly #weights: readonly bigint[];
  /** The blocks used last: where samples are taken, and where they are read ahead. */
  #blocks: readonly Block[] = [];

  constructor(options: InterleaveOptions) {
    this.#options = options;
    this.epochLength = options.numRows.reduce((sum, rows) => sum + rows, 0);
    const { weights, numRows } = options;
    this.#weights = (weights?.map((weight) => Math.max(1, Math.round(weight * WEIGHT_PARTS))) ?? numRows).map(
      BigInt,
    );
  }

  /** The place of a position from 0 to `epochLength - 1` of an epoch. */
  locate(epoch: number, position: number): Place {
    if (this.#weights.length === 1) return { source: 0, epoch, position };
    const index = Math.floor(position / BLOCK);
    const block = this.#block(epoch, index);
    const at = position - index * BLOCK;
    const source = block.sources[at] as number;
    const count = block.counts[at] as number;
    const rows = this.#options.numRows[source] as number;
    return { source, epoch: Math.floor(count / rows), position: count % rows };
  }

  /** Where each source stands at a position: the place of its next sample. */
  placesAt(epoch: number, position: number): Place[] {
    const index = Math.floor(position / BLOCK);
    const at = position - index * BLOCK;
    const counts = this.countsBefore(epoch, at === 0 ? position : this.#endOf(index));
    if (at > 0) {
      // Within a block a source has had what its order says, not its share: back from the end to the position.
      const block = this.#block(epoch, index);
      for (const source of block.sources.subarray(at)) counts[source] = (counts[source] as number) - 1;
    }
    return counts.map((count, source) => {
      const rows = this.#options.numRows[source] as number;
      return { source, epoch: Math.floor(count / rows), position: count % rows };
    });
  }

  /** Where a block ends: an epoch's samples stay in it. */
  #endOf(index: number): number {
    return Math.min((index + 1) * BLOCK, this.epochLength);
  }

  /** How many samples each source gave before a position where a block or an epoch begins; its share elsewhere. */
  countsBefore(epoch: number, position: number): number[] {
    let rest = BigInt(epoch) * BigInt(this.epochLength) + BigInt(position);
    let weight = this.#weights.reduce((sum, w) => sum + w, 0n);
    return this.#weights.map((w) => {
      const count = weight === 0n ? 0n : (rest * w) / weight;
      rest -= count;
      weight -= w;
      return Number(count);
    });
  }

  #block(epoch: number, index: number): Block {
    const key = `${epoch} ${index}`;
    const held = this.#blocks.find((block) => block.key === key);
    if (held !== undefined) return held;
    const start = index * BLOCK;
    const end = this.#endOf(index);
    const before = this.countsBefore(epoch, start);
    const after = this.countsBefore(epoch, end);
    const order = after.flatMap((count, source) =>
      Array<number>(count - (before[source] as number)).fill(source),
    );
    if (this.#options.shuffle) new KeyedRandom(this.#options.seed, 'sources', epoch, index).shuffle(order);
    const counts = Float64Array.from(order, (source) => {
      const count = before[source] as number;
      before[source] = count + 1;
      return count;
    });
    const block = { key, sources: Uint16Array.from(order), counts };
    this.#blocks = [block, ...this.#blocks].slice(0, 8);
    return block;
  }
}
