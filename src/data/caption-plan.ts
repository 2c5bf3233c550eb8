/** The captions of a batch: how each sample comes to its own, whatever the mode. */
import { ConfigError } from '../errors.js';
import { KeyedRandom, uniform } from '../rng.js';
import { assignKinds, type Carry, noCarry } from './mix-quota.js';
import { MixSchedule, type MixScheduleOptions } from './mix-schedule.js';
import {
  type CaptionMix,
  captionText,
  checkKindColumns,
  type DrawKey,
  type DrawnCaption,
  drawCaption,
  type KindBits,
  kindBit,
  type MissingCaption,
  presentKinds,
  standInKind,
  usableKinds,
} from './mixing.js';
import { type CaptionKind, captionKinds, type Row } from './schema.js';

/**
 * How the mix is realised. `sample`: each sample's kind is drawn by the mix, anew in each epoch. `batch`: each batch
 * has the mix's exact proportions, give or take what whole numbers leave over, which the next batches make up for.
 * `fixed`: each sample's kind is drawn once and stays for the whole run.
 */
export type Mixing = 'sample' | 'batch' | 'fixed';

/** Captions of several kinds as one text. */
export interface ConcatOptions {
  /** The kinds, in the order of the text; those that a sample lacks are left out. */
  readonly order: readonly CaptionKind[];
  /** What stands between them. */
  readonly separator: string;
  /** Most tokens of each kind, start and end of text not counted. Kinds that are not named keep all of theirs. */
  readonly maxTokens?: Readonly<Partial<Record<CaptionKind, number>>> | undefined;
}

/** How captions are chosen. */
export interface CaptionOptions {
  /** Share of each caption kind; they sum to 1. */
  readonly captions: CaptionMix;
  /** How the mix changes over training. */
  readonly mixSchedule?: MixScheduleOptions | undefined;
  /** Default `sample`, and no other with `concat`. */
  readonly mixing?: Mixing | undefined;
  /** Default `renormalise`, and no other with `concat`. */
  readonly missing?: MissingCaption | undefined;
  /**
   * Share of the samples whose caption is replaced by an empty one, for guidance without a classifier. Default 0.
   * Drawn after the kind, so that with `batch` the shares are exact only before it.
   */
  readonly captionDropout?: number | undefined;
  /** All captions of these kinds instead of one of the mix, which is then not used. */
  readonly concat?: ConcatOptions | undefined;
}

/** A sample as far as its caption goes. */
export interface CaptionSample {
  readonly key: string;
  /** Of its source. */
  readonly epoch: number;
  readonly source: number;
  readonly row: Row;
}

/** A slot of the batch as every rank knows it. */
export interface CaptionSlot {
  readonly source: number;
  readonly present: KindBits;
  /** The sample, if the slot is this rank's. */
  readonly sample: CaptionSample | undefined;
}

/** The caption of a sample, and the texts that it is made of. */
export interface PlannedCaption extends DrawnCaption {
  /** Where the kinds have a budget of tokens: the parts of the text, each with its budget. */
  readonly parts?: readonly { readonly text: string; readonly maxTokens: number }[];
}

/** Per mix (the common one, then those of sources that have their own), what is owed to each kind. */
export type Carries = readonly Carry[];

/** A source as far as captions go. */
export interface CaptionSource {
  readonly path: string;
  readonly columns: readonly string[];
  /** The mix of this source alone, for which there is no schedule. */
  readonly captions?: CaptionMix | undefined;
}

/** Chooses captions. Holds no state: what is carried from batch to batch goes in and comes out. */
export class CaptionPlan {
  readonly #options: CaptionOptions;
  readonly #seed: number;
  /** The mixes, and which of them is each source's. */
  readonly #mixes: readonly MixSchedule[];
  readonly #mixOf: readonly number[];
  /** Every kind that may be asked for. */
  readonly kinds: readonly CaptionKind[];

  /** @throws ConfigError if a mix, a schedule or an option is not valid, or a source lacks a kind's column. */
  constructor(options: CaptionOptions, sources: readonly CaptionSource[], seed: number) {
    this.#options = options;
    this.#seed = seed;
    const mixes = [new MixSchedule(options.captions, options.mixSchedule)];
    this.#mixOf = sources.map(({ captions }) =>
      captions === undefined ? 0 : mixes.push(new MixSchedule(captions)) - 1,
    );
    this.#mixes = mixes;
    checkOptions(options);
    const { concat, missing = 'renormalise' } = options;
    const asked = new Set<CaptionKind>();
    for (const [i, { path, columns }] of sources.entries()) {
      const { kinds } = mixes[this.#mixOf[i] as number] as MixSchedule;
      if (concat === undefined) checkKindColumns(kinds, columns, path);
      else checkKindColumns(concat.order, columns, path, 'concat.order');
      if (missing !== 'renormalise') checkKindColumns(missing, columns, path, 'missing');
      for (const kind of concat?.order ?? kinds) asked.add(kind);
    }
    for (const kind of missing === 'renormalise' ? [] : missing) asked.add(kind);
    this.kinds = captionKinds.filter((kind) => asked.has(kind));
  }

  /** Nothing is owed to any kind. */
  get noCarries(): Carries {
    return this.#options.mixing === 'batch' ? this.#mixes.map(() => noCarry) : [];
  }

  /** Kinds that have a caption in a row. */
  present(row: Row): KindBits {
    return presentKinds(row, this.kinds);
  }

  /** Kinds of which a sample of the source needs one at the step. */
  usable(source: number, step: number): KindBits {
    const { concat, missing = 'renormalise' } = this.#options;
    if (concat !== undefined) return concat.order.reduce((bits, kind) => bits | kindBit(kind), 0);
    return usableKinds(this.#mix(source, step), missing);
  }

  /** Kinds of which a sample may get one at the step, whatever its source. */
  weightyKinds(step: number): CaptionKind[] {
    const bits = this.#mixOf.reduce((all, _, source) => all | this.usable(source, step), 0);
    return captionKinds.filter((kind) => (bits & kindBit(kind)) !== 0);
  }

  /**
   * The captions of a batch's slots, those of other ranks left undefined. Each sample must have a kind that is
   * {@link usable} for its source at the step.
   *
   * @param step number of the batch in the run, from 0
   * @param place what keys the choice of slots in mode `batch`: epoch and position of the batch
   */
  choose(
    slots: readonly CaptionSlot[],
    step: number,
    place: { readonly epoch: number; readonly position: number },
    carries: Carries,
  ): { captions: (PlannedCaption | undefined)[]; carries: Carries } {
    const { mixing, concat } = this.#options;
    if (mixing === 'batch' && concat === undefined) return this.#stratified(slots, step, place, carries);
    const captions = slots.map(({ source, sample }) => {
      if (sample === undefined) return undefined;
      if (concat !== undefined) return this.#dropped(this.#concatenated(sample, concat), sample);
      const mix = this.#mix(source, step);
      const { missing } = this.#options;
      const drawn = drawCaption(mix, sample.row, this.#keyOf(sample), missing, mixing === 'fixed');
      // Left undefined, the sample would pass for another rank's and the batch come out short.
      if (drawn === undefined) throw new Error(`sample ${sample.key} has no caption that it may get`);
      return this.#dropped(drawn, sample);
    });
    return { captions, carries };
  }

  /** For comparison with another run's. */
  toJSON(): Record<string, unknown> {
    const { mixing = 'sample', missing = 'renormalise', captionDropout = 0, concat } = this.#options;
    const [captions, ...ofSources] = this.#mixes;
    return {
      captions,
      ...(ofSources.length > 0
        ? { sourceCaptions: this.#mixOf.map((at) => (at === 0 ? null : this.#mixes[at])) }
        : {}),
      mixing,
      missing,
      captionDropout,
      ...(concat === undefined ? {} : { concat }),
    };
  }

  #mix(source: number, step: number) {
    return (this.#mixes[this.#mixOf[source] as number] as MixSchedule).at(step);
  }

  #keyOf({ epoch, key }: CaptionSample): DrawKey {
    return { seed: this.#seed, epoch, key };
  }

  #stratified(
    slots: readonly CaptionSlot[],
    step: number,
    { epoch, position }: { readonly epoch: number; readonly position: number },
    carries: Carries,
  ): { captions: (PlannedCaption | undefined)[]; carries: Carries } {
    const captions = new Array<PlannedCaption | undefined>(slots.length).fill(undefined);
    const next = this.#mixes.map((schedule, at) => {
      const places = [...slots.keys()].filter((i) => this.#mixOf[slots[i]?.source as number] === at);
      const mix = schedule.at(step);
      const random = new KeyedRandom(this.#seed, 'caption slots', epoch, position, at);
      // All ranks must come to the same: what stands in is drawn by the slot, as other ranks' keys are not known here.
      const wanted = places.map((i) => {
        const { present } = slots[i] as CaptionSlot;
        const key = { seed: this.#seed, epoch, key: `${position} ${i}` };
        return { present, standIn: standInKind(mix, this.#options.missing ?? 'renormalise', present, key) };
      });
      const { kinds, fallbacks, carry } = assignKinds(mix, wanted, carries[at] ?? noCarry, random);
      for (const [j, i] of places.entries()) {
        const { sample } = slots[i] as CaptionSlot;
        if (sample === undefined) continue;
        const kind = kinds[j] as CaptionKind;
        const text = captionText(sample.row, kind, this.#keyOf(sample));
        captions[i] = this.#dropped({ kind, text, fallback: fallbacks[j] as boolean }, sample);
      }
      return carry;
    });
    return { captions, carries: next };
  }

  #concatenated(sample: CaptionSample, { order, separator, maxTokens }: ConcatOptions): PlannedCaption {
    const at = this.#keyOf(sample);
    const kinds = order.filter((kind) => presentKinds(sample.row, [kind]) !== 0);
    const texts = kinds.map((kind) => captionText(sample.row, kind, at));
    const fallback = kinds.length < order.length;
    const whole = { kind: 'concat', text: texts.join(separator), fallback } as const;
    if (maxTokens === undefined) return whole;
    const parts = kinds.flatMap((kind, i) => {
      const part = { text: texts[i] as string, maxTokens: maxTokens[kind] ?? Number.POSITIVE_INFINITY };
      return i === 0 || separator.trim() === ''
        ? [part]
        : [{ text: separator, maxTokens: Number.POSITIVE_INFINITY }, part];
    });
    return { ...whole, parts };
  }

  #dropped(caption: PlannedCaption, sample: CaptionSample): PlannedCaption {
    const { captionDropout = 0 } = this.#options;
    if (captionDropout === 0) return caption;
    const { seed, epoch, key } = this.#keyOf(sample);
    if (uniform(seed, 'caption dropout', epoch, key) >= captionDropout) return caption;
    return { kind: 'dropped', text: '', fallback: false };
  }
}

function checkOptions(options: CaptionOptions): void {
  const { captionDropout = 0, concat, mixing = 'sample', missing = 'renormalise' } = options;
  if (!(captionDropout >= 0 && captionDropout <= 1)) {
    throw new ConfigError(`captionDropout must be from 0 to 1, found ${captionDropout}.`);
  }
  const lists = [
    ['concat.order', concat?.order],
    ['missing', missing === 'renormalise' ? undefined : missing],
  ] as const;
  for (const [name, kinds] of lists) {
    if (kinds === undefined) continue;
    if (kinds.length === 0 || new Set(kinds).size < kinds.length) {
      throw new ConfigError(
        `${name} must name at least one kind, and none twice; found [${kinds.join(', ')}].`,
      );
    }
  }
  const unused = [
    ['mixing', mixing === 'sample' ? undefined : mixing],
    ['missing', missing === 'renormalise' ? undefined : `[${missing.join(', ')}]`],
  ] as const;
  for (const [name, value] of unused) {
    if (concat === undefined || value === undefined) continue;
    throw new ConfigError(
      `${name} is ${value}, but concat takes all kinds of its order and draws none; leave out ${name} or concat.`,
    );
  }
  for (const [kind, tokens] of Object.entries(concat?.maxTokens ?? {})) {
    if (!Number.isSafeInteger(tokens) || tokens < 1) {
      throw new ConfigError(`concat.maxTokens.${kind} must be an integer of at least 1, found ${tokens}.`);
    }
  }
}
