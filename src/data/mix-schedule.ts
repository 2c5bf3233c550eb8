/** The mix of captions over training: the same at every step, or changing with it. */
import { ConfigError } from '../errors.js';
import { type CaptionMix, type ValidMix, validateMix } from './mixing.js';
import { type CaptionKind, captionKinds } from './schema.js';

/** A mix that holds from a step on, or is reached there. */
export interface MixPoint {
  readonly step: number;
  readonly captions: CaptionMix;
}

/** How the mix changes after its start. */
export interface MixScheduleOptions {
  /** `step`: each mix holds until the next. `linear`: weights go straight from each mix to the next. */
  readonly interpolation: 'step' | 'linear';
  /** Steps above 0, rising. */
  readonly points: readonly MixPoint[];
}

interface Point {
  readonly step: number;
  readonly weights: readonly number[];
}

/** A mix as a function of the step, 0 for the first batch of a run. */
export class MixSchedule {
  /** Every kind that has a weight at some step. */
  readonly kinds: readonly CaptionKind[];
  readonly #points: readonly Point[];
  readonly #linear: boolean;

  /** @throws ConfigError if a mix is not valid, or the steps do not rise from above 0. */
  constructor(captions: CaptionMix, schedule?: MixScheduleOptions) {
    const points: MixPoint[] = [{ step: 0, captions }, ...(schedule?.points ?? [])];
    const mixes = points.map((point) => validateMix(point.captions));
    const all = new Set(mixes.flatMap(({ kinds }) => kinds));
    this.kinds = captionKinds.filter((kind) => all.has(kind));
    this.#points = points.map(({ step, captions: mix }, i) => {
      const before = points[i - 1]?.step;
      if (before !== undefined && !(Number.isSafeInteger(step) && step > before)) {
        throw new ConfigError(
          `mixSchedule.points[${i - 1}].step must be an integer above ${before}, found ${step}.`,
        );
      }
      return { step, weights: this.kinds.map((kind) => mix[kind] ?? 0) };
    });
    this.#linear = schedule?.interpolation === 'linear';
  }

  /** The mix at a step. Its kinds are always {@link kinds}. */
  at(step: number): ValidMix {
    const { kinds } = this;
    const next = this.#points.findIndex((point) => point.step > step);
    const from = this.#points.at(next < 0 ? -1 : next - 1) as Point;
    const to = this.#points[next];
    if (to === undefined || !this.#linear) return { kinds, weights: from.weights };
    const share = (step - from.step) / (to.step - from.step);
    const weights = from.weights.map((w, i) => w + share * ((to.weights[i] as number) - w));
    return { kinds, weights };
  }

  /** What it is, for comparison: equal if and only if the mixes are, at every step. */
  toJSON(): unknown {
    const mixOf = ({ weights }: Point) => Object.fromEntries(this.kinds.map((kind, i) => [kind, weights[i]]));
    const [first, ...later] = this.#points as [Point, ...Point[]];
    if (later.length === 0) return mixOf(first);
    return {
      interpolation: this.#linear ? 'linear' : 'step',
      points: this.#points.map((point) => ({ step: point.step, captions: mixOf(point) })),
    };
  }
}
