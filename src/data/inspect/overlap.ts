/** Which entities captions of one kind share with those of another: the paper's figure 7. */
import type { EntityReport, OverlapReport, TextColumn } from './report.js';
import { textColumns } from './report.js';
import { SampledTable } from './sampled-table.js';

const [MASK, COUNT] = [0, 1];

/** Names kept for examples. */
const MAX_NAMES = 100_000;
/** Examples of entities that only one kind of two has. */
const NUM_EXAMPLES = 8;

/** Entities by the kinds of caption that name them, in bounded memory. */
export class EntityTally {
  readonly #table = new SampledTable(2);
  readonly #names = new Map<number, string>();

  /** Says what a hash stands for, for examples. */
  name(hash: number, text: string): void {
    if (this.#names.size < MAX_NAMES) this.#names.set(hash, text);
  }

  /** @param entities hashes of a caption's distinct entities */
  add(kind: TextColumn, entities: Float64Array): void {
    const bit = 1 << textColumns.indexOf(kind);
    for (const hash of entities) {
      const slot = this.#table.slotOf(hash);
      if (slot === undefined) continue;
      const masks = this.#table.column(MASK);
      masks[slot] = (masks[slot] as number) | bit;
      const counts = this.#table.column(COUNT);
      counts[slot] = (counts[slot] as number) + 1;
    }
  }

  /** Totals of the kinds and the overlap of every two, the earlier kind of which is the `base`. */
  report(kinds: readonly TextColumn[]): EntityReport {
    const byMask = new Map<number, number>();
    for (const slot of this.#table.slots()) {
      const mask = this.#table.column(MASK)[slot] as number;
      byMask.set(mask, (byMask.get(mask) ?? 0) + 1);
    }
    const bitOf = (kind: TextColumn): number => 1 << textColumns.indexOf(kind);
    const count = (holds: (mask: number) => boolean): number => {
      let found = 0;
      for (const [mask, times] of byMask) if (holds(mask)) found += times;
      return found * this.#table.scale;
    };
    const overlaps: OverlapReport[] = kinds.flatMap((base, i) =>
      kinds.slice(i + 1).map((kind) => {
        const [a, b] = [bitOf(base), bitOf(kind)];
        const shared = count((mask) => (mask & a) !== 0 && (mask & b) !== 0);
        const onlyBase = count((mask) => (mask & a) !== 0 && (mask & b) === 0);
        return {
          kind,
          base,
          onlyKind: count((mask) => (mask & a) === 0 && (mask & b) !== 0),
          shared,
          onlyBase,
          baseCovered: shared + onlyBase === 0 ? 0 : shared / (shared + onlyBase),
          examples: { onlyKind: this.#examples(b, a), onlyBase: this.#examples(a, b) },
        };
      }),
    );
    return {
      totals: Object.fromEntries(kinds.map((kind) => [kind, count((mask) => (mask & bitOf(kind)) !== 0)])),
      overlaps,
      exact: this.#table.scale === 1,
    };
  }

  /** The names most often given by one kind, and perhaps others, that the other kind never gives. */
  #examples(has: number, lacks: number): string[] {
    const best: { name: string; count: number }[] = [];
    for (const slot of this.#table.slots()) {
      const mask = this.#table.column(MASK)[slot] as number;
      if ((mask & has) === 0 || (mask & lacks) !== 0) continue;
      const name = this.#names.get(this.#table.hashAt(slot) as number);
      if (name === undefined) continue;
      const count = this.#table.column(COUNT)[slot] as number;
      if (best.length === NUM_EXAMPLES && count <= (best.at(-1)?.count as number)) continue;
      best.push({ name, count });
      best.sort((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1));
      best.length = Math.min(best.length, NUM_EXAMPLES);
    }
    return best.map(({ name }) => name);
  }
}
