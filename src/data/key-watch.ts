/** Samples that have another one's key, as far as that can be told while they go by. */

/** Keys remembered: some megabytes. Keys that begin anew in each shard show among far fewer. */
const MAX_KEYS = 65_536;

/** Watches one epoch, in which each key should come once; of a large data set its first samples. */
export class KeyWatch {
  readonly #seen = new Set<string>();
  #epoch: number | undefined;

  /** Those of the batch's keys that an earlier sample of the epoch has, too. */
  repeated(keys: readonly string[], epoch: number): string[] {
    this.#epoch ??= epoch;
    if (epoch !== this.#epoch) {
      this.#seen.clear();
      return [];
    }
    return keys.filter((key) => {
      if (this.#seen.has(key)) return true;
      if (this.#seen.size < MAX_KEYS) this.#seen.add(key);
      return false;
    });
  }
}
