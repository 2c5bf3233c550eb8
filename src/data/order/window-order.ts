/**
 * The order in which an epoch visits the rows of one source: its shards are permuted and laid end to end, the whole is
 * cut into windows, and the rows of each window are permuted. Rows stay near those of their shard, so that a window's
 * files are read once; a window that holds all rows makes it a permutation like any other.
 */
import { KeyedRandom } from '../../rng.js';

export interface WindowOrderOptions {
  readonly seed: number;
  /** Number of the source among those of the loader: sources of equal shape must not be visited in step. */
  readonly source: number;
  /** Rows of each shard. */
  readonly shardRows: readonly number[];
  /** Rows of a window. */
  readonly window: number;
  /** False leaves the rows as they are stored. */
  readonly shuffle: boolean;
}

/** Positions of an epoch, `end` excluded. */
export interface PositionRange {
  readonly start: number;
  readonly end: number;
}

interface ShardOrder {
  readonly epoch: number;
  /** Per shard in the epoch's order, its first position, and at the end the number of rows. */
  readonly starts: Float64Array;
  /** Per shard in the epoch's order, its first row in the source. */
  readonly rows: Float64Array;
}

/** Windows of which the permutation is kept: the one that is visited and the one that is read ahead. */
const KEPT_WINDOWS = 3;

/**
 * Maps positions of an epoch to rows. A pure function of its options, of the epoch and the position; what it keeps is
 * four bytes for each row of a few windows, however many rows there are.
 */
export class WindowOrder {
  readonly numRows: number;
  readonly #options: WindowOrderOptions;
  #shards: ShardOrder | undefined;
  /** By epoch and window, the youngest last. */
  readonly #windows = new Map<string, Uint32Array>();

  constructor(options: WindowOrderOptions) {
    this.#options = options;
    this.numRows = options.shardRows.reduce((sum, rows) => sum + rows, 0);
  }

  /** The row at a position from 0 to `numRows - 1` of an epoch. */
  rowAt(epoch: number, position: number): number {
    const { window, shuffle } = this.#options;
    if (!shuffle) return position;
    const index = Math.floor(position / window);
    const start = index * window;
    const place = this.#permutation(epoch, index)[position - start] as number;
    return this.#row(epoch, start + place);
  }

  /** The window that holds a position; its positions and no other visit the rows that it holds. */
  windowOf(position: number): PositionRange {
    const { window } = this.#options;
    const start = Math.floor(position / window) * window;
    return { start, end: Math.min(start + window, this.numRows) };
  }

  /** The row at a place of the shards laid end to end. */
  #row(epoch: number, place: number): number {
    const { starts, rows } = this.#shardOrder(epoch);
    let low = 0;
    let high = rows.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((starts[middle] as number) <= place) low = middle;
      else high = middle - 1;
    }
    return (rows[low] as number) + place - (starts[low] as number);
  }

  #shardOrder(epoch: number): ShardOrder {
    if (this.#shards?.epoch === epoch) return this.#shards;
    const { seed, source, shardRows } = this.#options;
    const firstRows = new Float64Array(shardRows.length);
    for (let shard = 1; shard < shardRows.length; shard++) {
      firstRows[shard] = (firstRows[shard - 1] as number) + (shardRows[shard - 1] as number);
    }
    const order = permutation(new KeyedRandom(seed, 'shards', source, epoch), shardRows.length);
    const starts = new Float64Array(shardRows.length + 1);
    for (const [i, shard] of order.entries()) {
      starts[i + 1] = (starts[i] as number) + (shardRows[shard] as number);
    }
    const rows = Float64Array.from(order, (shard) => firstRows[shard] as number);
    this.#shards = { epoch, starts, rows };
    return this.#shards;
  }

  #permutation(epoch: number, index: number): Uint32Array {
    const key = `${epoch} ${index}`;
    const held = this.#windows.get(key);
    if (held !== undefined) return held;
    const { seed, source, window } = this.#options;
    const { start, end } = this.windowOf(index * window);
    const made = permutation(new KeyedRandom(seed, 'order', source, epoch, index), end - start);
    this.#windows.set(key, made);
    for (const oldest of this.#windows.keys()) {
      if (this.#windows.size <= KEPT_WINDOWS) break;
      this.#windows.delete(oldest);
    }
    return made;
  }
}

/** A permutation of 0 … length - 1 (Fisher and Yates). */
function permutation(random: KeyedRandom, length: number): Uint32Array {
  const order = new Uint32Array(length);
  for (let i = 0; i < length; i++) order[i] = i;
  for (let i = length - 1; i > 0; i--) {
    const j = random.int(i + 1);
    const held = order[i] as number;
    order[i] = order[j] as number;
    order[j] = held;
  }
  return order;
}
