/**
 * Which of an image's captions a sample gets. Every draw is a pure function of (seed, epoch, key) and the mix, so that
 * neither workers nor a resume change it and a run can be replayed.
 */
import { ConfigError } from '../errors.js';
import { nearest } from '../nearest.js';
import { uniform } from '../rng.js';
import { type CaptionKind, captionKinds, type Row, type Value } from './schema.js';

/** Weights of the caption kinds, which sum to 1. */
export type CaptionMix = Readonly<Partial<Record<CaptionKind, number>>>;

/** A mix that was found valid: its kinds, in the order of {@link captionKinds}, and their weights. */
export interface ValidMix {
  readonly kinds: readonly CaptionKind[];
  readonly weights: readonly number[];
}

/**
 * What becomes of a sample that lacks the kind drawn for it. `renormalise`: one of the kinds that it has is drawn, by
 * their weights. A list: it gets the first of these kinds that it has, be they in the mix or not; if it has none of
 * them, as `renormalise`.
 */
export type MissingCaption = 'renormalise' | readonly CaptionKind[];

/** What a sample's caption is: of which kind, several `concat`enated, or `dropped` and empty. */
export type CaptionLabel = CaptionKind | 'concat' | 'dropped';

/** The caption of a sample. */
export interface DrawnCaption {
  readonly kind: CaptionLabel;
  readonly text: string;
  /** The kind drawn first has no caption here, so another one's stands in; or a concatenation lacks kinds of its order. */
  readonly fallback: boolean;
}

/** What a draw is keyed by. */
export interface DrawKey {
  readonly seed: number;
  readonly epoch: number;
  readonly key: string;
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
  if (columns !== undefined) checkKindColumns(kinds, columns, where);
  return { kinds, weights };
}

/** @throws ConfigError for a kind whose column the source lacks */
export function checkKindColumns(
  kinds: readonly CaptionKind[],
  columns: readonly string[],
  where: string,
  option = 'captions',
): void {
  for (const kind of kinds) {
    if (columns.includes(kind)) continue;
    const near = nearest(kind, columns);
    throw new ConfigError(
      `${option}.${kind}: ${where} has no column '${kind}'${near === undefined ? '.' : `; the nearest is '${near}'.`} ` +
        `Its columns are ${columns.join(', ')}.`,
    );
  }
}

/** Kinds as a set of bits: bit i for the i-th of {@link captionKinds}. */
export type KindBits = number;

/** The bit of a kind. */
export const kindBit = (kind: CaptionKind): KindBits => 1 << captionKinds.indexOf(kind);

/** Which of the kinds have a caption in a row. */
export function presentKinds(row: Row, kinds: readonly CaptionKind[]): KindBits {
  return kinds.reduce((bits, kind) => (textsOf(row[kind]).length > 0 ? bits | kindBit(kind) : bits), 0);
}

/** Which kinds a sample may get: those of some weight and those that stand in for them. */
export function usableKinds({ kinds, weights }: ValidMix, missing: MissingCaption): KindBits {
  const weighty = kinds.filter((_, i) => (weights[i] as number) > 0);
  const standIns = missing === 'renormalise' ? [] : missing;
  return [...weighty, ...standIns].reduce((bits, kind) => bits | kindBit(kind), 0);
}

/** Draws a kind with a probability proportional to its weight; undefined if none weighs anything. */
function pickKind({ kinds, weights }: ValidMix, u: number): CaptionKind | undefined {
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

/** Draws the kind that a sample should get, before one knows which it has. `epoch` is left out for a draw for good. */
export function drawKind(mix: ValidMix, seed: number, epoch: number | undefined, key: string): CaptionKind {
  const u = epoch === undefined ? uniform(seed, 'caption', key) : uniform(seed, 'caption', epoch, key);
  return pickKind(mix, u) as CaptionKind; // the weights of a valid mix sum to 1
}

/** The kind that stands in for one that a sample lacks; undefined only if it has none of {@link usableKinds}. */
export function standInKind(
  mix: ValidMix,
  missing: MissingCaption,
  present: KindBits,
  { seed, epoch, key }: DrawKey,
): CaptionKind | undefined {
  const listed =
    missing === 'renormalise' ? undefined : missing.find((kind) => (present & kindBit(kind)) !== 0);
  if (listed !== undefined) return listed;
  const weights = mix.kinds.map((kind, i) => (present & kindBit(kind) ? (mix.weights[i] as number) : 0));
  return pickKind({ kinds: mix.kinds, weights }, uniform(seed, 'caption fallback', epoch, key));
}

const textsOf = (value: Value | undefined): string[] =>
  (Array.isArray(value) ? value : [value]).filter(
    (text): text is string => typeof text === 'string' && text.trim() !== '',
  );

/** The caption of a kind; of several each is as likely. The row must have one. */
export function captionText(row: Row, kind: CaptionKind, { seed, epoch, key }: DrawKey): string {
  const texts = textsOf(row[kind]);
  const at = texts.length === 1 ? 0 : Math.floor(uniform(seed, 'caption item', epoch, key) * texts.length);
  return texts[at] as string;
}

/**
 * Draws the caption of a row: a categorical draw of the kind by the mix.
 *
 * @param fixed draw the kind once for the whole run, not in each epoch
 * @returns undefined if the row has no caption that it may get.
 */
export function drawCaption(
  mix: ValidMix,
  row: Row,
  at: DrawKey,
  missing: MissingCaption = 'renormalise',
  fixed = false,
): DrawnCaption | undefined {
  const first = drawKind(mix, at.seed, fixed ? undefined : at.epoch, at.key);
  if (textsOf(row[first]).length > 0) {
    return { kind: first, text: captionText(row, first, at), fallback: false };
  }
  const kind = standInKind(mix, missing, presentKinds(row, captionKinds), at);
  return kind === undefined ? undefined : { kind, text: captionText(row, kind, at), fallback: true };
}
