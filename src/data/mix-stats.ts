/** What the loader's batches were made of: the mix as it came out, texts, repeats, fallbacks, samples passed over. */
import { DistinctCounter, type SavedCounter, textHash } from './distinct.js';
import type { CaptionLabel } from './mixing.js';
import type { TextFrame } from './text/token-batch.js';

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

/** How varied the texts of a kind are, in the tokens that the model sees: cut to the context, without padding. */
export interface Diversity {
  /** Distinct tokens. */
  readonly vocabulary: number;
  /** Distinct tokens over all tokens. */
  readonly distinct1: number;
  /** Distinct pairs of neighbouring tokens over all pairs. */
  readonly distinct2: number;
}

/** Composition of some samples. */
export interface MixSummary {
  /** Samples in batches, those passed over not among them. */
  readonly samples: number;
  /** Share of the samples whose caption is of each kind that occurred; they sum to 1. */
  readonly ratios: Readonly<Partial<Record<CaptionLabel, number>>>;
  /** Share of the samples that are of each source, by its number; they sum to 1. */
  readonly sources: readonly number[];
  /** Samples whose drawn kind had no caption, so that another kind's stands in, or whose concatenation lacks one. */
  readonly fallbacks: number;
  /** Number of broken samples by reason. */
  readonly skips: Readonly<Record<string, number>>;
  /** Samples passed over because they have no caption of the mix. */
  readonly noCaption: number;
  readonly tokens: TokenLengths;
  /** Share of the samples whose text lost its end to the context length. */
  readonly truncatedShare: number;
  /** The same of each kind's samples. */
  readonly truncatedByKind: Readonly<Partial<Record<CaptionLabel, number>>>;
  /** By kind. */
  readonly diversity: Readonly<Partial<Record<CaptionLabel, Diversity>>>;
  /** Share of the samples whose caption another sample before had, to the letter; empty ones do not count. */
  readonly duplicateCaptions: number;
  /** Share of the samples whose key another sample before had. */
  readonly duplicateKeys: number;
  /** False if some count of distinct values went over 65,536 and is an estimate, with a standard error of 0.8 %. */
  readonly exact: boolean;
}

/** Composition of the last batch, and of all batches of its epoch so far. */
export interface MixStats {
  /** Epoch of the last batch. */
  readonly epoch: number;
  readonly step: MixSummary;
  /** Since the epoch began or, without `LoaderOptions.mixFrom`, the loader resumed. */
  readonly cumulative: MixSummary;
  /** The same of the epoch before; undefined if there was none. */
  readonly previous: { readonly epoch: number; readonly summary: MixSummary } | undefined;
}

/** The part of a batch that is counted. */
export interface CountedBatch {
  readonly keys: readonly string[];
  readonly kinds: readonly CaptionLabel[];
  readonly sources: readonly number[];
  readonly captions: readonly string[];
  /** Samples × context length. */
  readonly tokens: Int32Array;
  readonly contextLength: number;
  readonly numTokens: Int32Array;
  readonly frame: TextFrame;
  readonly truncated: number;
  readonly fallbacks: number;
  readonly skipped: readonly Skip[];
  readonly noCaption: readonly string[];
}

/** What {@link MixRecorder} has counted of an epoch, as JSON: some hundred KB, or a few MB of a large epoch. */
export interface SavedMix {
  readonly epoch: number;
  readonly samples: number;
  readonly fallbacks: number;
  readonly truncated: number;
  readonly noCaption: number;
  readonly texts: number;
  readonly kinds: readonly (readonly [CaptionLabel, number])[];
  readonly truncatedOf: readonly (readonly [CaptionLabel, number])[];
  readonly sources: readonly (readonly [number, number])[];
  readonly skips: readonly (readonly [string, number])[];
  readonly lengths: readonly (readonly [number, number])[];
  readonly tokens: readonly (readonly [CaptionLabel, SavedTokens])[];
  readonly captions: SavedCounter;
  readonly keys: SavedCounter;
}

/** The part of {@link SavedMix} on the tokens of one kind. */
export interface SavedTokens {
  readonly tokens: SavedCounter;
  readonly pairs: SavedCounter;
  readonly numTokens: number;
  readonly numPairs: number;
}

/** Tokens of the texts of one kind. */
class TokenTally {
  #tokens = new DistinctCounter();
  #pairs = new DistinctCounter();
  #numTokens = 0;
  #numPairs = 0;

  static restore(saved: SavedTokens): TokenTally {
    const tally = new TokenTally();
    tally.#tokens = DistinctCounter.restore(saved.tokens);
    tally.#pairs = DistinctCounter.restore(saved.pairs);
    tally.#numTokens = saved.numTokens;
    tally.#numPairs = saved.numPairs;
    return tally;
  }

  save(): SavedTokens {
    const [tokens, pairs] = [this.#tokens.save(), this.#pairs.save()];
    return { tokens, pairs, numTokens: this.#numTokens, numPairs: this.#numPairs };
  }

  /** @param tokens of one text, without those that begin and end every text, which are no words */
  add(tokens: Int32Array): void {
    for (const [i, token] of tokens.entries()) {
      this.#tokens.add(token);
      if (i > 0) this.#pairs.add((tokens[i - 1] as number) * 2 ** 26 + token);
    }
    this.#numTokens += tokens.length;
    this.#numPairs += Math.max(0, tokens.length - 1);
  }

  get exact(): boolean {
    return this.#tokens.exact && this.#pairs.exact;
  }

  diversity(): Diversity {
    const vocabulary = this.#tokens.count();
    const share = (count: number, of: number): number => (of === 0 ? 0 : Math.min(1, count / of));
    return {
      vocabulary,
      distinct1: share(vocabulary, this.#numTokens),
      distinct2: share(this.#pairs.count(), this.#numPairs),
    };
  }
}

/** Counts of some batches. Memory does not grow with samples: lengths are a histogram, distinct values a sketch. */
export class MixTally {
  #samples = 0;
  #fallbacks = 0;
  #truncated = 0;
  #noCaption = 0;
  #texts = 0;
  #kinds = new Map<CaptionLabel, number>();
  #truncatedOf = new Map<CaptionLabel, number>();
  #sources = new Map<number, number>();
  #skips = new Map<string, number>();
  #lengths = new Map<number, number>();
  #tokens = new Map<CaptionLabel, TokenTally>();
  #captions = new DistinctCounter();
  #keys = new DistinctCounter();

  static restore(saved: SavedMix): MixTally {
    const tally = new MixTally();
    tally.#samples = saved.samples;
    tally.#fallbacks = saved.fallbacks;
    tally.#truncated = saved.truncated;
    tally.#noCaption = saved.noCaption;
    tally.#texts = saved.texts;
    tally.#kinds = new Map(saved.kinds);
    tally.#truncatedOf = new Map(saved.truncatedOf);
    tally.#sources = new Map(saved.sources);
    tally.#skips = new Map(saved.skips);
    tally.#lengths = new Map(saved.lengths);
    tally.#tokens = new Map(saved.tokens.map(([kind, tokens]) => [kind, TokenTally.restore(tokens)]));
    tally.#captions = DistinctCounter.restore(saved.captions);
    tally.#keys = DistinctCounter.restore(saved.keys);
    return tally;
  }

  get isEmpty(): boolean {
    return this.#samples === 0;
  }

  save(epoch: number): SavedMix {
    return {
      epoch,
      samples: this.#samples,
      fallbacks: this.#fallbacks,
      truncated: this.#truncated,
      noCaption: this.#noCaption,
      texts: this.#texts,
      kinds: [...this.#kinds],
      truncatedOf: [...this.#truncatedOf],
      sources: [...this.#sources],
      skips: [...this.#skips],
      lengths: [...this.#lengths],
      tokens: [...this.#tokens].map(([kind, tally]) => [kind, tally.save()]),
      captions: this.#captions.save(),
      keys: this.#keys.save(),
    };
  }

  add(batch: CountedBatch): void {
    this.#samples += batch.keys.length;
    this.#fallbacks += batch.fallbacks;
    this.#truncated += batch.truncated;
    this.#noCaption += batch.noCaption.length;
    for (const { reason } of batch.skipped) increment(this.#skips, reason);
    for (const source of batch.sources) increment(this.#sources, source);
    for (const [i, key] of batch.keys.entries()) this.#addSample(batch, i, key);
  }

  summary(): MixSummary {
    const samples = this.#samples;
    const share = (count: number, of: number): number => (of === 0 ? 0 : Math.max(0, count / of));
    const kinds = [...this.#tokens].sort(([a], [b]) => (a < b ? -1 : 1));
    return {
      samples,
      ratios: Object.fromEntries([...this.#kinds].sort().map(([kind, count]) => [kind, count / samples])),
      sources: Array.from(
        { length: Math.max(-1, ...this.#sources.keys()) + 1 },
        (_, source) => (this.#sources.get(source) ?? 0) / samples,
      ),
      fallbacks: this.#fallbacks,
      skips: Object.fromEntries([...this.#skips].sort()),
      noCaption: this.#noCaption,
      tokens: lengthsOf(this.#lengths, samples),
      truncatedShare: share(this.#truncated, samples),
      truncatedByKind: Object.fromEntries(
        [...this.#kinds]
          .sort()
          .map(([kind, count]) => [kind, share(this.#truncatedOf.get(kind) ?? 0, count)]),
      ),
      diversity: Object.fromEntries(kinds.map(([kind, tally]) => [kind, tally.diversity()])),
      duplicateCaptions: share(this.#texts - this.#captions.count(), this.#texts),
      duplicateKeys: share(samples - this.#keys.count(), samples),
      exact: [this.#captions, this.#keys, ...this.#tokens.values()].every(({ exact }) => exact),
    };
  }

  #addSample(batch: CountedBatch, i: number, key: string): void {
    const { contextLength, frame } = batch;
    const kind = batch.kinds[i] as CaptionLabel;
    const text = batch.captions[i] as string;
    const numTokens = batch.numTokens[i] as number;
    increment(this.#kinds, kind);
    if (numTokens > contextLength) increment(this.#truncatedOf, kind);
    increment(this.#lengths, numTokens);
    // The same key of another source is another sample.
    this.#keys.add(textHash(`${batch.sources[i]} ${key}`));
    if (text !== '') {
      this.#texts++;
      this.#captions.add(textHash(text));
    }
    let tally = this.#tokens.get(kind);
    if (tally === undefined) {
      tally = new TokenTally();
      this.#tokens.set(kind, tally);
    }
    const start = i * contextLength;
    const end = start + Math.min(contextLength, numTokens) - frame.after;
    tally.add(batch.tokens.subarray(start + frame.before, Math.max(start + frame.before, end)));
  }
}

function increment<K>(counts: Map<K, number>, of: K): void {
  counts.set(of, (counts.get(of) ?? 0) + 1);
}

/** Lengths by how often each occurred. Percentiles by nearest rank: the smallest length that at least that share of the texts does not exceed. */
export function lengthsOf(counts: ReadonlyMap<number, number>, total: number): TokenLengths {
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

/** Composition of one batch. */
export function summarize(batch: CountedBatch): MixSummary {
  const tally = new MixTally();
  tally.add(batch);
  return tally.summary();
}

/** Keeps {@link MixStats} up to date as batches are handed out. */
export class MixRecorder {
  #epoch = 0;
  #last: CountedBatch | undefined;
  #previous: { readonly epoch: number; readonly tally: MixTally } | undefined;
  #cumulative = new MixTally();

  /** @param from goes on counting the epoch of a recorder that was saved */
  constructor(from?: SavedMix) {
    if (from === undefined) return;
    this.#epoch = from.epoch;
    this.#cumulative = MixTally.restore(from);
  }

  record(batch: CountedBatch, epoch: number): void {
    if (epoch !== this.#epoch) {
      const ended = this.#cumulative;
      this.#previous = ended.isEmpty ? undefined : { epoch: this.#epoch, tally: ended };
      this.#cumulative = new MixTally();
    }
    this.#epoch = epoch;
    this.#last = batch;
    this.#cumulative.add(batch);
  }

  stats(): MixStats {
    const step = this.#last === undefined ? new MixTally().summary() : summarize(this.#last);
    const previous = this.#previous && {
      epoch: this.#previous.epoch,
      summary: this.#previous.tally.summary(),
    };
    return { epoch: this.#epoch, step, cumulative: this.#cumulative.summary(), previous };
  }

  save(): SavedMix {
    return this.#cumulative.save(this.#epoch);
  }
}
