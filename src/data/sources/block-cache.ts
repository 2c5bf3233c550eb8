/**
 * The decoded pieces of shards (record batches, column chunks) used last, up to a number of bytes. A
 * shuffled epoch comes back to each piece often, and two readers of a piece share one read of it.
 */

interface Entry {
  readonly block: Promise<unknown>;
  bytes: number;
}

/** A least-recently-used cache of promised blocks. */
export class BlockCache {
  readonly #entries = new Map<string, Entry>();
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The block of that key, read by `read` unless it is here. `bytes` is what it takes in memory, about. */
  get<T>(key: string, bytes: number, read: () => Promise<T>): Promise<T> {
    const held = this.#entries.get(key);
    if (held !== undefined) {
      // Reinsertion moves it to the young end of the map's order.
      this.#entries.delete(key);
      this.#entries.set(key, held);
      return held.block as Promise<T>;
    }
    const block = read();
    this.#entries.set(key, { block, bytes });
    this.#bytes += bytes;
    block.catch(() => this.#drop(key));
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#maxBytes || oldest === key) break;
      this.#drop(oldest);
    }
    return block;
  }

  /** The block of that key, if it is here. */
  held<T>(key: string): Promise<T> | undefined {
    return this.#entries.get(key)?.block as Promise<T> | undefined;
  }

  /** As {@link held}, and forgets it. */
  take<T>(key: string): Promise<T> | undefined {
    const block = this.held<T>(key);
    this.#drop(key);
    return block;
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
  }
}
