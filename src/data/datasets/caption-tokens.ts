/** Lengths of captions in CLIP's tokens, for manifests and reports. */
import { AssetError } from '../../errors.js';
import type { CaptionKind, Row } from '../schema.js';
import { ClipTokenizer } from '../text/clip-tokenizer.js';
import type { CaptionTokens } from './manifest.js';

/** The usual lengths of synthetic captions in tokens, both ends included. */
export const captionRanges: Readonly<Partial<Record<CaptionKind, readonly [least: number, most: number]>>> = {
  ssc: [10, 15],
  dsc: [40, 60],
  'dsc+': [101, Number.POSITIVE_INFINITY],
};

/** Counts the tokens of rows as they are made. */
export class CaptionMeter {
  readonly #lengths: ReadonlyMap<CaptionKind, number[]>;

  private constructor(
    private readonly tokenizer: ClipTokenizer,
    kinds: readonly CaptionKind[],
  ) {
    this.#lengths = new Map(kinds.map((kind) => [kind, []]));
  }

  /** A meter for these kinds; undefined where the tokenizer's merges are neither cached nor to be fetched; `signal` ends that. */
  static async open(kinds: readonly CaptionKind[], signal?: AbortSignal): Promise<CaptionMeter | undefined> {
    try {
      return new CaptionMeter(await ClipTokenizer.load(undefined, signal), kinds);
    } catch (error) {
      if (error instanceof AssetError) return undefined;
      throw error;
    }
  }

  add(row: Row): void {
    for (const [kind, lengths] of this.#lengths) {
      const text = row[kind];
      if (typeof text === 'string') lengths.push(this.tokenizer.encode(text).length);
    }
  }

  /** Least, median and most of each kind that had captions, and the share within the kind's range. */
  summary(): Record<string, CaptionTokens> {
    const found: Record<string, CaptionTokens> = {};
    for (const [kind, lengths] of this.#lengths) {
      if (lengths.length === 0) continue;
      const sorted = lengths.toSorted((a, b) => a - b);
      const [low, high] = captionRanges[kind] ?? [];
      const within = sorted.filter((length) => length >= (low as number) && length <= (high as number));
      found[kind] = {
        least: sorted[0] as number,
        median: sorted[sorted.length >> 1] as number,
        most: sorted.at(-1) as number,
        ...(low === undefined ? {} : { withinRange: within.length / sorted.length }),
      };
    }
    return found;
  }
}
