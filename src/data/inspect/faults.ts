/** Faults counted by reason, with examples. */
import type { FaultGroup } from './report.js';

/** Reasons told apart; the rest count as one. */
const MAX_REASONS = 40;
const NUM_EXAMPLES = 3;
const OTHERS = 'other reasons';

/** Counts faults in bounded memory. */
export class FaultCounter {
  readonly #groups = new Map<string, { count: number; examples: { key: string; message: string }[] }>();

  /** @param message why, as a sentence; quoted texts and numbers in it do not tell reasons apart */
  add(key: string, message: string, count = 1): void {
    const reason = reasonOf(message);
    const isNew = !this.#groups.has(reason) && this.#groups.size >= MAX_REASONS;
    const name = isNew ? OTHERS : reason;
    let group = this.#groups.get(name);
    if (group === undefined) {
      group = { count: 0, examples: [] };
      this.#groups.set(name, group);
    }
    group.count += count;
    if (group.examples.length < NUM_EXAMPLES) group.examples.push({ key, message });
  }

  get total(): number {
    let sum = 0;
    for (const { count } of this.#groups.values()) sum += count;
    return sum;
  }

  /** The most frequent first. */
  report(): FaultGroup[] {
    return [...this.#groups]
      .map(([reason, group]) => ({ reason, ...group }))
      .sort((a, b) => b.count - a.count || (a.reason < b.reason ? -1 : 1));
  }
}

function reasonOf(message: string): string {
  return message
    .replace(/"(?:[^"\\]|\\.)*"|'[^']*'/g, '…')
    .replace(/\d[\d,.]*\d|\d/g, 'N')
    .slice(0, 200);
}
