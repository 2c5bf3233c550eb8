/** One table of CLIP's merges for all threads of a pool: it is made once, while the others do what needs no tokens. */
import type { MergeLookup } from './bpe.js';
import { readMerges } from './clip-merges.js';
import { MergeTable } from './merge-table.js';

const [EMPTY, MAKING, READY, FAILED] = [0, 1, 2, 3];
/** A thread that waits longer makes a table of its own: the other may have been ended. */
const MAX_WAIT_MS = 10_000;

/** Memory for the table and its state, to be handed to each thread. */
export function mergeMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(MergeTable.BYTES + Int32Array.BYTES_PER_ELEMENT);
}

/** The first thread to make one reads the file; the others wait for it at their first look-up. */
export class SharedMerges implements MergeLookup {
  readonly #path: string;
  readonly #memory: SharedArrayBuffer;
  readonly #state: Int32Array;
  #table: MergeTable | undefined;

  /** @throws DataError if the file is not CLIP's */
  constructor(path: string, memory: SharedArrayBuffer) {
    this.#path = path;
    this.#memory = memory;
    this.#state = new Int32Array(memory, MergeTable.BYTES, 1);
    if (Atomics.compareExchange(this.#state, 0, EMPTY, MAKING) === EMPTY) this.#table = this.#make();
  }

  /** As {@link MergeTable.get}. @throws DataError if the file is not CLIP's */
  get(key: number): number | undefined {
    this.#table ??= this.#wait();
    return this.#table.get(key);
  }

  #make(): MergeTable {
    let outcome = FAILED;
    try {
      const table = readMerges(this.#path, this.#memory);
      outcome = READY;
      return table;
    } finally {
      Atomics.store(this.#state, 0, outcome);
      Atomics.notify(this.#state, 0);
    }
  }

  #wait(): MergeTable {
    Atomics.wait(this.#state, 0, MAKING, MAX_WAIT_MS);
    const isReady = Atomics.load(this.#state, 0) === READY;
    return isReady ? new MergeTable(this.#memory) : readMerges(this.#path);
  }
}
