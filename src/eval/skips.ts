/** The images of a split that cannot be read: counted, told and left out, up to a limit. */
import type { Skip } from '../data/mix-stats.js';
import { skipBudget } from '../data/skip-budget.js';
import { DataError } from '../errors.js';

/** How broken images are dealt with. */
export interface SkipPolicy {
  /** Share of the rows, rounded down, that may be broken; one more ends the evaluation. */
  readonly maxSkipRatio: number;
  /** Told of each one, once. */
  readonly inform?: (message: string) => void;
}

const NUM_NAMED = 10;

/** The broken images found so far in a split. */
export class Skips {
  readonly #split: string;
  readonly #numRows: number;
  readonly #policy: SkipPolicy;
  readonly #found: Skip[] = [];

  /** @param split what the rows are, for messages: "split 'test' of data/emoji" */
  constructor(split: string, numRows: number, policy: SkipPolicy) {
    this.#split = split;
    this.#numRows = numRows;
    this.#policy = policy;
  }

  get count(): number {
    return this.#found.length;
  }

  /** The first ones, with the reason of each. */
  first(): readonly Skip[] {
    return this.#found.slice(0, NUM_NAMED);
  }

  /** Notes some that were found together. @throws DataError if they are more than may be */
  add(skips: readonly Skip[]): void {
    for (const { key, reason } of skips) this.#policy.inform?.(`Skipped ${key} of ${this.#split}: ${reason}`);
    this.#found.push(...skips);
    const { maxSkipRatio } = this.#policy;
    const budget = skipBudget(maxSkipRatio, this.#numRows);
    if (this.count <= budget) return;
    const named = this.first().map(({ key, reason }) => `${key} (${reason.replace(/\.$/, '')})`);
    const more = this.count > named.length ? ` and ${this.count - named.length} more` : '';
    throw new DataError(
      `Broken images in ${this.#split}: ${this.count}, more than the ${budget} of ${this.#numRows} that ` +
        `data.maxSkipRatio = ${maxSkipRatio} allows: ${named.join(', ')}${more}. Mend the data, or allow more ` +
        'by data.maxSkipRatio (of capstan eval: --max-skip-ratio) if scores over the others will do.',
    );
  }
}
