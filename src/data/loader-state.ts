/** Where a loader stands in its data, and whether another may go on from there. */
import { CheckpointError } from '../errors.js';
import type { CropScale } from './image/crop.js';
import type { ValidMix } from './mixing.js';

/** Position of a loader: small, JSON, exact to the sample, and free of batch size and number of workers. */
export interface LoaderState {
  /** Epoch of the last batch that was handed out. */
  readonly epoch: number;
  /** Samples of that epoch's order that the batches handed out have consumed, those passed over included. */
  readonly position: number;
  /** Broken ones among these samples: they count against the epoch's budget. */
  readonly broken: number;
  readonly seed: number;
  /** Data, mix and settings on which the samples depend, as JSON. */
  readonly fingerprint: string;
}

/** What the content of samples depends on, besides the seed. */
export interface SampleSettings {
  readonly source: string;
  readonly mix: ValidMix;
  readonly transform: 'train' | 'eval';
  readonly cropScale: CropScale;
  readonly imageSize: number;
  readonly contextLength: number;
  readonly shuffle: boolean;
}

/** The settings as text that is equal if and only if they are. */
export function loaderFingerprint({ mix, ...settings }: SampleSettings): string {
  const { source, transform, cropScale, imageSize, contextLength, shuffle } = settings;
  const captions = Object.fromEntries(mix.kinds.map((kind, i) => [kind, mix.weights[i]]));
  const images = transform === 'train' ? { transform, cropScale, imageSize } : { transform, imageSize };
  return JSON.stringify({ source, captions, ...images, contextLength, shuffle });
}

const LABELS: Readonly<Record<string, string>> = {
  source: 'data set (files or split)',
  captions: 'caption mix',
};

function differences(before: string, now: string): string {
  let old: Record<string, unknown>;
  try {
    old = { ...JSON.parse(before) };
  } catch {
    return `the saved fingerprint ${JSON.stringify(before.slice(0, 80))} is not readable`;
  }
  const current = JSON.parse(now) as Record<string, unknown>;
  return [...new Set([...Object.keys(old), ...Object.keys(current)])]
    .map((name) => ({ name, from: JSON.stringify(old[name]), to: JSON.stringify(current[name]) }))
    .filter(({ from, to }) => from !== to)
    .map(({ name, from, to }) => `${LABELS[name] ?? name}: was ${from ?? 'absent'}, is ${to ?? 'absent'}`)
    .join('; ');
}

/**
 * Checks that a loader of these settings continues the samples of `state`.
 *
 * @throws CheckpointError that says what changed, or that the position is none of this source.
 */
export function checkResume(
  state: LoaderState,
  current: { readonly seed: number; readonly fingerprint: string; readonly numRows: number },
): void {
  const advice = 'Restore it to go on, or start a new run.';
  if (state.fingerprint !== current.fingerprint) {
    throw new CheckpointError(
      `The data position cannot be continued: ${differences(state.fingerprint, current.fingerprint)}. ${advice}`,
    );
  }
  if (state.seed !== current.seed) {
    throw new CheckpointError(
      `The data position cannot be continued: seed: was ${state.seed}, is ${current.seed}. ${advice}`,
    );
  }
  const whole = (n: number): boolean => Number.isInteger(n) && n >= 0;
  const { epoch, position, broken } = state;
  if (
    !whole(epoch) ||
    !whole(position) ||
    position > current.numRows ||
    !whole(broken) ||
    broken > position
  ) {
    throw new CheckpointError(
      `The data position epoch ${epoch}, sample ${position}, ${broken} of them broken, does not exist: ` +
        `an epoch has ${current.numRows} samples. The checkpoint is damaged; take an earlier one.`,
    );
  }
}
