/** Lengths and sizes as a histogram with its summary. */
import type { Histogram, LengthSummary } from './report.js';

/** Bars of a histogram at most. */
const MAX_BARS = 256;

/** Counts whole numbers from 0 on; memory grows with the number of distinct ones. */
export class LengthCounter {
  readonly #counts = new Map<number, number>();
  #total = 0;
  #sum = 0;

  add(length: number): void {
    this.#counts.set(length, (this.#counts.get(length) ?? 0) + 1);
    this.#total++;
    this.#sum += length;
  }

  /** Share of the lengths for which it holds; 0 if there are none. */
  share(holds: (length: number) => boolean): number {
    let count = 0;
    for (const [length, times] of this.#counts) if (holds(length)) count += times;
    return this.#total === 0 ? 0 : count / this.#total;
  }

  /** Undefined if there are no lengths. Percentiles are by nearest rank. */
  summary(): LengthSummary | undefined {
    if (this.#total === 0) return undefined;
    const sorted = [...this.#counts].sort(([a], [b]) => a - b);
    const percentile = (share: number): number => {
      let passed = 0;
      for (const [length, count] of sorted) {
        passed += count;
        if (passed >= share * this.#total) return length;
      }
      return sorted.at(-1)?.[0] as number;
    };
    return {
      least: sorted[0]?.[0] as number,
      median: percentile(0.5),
      mean: this.#sum / this.#total,
      p95: percentile(0.95),
      p99: percentile(0.99),
      most: sorted.at(-1)?.[0] as number,
      histogram: histogramOf(sorted),
    };
  }
}

/** Bars from 0 on, of a width that is a power of two, up to the 99.9th percentile; the last has all beyond. */
function histogramOf(sorted: readonly (readonly [length: number, count: number])[]): Histogram {
  const total = sorted.reduce((sum, [, count]) => sum + count, 0);
  let passed = 0;
  let end = 0;
  for (const [length, count] of sorted) {
    if (passed < 0.999 * total) end = length;
    passed += count;
  }
  let width = 1;
  while (end / width >= MAX_BARS) width *= 2;
  const counts = new Array<number>(Math.floor(end / width) + 1).fill(0);
  for (const [length, count] of sorted) {
    const bar = Math.min(counts.length - 1, Math.floor(length / width));
    counts[bar] = (counts[bar] as number) + count;
  }
  return { width, counts };
}
