/** A shard that is being made: the rows of the list that go into it, and what became of each. */
import type { ListedRow } from './list-rows.js';
import type { Spool } from './spool.js';
import type { StoredImage } from './store-image.js';

/** An image that waits in the spool. */
export interface SpooledImage extends Omit<StoredImage, 'bytes'> {
  readonly offset: number;
  readonly length: number;
  /** Bytes that came. */
  readonly fetchedBytes: number;
  /** Hash of the bytes that came, in hexadecimal digits. */
  readonly sha256: string;
  /** It is from an earlier run, whose images are told apart already. */
  readonly isKept: boolean;
}

/** What became of a row. */
export type Outcome =
  | { readonly image: SpooledImage }
  | { readonly reason: string; readonly detail: string; readonly tries: number };

/** A shard under way. */
export class ShardWork {
  readonly outcomes: (Outcome | undefined)[];
  readonly startedAt = Date.now();
  /** Fulfilled once every row has its outcome. */
  readonly done: Promise<void>;
  #finish: () => void = () => undefined;
  #numOpen: number;

  /** @param isRetry whether the shard was finished before, and some of its rows are tried again */
  constructor(
    readonly index: number,
    readonly rows: readonly ListedRow[],
    readonly spool: Spool,
    readonly isRetry: boolean,
  ) {
    this.outcomes = new Array<Outcome | undefined>(rows.length);
    this.#numOpen = rows.length;
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
    if (rows.length === 0) this.#finish();
  }

  /** Sets the outcome of the shard's `i`-th row. */
  settle(i: number, outcome: Outcome): void {
    if (this.outcomes[i] === undefined) this.#numOpen--;
    this.outcomes[i] = outcome;
    if (this.#numOpen === 0) this.#finish();
  }
}
