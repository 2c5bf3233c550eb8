/** What the loader's batches were made of: the mix as it came out, text lengths, fallbacks, samples passed over. */
import type { CaptionKind } from './schema.js';

/** A broken sample. */
export interface Skip {
  readonly key: string;
  /** Why it cannot be used, as a sentence that does not name it, so that equal faults have equal reasons. */
  readonly reason: string;
}

/** Lengths of texts in tokens, start and end of text included, before truncation. */
export interface TokenLengths {
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly max: number;
}

/** Composition of some samples. */
export interface MixSummary {
  /** Samples in batches, those passed over not among them. */
  readonly samples: number;
  /** Share of the samples whose caption is of each kind that occurred; they sum to 1. */
  readonly ratios: Readonly<Partial<Record<CaptionKind, number>>>;
  /** Samples whose drawn kind had no caption, so that another kind's stands in. */
  readonly fallbacks: number;
  /** Number of broken samples by reason. */
  readonly skips: Readonly<Record<string, number>>;
  /** Samples passed over because they have no caption of the mix. */
  readonly noCaption: number;
  readonly tokens: TokenLengths;
  /** Share of the samples whose text lost its end to the context length. */
  readonly truncatedShare: number;
}

/** Composition of the last batch, and of all batches of its epoch since the loader started or resumed. */
export interface MixStats {
  /** Epoch of the last batch. */
  readonly epoch: number;
  readonly step: MixSummary;
  readonly cumulative: MixSummary;
}

/** The part of a batch that is counted. */
export interface CountedBatch {
  readonly kinds: readonly CaptionKind[];
  readonly numTokens: Int32Array;
  readonly truncated: number;
  readonly skipped: readonly Skip[];
  readonly noCaption: readonly string[];
}

/** Counts of some batches. Lengths are kept as a histogram, so that memory does not grow with samples. */
class Tally {
  #samples = 0;
  #fallbacks = 0;
  #truncated = 0;
  #noCaption = 0;
  readonly #kinds = new Map<CaptionKind, number>();
  readonly #skips = new Map<string, number>();
  readonly #lengths = new Map<number, number>();

  add(batch: CountedBatch, fallbacks: number): void {
    this.#samples += batch.kinds.length;
    this.#fallbacks += fallbacks;
    this.#truncated += batch.truncated;
    this.#noCaption += batch.noCaption.length;
    for (const kind of batch.kinds) increment(this.#kinds, kind);
    for (const { reason } of batch.skipped) increment(this.#skips, reason);
    for (const length of batch.numTokens) increment(this.#lengths, length);
  }

  summary(): MixSummary {
    const samples = this.#samples;
    return {
      samples,
      ratios: Object.fromEntries([...this.#kinds].sort().map(([kind, count]) => [kind, count / samples])),
      fallbacks: this.#fallbacks,
      skips: Object.fromEntries([...this.#skips].sort()),
      noCaption: this.#noCaption,
      tokens: lengthsOf(this.#lengths, samples),
      truncatedShare: samples === 0 ? 0 : this.#truncated / samples,
    };
  }
}

function increment<K>(counts: Map<K, number>, of: K): void {
  counts.set(of, (counts.get(of) ?? 0) + 1);
}

/** Percentiles by nearest rank: the smallest length that at least that share of the texts does not exceed. */
function lengthsOf(counts: ReadonlyMap<number, number>, total: number): TokenLengths {
  if (total === 0) return { mean: 0, p50: 0, p95: 0, max: 0 };
  const sorted = [...counts].sort(([a], [b]) => a - b);
  const percentile = (share: number): number => {
    let passed = 0;
    for (const [length, count] of sorted) {
      passed += count;
      if (passed >= share * total) return length;
    }
    return max;
  };
  const max = (sorted.at(-1) as [number, number])[0];
  const sum = sorted.reduce((s, [length, count]) => s + length * count, 0);
  return { mean: sum / total, p50: percentile(0.5), p95: percentile(0.95), max };
}

/** Keeps {@link MixStats} up to date as batches are handed out. */
export class MixRecorder {
  #epoch = 0;
  #step = new Tally();
  #cumulative = new Tally();

  /** @param fallbacks samples of the batch whose drawn kind had no caption. */
  record(batch: CountedBatch, epoch: number, fallbacks: number): void {
    if (epoch !== this.#epoch) this.#cumulative = new Tally();
    this.#epoch = epoch;
    this.#step = new Tally();
    this.#step.add(batch, fallbacks);
    this.#cumulative.add(batch, fallbacks);
  }

  stats(): MixStats {
    return { epoch: this.#epoch, step: this.#step.summary(), cumulative: this.#cumulative.summary() };
  }
}
