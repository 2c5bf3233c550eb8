/**
 * The order in which an epoch visits the rows of one source: its shards are permuted and laid end to end, the whole is
 * cut into windows, and the rows of each window are permuted. Rows stay near those of their shard, so that a window's
 * files are read once; a window that holds all rows makes it a permutation like any other. Otherwise the first windows
 * of an epoch are smaller, each twice the one before, so that the first batch need not wait for a whole one.
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

/** The first windows of an epoch, as shares of a whole one. */
const FIRST_SHARES = [1 / 16, 1 / 8, 1 / 4, 1 / 2];

/** Windows of which the permutation is kept: the one that is visited and the one that is read ahead. */
const KEPT_WINDOWS = 3;

/**
 * Maps positions of an epoch to rows. A pure function of its options, of the epoch and the position; what it keeps is
 * four bytes for each row of a few windows, however many rows there are.
 */
export class WindowOrder {
  readonly numRows: number;
  readonly #options: WindowOrderOptions;
  /** Where the first windows begin, and where those of whole size do. */
  readonly #firstStarts: readonly number[];
  #shards: ShardOrder | undefined;
  /** By epoch and window, the youngest last. */
  readonly #windows = new Map<string, Uint32Array>();

  constructor(options: WindowOrderOptions) {
    this.#options = options;
    this.numRows = options.shardRows.reduce((sum, rows) => sum + rows, 0);
    const { window } = options;
    let start = 0;
    const starts = FIRST_SHARES.map((share) => {
      start += Math.ceil(window * share);
      return start;
    });
    this.#firstStarts = window < this.numRows ? [0, ...starts] : [0];
  }

  /** The row at a position from 0 to `numRows - 1` of an epoch. */
  rowAt(epoch: number, position: number): number {
    if (!this.#options.shuffle) return position;
    const window = this.windowOf(position);
    const place = this.#permutation(epoch, window)[position - window.start] as number;
    return this.#row(epoch, window.start + place);
  }

  /** The window that holds a position; its positions and no other visit the rows that it holds. */
  windowOf(position: number): PositionRange {
    const { window } = this.#options;
    const starts = this.#firstStarts;
    const whole = starts.at(-1) as number;
    if (position >= whole) {
      const start = whole + Math.floor((position - whole) / window) * window;
      return { start, end: Math.min(start + window, this.numRows) };
    }
    const next = starts.findIndex((start) => start > position);
    return { start: starts[next - 1] as number, end: Math.min(starts[next] as number, this.numRows) };
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

  #permutation(epoch: number, { start, end }: PositionRange): Uint32Array {
    const key = `${epoch} ${start}`;
    const held = this.#windows.get(key);
    if (held !== undefined) return held;
    const { seed, source } = this.#options;
    const made = permutation(new KeyedRandom(seed, 'order', source, epoch, start), end - start);
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
