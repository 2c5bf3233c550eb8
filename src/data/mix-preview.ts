/** What the batches of a configuration would be, counted without decoding an image, and held against what was asked for. */
import { ConfigError } from '../errors.js';
import { KeyWatch } from './key-watch.js';
import { type OrderOptions, type PlannedBatch, planBatches } from './loader.js';
import { MixSchedule } from './mix-schedule.js';
import { type Diversity, lengthsOf, MixTally, type TokenLengths } from './mix-stats.js';
import type { CaptionLabel, CaptionMix } from './mixing.js';
import { captionKinds } from './schema.js';
import { type TokenizerOptions, tokenizerFile } from './text/tokenizer.js';
import { type EncodedTexts, encodeCaptions } from './text-encoder.js';
import { createDecoder, type Decoder } from './worker-pool.js';

/** How much is looked at. */
export interface MixPreviewOptions extends OrderOptions, TokenizerOptions {
  /** Of all the texts; longer ones are counted as truncated. */
  readonly contextLength: number;
  /** Batches to look at. Default: as many as `epochs` have. One of both is needed. */
  readonly steps?: number;
  /** Told of each batch. */
  readonly onBatch?: (batch: PlannedBatch) => void | Promise<void>;
  /** Rows of each source and its name, for what is its due. */
  readonly sourceNames?: readonly { readonly path: string; readonly numRows: number }[];
}

/** One kind of caption: what was asked for and what came out. */
export interface KindPreview {
  readonly kind: CaptionLabel;
  /** Share that the mix gives it, in the mean of the steps that were looked at. */
  readonly configured: number;
  /** Share of the samples that have it. */
  readonly realised: number;
  /** Within these the share should be: three standard deviations, or with mixing by batch what rounding leaves. */
  readonly low: number;
  readonly high: number;
  readonly within: boolean;
  readonly tokens: TokenLengths;
  /** Share of its texts that are longer than the context. */
  readonly truncatedShare: number;
  /** How varied its texts are; absent if there are none. */
  readonly diversity?: Diversity;
}

/** One source: what it should give and what it gave. */
export interface SourcePreview {
  readonly path: string;
  readonly configured: number;
  readonly realised: number;
}

/** What some batches would be. */
export interface MixPreview {
  readonly steps: number;
  readonly samples: number;
  /** Epochs that were begun. */
  readonly epochs: number;
  readonly kinds: readonly KindPreview[];
  readonly sources: readonly SourcePreview[];
  /** The mix at the first step, at each point of the schedule, and at the last step looked at. */
  readonly schedule: readonly { readonly step: number; readonly captions: CaptionMix }[];
  /** Samples whose kind had no caption, so that another kind's stands in, or whose concatenation lacks one. */
  readonly fallbacks: number;
  /** Samples passed over because they have no caption of the mix. */
  readonly noCaption: number;
  /** Broken samples by reason, as far as that is known without decoding. */
  readonly skips: Readonly<Record<string, number>>;
  readonly tokens: TokenLengths;
  readonly truncatedShare: number;
  /** Share of the samples whose caption another sample before had, to the letter. */
  readonly duplicateCaptions: number;
  /** Samples whose key another of their source has, in the first epoch as far as 65,536 keys go, and some of the keys. */
  readonly repeatedKeys: { readonly count: number; readonly examples: readonly string[] };
  /** False if some count of distinct values is an estimate. */
  readonly exact: boolean;
}

/** Repeated keys that are named. */
const EXAMPLES = 5;

/**
 * Plans batches and counts what is in them. Decodes no image and needs no engine.
 *
 * @throws ConfigError without steps and epochs; as `planBatches`
 */
export async function previewMix(options: MixPreviewOptions): Promise<MixPreview> {
  const { steps = Number.POSITIVE_INFINITY, epochs, contextLength } = options;
  if (steps === Number.POSITIVE_INFINITY && epochs === undefined) {
    throw new ConfigError('A preview of the mix needs steps or epochs, as the batches have no end.');
  }
  const images = {
    transform: 'eval',
    augmentation: {},
    exif: false,
    scaledDecode: false,
    imageSize: 1,
  } as const;
  const settings = { ...images, seed: 0, contextLength };
  const decoder = await createDecoder(0, settings, await tokenizerFile(options), undefined);
  const counts = new PreviewCounts(options);
  try {
    for await (const batch of planBatches(options)) {
      counts.add(batch, await encode(decoder, batch, contextLength));
      await options.onBatch?.(batch);
      if (batch.step + 1 >= steps) break;
    }
  } finally {
    await decoder.close();
  }
  return counts.finish();
}

function encode(decoder: Decoder, batch: PlannedBatch, contextLength: number): Promise<EncodedTexts> {
  const captions = batch.captions.map((text, i) => {
    const parts = batch.parts?.[i];
    return {
      text,
      kind: batch.kinds[i] as CaptionLabel,
      fallback: false,
      ...(parts === undefined ? {} : { parts }),
    };
  });
  return encodeCaptions(decoder, captions, contextLength);
}

/** Of one kind. */
interface KindCount {
  expected: number;
  /** Sum of p(1 - p). */
  variance: number;
  count: number;
  truncated: number;
  readonly lengths: Map<number, number>;
}

class PreviewCounts {
  readonly #options: MixPreviewOptions;
  readonly #tally = new MixTally();
  readonly #kinds = new Map<CaptionLabel, KindCount>();
  readonly #common: MixSchedule;
  /** By source; undefined for those that have the common one. */
  readonly #own: readonly (MixSchedule | undefined)[];
  readonly #watches = new Map<number, KeyWatch>();
  readonly #repeated: string[] = [];
  #numRepeated = 0;
  #steps = 0;
  #epochs = 0;

  constructor(options: MixPreviewOptions) {
    this.#options = options;
    this.#common = new MixSchedule(options.captions, options.mixSchedule);
    this.#own = (options.sources ?? []).map(({ captions }) =>
      captions === undefined ? undefined : new MixSchedule(captions),
    );
  }

  add(batch: PlannedBatch, { tokens, numTokens, frame }: EncodedTexts): void {
    const { contextLength } = this.#options;
    const truncated = numTokens.reduce((n, length) => (length > contextLength ? n + 1 : n), 0);
    this.#tally.add({ ...batch, tokens, numTokens, frame, truncated, contextLength });
    this.#steps++;
    this.#epochs = batch.epoch + 1;
    for (const [i, kind] of batch.kinds.entries()) {
      const count = this.#count(kind);
      const length = numTokens[i] as number;
      count.count++;
      if (length > contextLength) count.truncated++;
      count.lengths.set(length, (count.lengths.get(length) ?? 0) + 1);
    }
    this.#expect(batch);
    for (const [i, key] of batch.keys.entries()) this.#watch(key, batch.sources[i] as number, batch.epoch);
  }

  finish(): MixPreview {
    const { samples, ratios: _, sources, diversity, duplicateKeys: __, ...rest } = this.#tally.summary();
    return {
      steps: this.#steps,
      samples,
      epochs: this.#epochs,
      kinds: this.#labels().map((kind) => this.#kind(kind, samples, diversity[kind])),
      sources: this.#sources(sources),
      schedule: this.#schedule(),
      ...rest,
      repeatedKeys: { count: this.#numRepeated, examples: this.#repeated },
    };
  }

  #labels(): CaptionLabel[] {
    return [...captionKinds, 'concat' as const, 'dropped' as const].filter((kind) => this.#kinds.has(kind));
  }

  #kind(kind: CaptionLabel, samples: number, diversity: Diversity | undefined): KindPreview {
    const { expected, variance, count, truncated, lengths } = this.#kinds.get(kind) as KindCount;
    const { mixing, concat } = this.#options;
    // One draw for the whole run counts once for each visit of its sample.
    const visits = mixing === 'fixed' ? this.#epochs : 1;
    const isExact = mixing === 'batch' && concat === undefined && !this.#options.captionDropout;
    const mixes = 1 + this.#own.filter((mix) => mix !== undefined).length;
    const bound = isExact ? mixes : 3 * Math.sqrt(visits * variance);
    const low = Math.max(0, (expected - bound) / samples);
    const high = Math.min(1, (expected + bound) / samples);
    const realised = count / samples;
    // Sums of shares are not exact to the last digit.
    const within = realised >= low - 1e-9 && realised <= high + 1e-9;
    return {
      kind,
      configured: expected / samples,
      ...{ realised, low, high, within },
      tokens: lengthsOf(lengths, count),
      truncatedShare: count === 0 ? 0 : truncated / count,
      ...(diversity === undefined ? {} : { diversity }),
    };
  }

  /** Adds what the mix gives each kind in a batch. */
  #expect({ sources, step }: PlannedBatch): void {
    const { captionDropout = 0, concat } = this.#options;
    const bySource = new Map<number, number>();
    for (const source of sources) bySource.set(source, (bySource.get(source) ?? 0) + 1);
    const add = (kind: CaptionLabel, share: number, times: number): void => {
      const count = this.#count(kind);
      count.expected += share * times;
      count.variance += share * (1 - share) * times;
    };
    for (const [source, times] of bySource) {
      const { kinds, weights } = (this.#own[source] ?? this.#common).at(step);
      if (captionDropout > 0) add('dropped', captionDropout, times);
      if (concat !== undefined) add('concat', 1 - captionDropout, times);
      else
        for (const [i, kind] of kinds.entries())
          add(kind, (weights[i] as number) * (1 - captionDropout), times);
    }
  }

  #count(kind: CaptionLabel): KindCount {
    const held = this.#kinds.get(kind);
    if (held !== undefined) return held;
    const count = { expected: 0, variance: 0, count: 0, truncated: 0, lengths: new Map<number, number>() };
    this.#kinds.set(kind, count);
    return count;
  }

  #watch(key: string, source: number, epoch: number): void {
    const watch = this.#watches.get(source) ?? new KeyWatch();
    this.#watches.set(source, watch);
    if (watch.repeated([key], epoch).length === 0) return;
    this.#numRepeated++;
    if (this.#repeated.length < EXAMPLES) this.#repeated.push(key);
  }

  #sources(realised: readonly number[]): SourcePreview[] {
    const named = this.#options.sourceNames ?? [];
    const weights = named.map(({ numRows }, i) => this.#options.sources?.[i]?.weight ?? numRows);
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return named.map(({ path }, i) => ({
      path,
      configured: (weights[i] as number) / sum,
      realised: realised[i] ?? 0,
    }));
  }

  #schedule(): MixPreview['schedule'] {
    const points = this.#options.mixSchedule?.points.map(({ step }) => step) ?? [];
    const steps = [...new Set([0, ...points, ...(points.length > 0 ? [this.#steps - 1] : [])])];
    return steps
      .sort((a, b) => a - b)
      .map((step) => {
        const { kinds, weights } = this.#common.at(step);
        return { step, captions: Object.fromEntries(kinds.map((kind, i) => [kind, weights[i] as number])) };
      });
  }
}
