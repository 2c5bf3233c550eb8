/**
 * Which of an image's captions a sample gets: a categorical draw per sample from a configured mix, a pure
 * function of (seed, epoch, key), so that neither workers nor a resume change it and a run can be replayed.
 */
import { ConfigError } from '../errors.js';
import { uniform } from '../rng.js';
import { type CaptionKind, captionKinds, type Row, type Value } from './schema.js';
import { nearest } from './sources/source.js';

/** Weights of the caption kinds, which sum to 1. */
export type CaptionMix = Readonly<Partial<Record<CaptionKind, number>>>;

/** A mix that was found valid: its kinds, in the order of {@link captionKinds}, and their weights. */
export interface ValidMix {
  readonly kinds: readonly CaptionKind[];
  readonly weights: readonly number[];
}

/** The caption of a sample. */
export interface DrawnCaption {
  readonly kind: CaptionKind;
  readonly text: string;
  /** The kind drawn first has no caption here, so another one's stands in. */
  readonly fallback: boolean;
}

const SUM_TOLERANCE = 1e-6;

const isKind = (name: string): name is CaptionKind => (captionKinds as readonly string[]).includes(name);

/**
 * Checks a mix against the columns of a source.
 *
 * @param columns the source's columns; without it the mix alone is checked.
 * @param where the source, for messages.
 * @throws ConfigError for an unknown kind, a weight that is negative or no number, a sum other than 1, or
 *   a kind whose column the source lacks.
 */
export function validateMix(
  captions: Readonly<Record<string, number>>,
  columns?: readonly string[],
  where = 'the data set',
): ValidMix {
  const names = Object.keys(captions);
  if (names.length === 0) {
    throw new ConfigError(`captions is empty; name at least one of ${captionKinds.join(', ')}.`);
  }
  for (const name of names) {
    if (!isKind(name)) {
      const near = nearest(name, captionKinds);
      throw new ConfigError(
        `captions.${name}: no such caption kind${near === undefined ? '.' : `; did you mean '${near}'?`} ` +
          `The kinds are ${captionKinds.join(', ')}.`,
      );
    }
    const weight = captions[name] as number;
    if (typeof weight !== 'number' || !Number.isFinite(weight) || weight < 0) {
      throw new ConfigError(`captions.${name} must be a number from 0 to 1, found ${String(weight)}.`);
    }
  }
  const kinds = captionKinds.filter((kind) => kind in captions);
  const weights = kinds.map((kind) => captions[kind] as number);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  if (Math.abs(sum - 1) > SUM_TOLERANCE) {
    const terms = kinds.map((kind) => `${kind}: ${captions[kind]}`).join(', ');
    throw new ConfigError(`captions {${terms}} must sum to 1, but sum to ${Number(sum.toPrecision(9))}.`);
  }
  for (const kind of kinds) {
    if (columns !== undefined && !columns.includes(kind)) {
      const near = nearest(kind, columns);
      throw new ConfigError(
        `captions.${kind}: ${where} has no column '${kind}'${near === undefined ? '.' : `; the nearest is '${near}'.`} ` +
          `Its columns are ${columns.join(', ')}.`,
      );
    }
  }
  return { kinds, weights };
}

/** Draws a kind with a probability proportional to its weight; undefined if none weighs anything. */
function drawKind(
  kinds: readonly CaptionKind[],
  weights: readonly number[],
  u: number,
): CaptionKind | undefined {
  const target = u * weights.reduce((sum, weight) => sum + weight, 0);
  let passed = 0;
  let last: CaptionKind | undefined;
  for (const [i, kind] of kinds.entries()) {
    const weight = weights[i] as number;
    if (weight === 0) continue;
    passed += weight;
    last = kind;
    if (target < passed) return kind;
  }
  return last; // u close to 1 and a sum that rounding cut short
}

const textsOf = (value: Value | undefined): string[] =>
  (Array.isArray(value) ? value : [value]).filter(
    (text): text is string => typeof text === 'string' && text.trim() !== '',
  );

/**
 * Draws the caption of a row. A kind without a caption in this row gives way to the others in proportion to
 * their weights; of a kind with several captions each is as likely.
 *
 * @returns undefined if no kind of the mix has a caption in this row.
 */
export function drawCaption(
  mix: ValidMix,
  row: Row,
  seed: number,
  epoch: number,
  key: string,
): DrawnCaption | undefined {
  const first = drawKind(mix.kinds, mix.weights, uniform(seed, 'caption', epoch, key));
  let kind = first;
  let texts = kind === undefined ? [] : textsOf(row[kind]);
  if (texts.length === 0) {
    const weights = mix.kinds.map((k, i) => (textsOf(row[k]).length > 0 ? (mix.weights[i] as number) : 0));
    kind = drawKind(mix.kinds, weights, uniform(seed, 'caption fallback', epoch, key));
    if (kind === undefined) return undefined;
    texts = textsOf(row[kind]);
  }
  const at = texts.length === 1 ? 0 : Math.floor(uniform(seed, 'caption item', epoch, key) * texts.length);
  return { kind: kind as CaptionKind, text: texts[at] as string, fallback: kind !== first };
}
