/** Where a loader stands in its data, and whether another may go on from there. */
import { CheckpointError, ConfigError } from '../errors.js';
import type { CaptionPlan, Carries } from './caption-plan.js';
import type { CropScale } from './image/crop.js';
import type { Source, SourceContent } from './sources/source.js';

/** Position of a loader: small, JSON, exact to the sample, and free of batch size, ranks and number of workers. */
export interface LoaderState {
  /** Epoch of the last batch that was handed out. */
  readonly epoch: number;
  /** Samples of that epoch's order that the batches handed out have consumed, those passed over included. */
  readonly position: number;
  /** Broken ones among these samples: they count against the epoch's budget. */
  readonly broken: number;
  /** Batches handed out since the run began: the step that a schedule of the mix goes by. */
  readonly batches: number;
  /** With mixing by batch, per mix and kind what the batches so far owe it. */
  readonly carries: Carries;
  readonly seed: number;
  /** Data, mix and settings on which the samples depend, as JSON. */
  readonly fingerprint: string;
  /** What servers say of the content of each source, null of one that is not on a server; left out if none is. */
  readonly content?: readonly (SourceContent | null)[] | undefined;
}

/** A state as a checkpoint has it: those of earlier versions lack what they did not know. */
export interface SavedLoaderState extends Omit<LoaderState, 'batches' | 'carries'> {
  readonly batches?: number | undefined;
  readonly carries?: Carries | undefined;
}

/** A source as far as the order and the draws depend on it. */
export interface SourceSettings {
  readonly fingerprint: string;
  /** Rows of its shuffled windows. */
  readonly window: number;
  readonly weight?: number | undefined;
}

/** What the content of samples depends on, besides the seed. */
export interface SampleSettings {
  readonly sources: readonly SourceSettings[];
  readonly captions: CaptionPlan;
  readonly transform: 'train' | 'eval';
  readonly cropScale: CropScale;
  readonly flip: number;
  readonly exif: boolean;
  readonly scaledDecode: boolean;
  readonly imageSize: number;
  /** Of each source, the fingerprint of the store of features that stand for images; empty for images. */
  readonly features: readonly string[];
  readonly contextLength: number;
  /** SHA-256 of a tokenizer's file; undefined for CLIP's own. */
  readonly tokenizer: string | undefined;
  readonly endToken: number | undefined;
  readonly shuffle: boolean;
}

/** The settings as text that is equal if and only if they are. */
export function loaderFingerprint(settings: SampleSettings): string {
  const { sources, captions, transform, cropScale, flip, exif, scaledDecode, imageSize, features, shuffle } =
    settings;
  const { contextLength, tokenizer, endToken } = settings;
  // What is off by default is not named, so that states from before it was there are continued.
  const random = { cropScale, ...(flip > 0 ? { flip } : {}), ...(scaledDecode ? { scaledDecode } : {}) };
  const images = {
    transform,
    ...(transform === 'train' ? random : {}),
    ...(exif ? { exif } : {}),
    imageSize,
  };
  const weighted = sources.some(({ weight }) => weight !== undefined);
  return JSON.stringify({
    source: one(sources.map(({ fingerprint }) => fingerprint)),
    ...(weighted ? { weights: sources.map(({ weight }) => weight) } : {}),
    ...captions.toJSON(),
    ...(features.length === 0 ? images : { features: one(features) }),
    contextLength,
    ...(tokenizer === undefined ? {} : { tokenizer, endToken }),
    // Windows do not matter where nothing is shuffled.
    shuffle: shuffle ? { window: one(sources.map(({ window }) => window)) } : false,
  });
}

const one = <T>(values: readonly T[]): T | readonly T[] => (values.length === 1 ? (values[0] as T) : values);

const LABELS: Readonly<Record<string, string>> = {
  source: 'data set (names, sizes or rows of its files, its split, or its columns)',
  captions: 'caption mix',
  sourceCaptions: 'caption mix of sources',
  weights: 'weights of the sources',
  features: 'store of features',
  shuffle: 'order',
};

/** Of what is compared, what the files decide, and no setting. */
const OF_FILES = ['source', 'features'];

/** What differs between two fingerprints, and whether a setting is among it. */
function differences(before: string, now: string): { readonly text: string; readonly isSetting: boolean } {
  let old: Record<string, unknown>;
  try {
    old = { ...JSON.parse(before) };
  } catch {
    const text = `the saved fingerprint ${JSON.stringify(before.slice(0, 80))} is not readable`;
    return { text, isSetting: false };
  }
  const current = JSON.parse(now) as Record<string, unknown>;
  const changes = [...new Set([...Object.keys(old), ...Object.keys(current)])]
    .map((name) => ({ name, from: JSON.stringify(old[name]), to: JSON.stringify(current[name]) }))
    .filter(({ from, to }) => from !== to);
  return {
    text: changes
      .map(({ name, from, to }) => `${LABELS[name] ?? name}: was ${from ?? 'absent'}, is ${to ?? 'absent'}`)
      .join('; '),
    isSetting: changes.some(({ name }) => !OF_FILES.includes(name)),
  };
}

/**
 * Checks that a loader of these settings continues the samples of `state`.
 *
 * @throws ConfigError that says which settings are others; CheckpointError if the data is another, or the position
 *   is none of this source.
 */
export function checkResume(
  state: SavedLoaderState,
  current: {
    readonly seed: number;
    readonly fingerprint: string;
    readonly numRows: number;
    readonly numCarries: number;
    readonly sources: readonly Pick<Source, 'path' | 'content'>[];
  },
): LoaderState {
  const advice = 'Restore it to go on, or start a new run.';
  const { epoch, position, broken, batches, carries } = state;
  if (batches === undefined || carries === undefined) {
    throw new CheckpointError(
      'The data position cannot be continued: an earlier version of capstan saved it, which visited the samples in ' +
        'another order. Go on with that version, or start a new run.',
    );
  }
  if (state.fingerprint !== current.fingerprint) {
    const { text, isSetting } = differences(state.fingerprint, current.fingerprint);
    const Kind = isSetting ? ConfigError : CheckpointError;
    throw new Kind(`The data position cannot be continued: ${text}. ${advice}`);
  }
  const changed = current.sources.find(({ content }, i) => isReplaced(state.content?.[i], content));
  if (changed !== undefined) {
    throw new CheckpointError(
      `The data position cannot be continued: shards of ${changed.path} were replaced since: their server gives them ` +
        `other ETags or dates, under the same names, sizes and numbers of rows. ${advice} If their content is the same ` +
        'after all, read it from another address, such as a copy on this machine.',
    );
  }
  if (state.seed !== current.seed) {
    throw new ConfigError(
      `The data position cannot be continued: seed: was ${state.seed}, is ${current.seed}. ${advice}`,
    );
  }
  const whole = (n: number): boolean => Number.isInteger(n) && n >= 0;
  if (
    !whole(epoch) ||
    !whole(position) ||
    position > current.numRows ||
    !whole(broken) ||
    broken > position ||
    !whole(batches) ||
    carries.length !== current.numCarries
  ) {
    throw new CheckpointError(
      `The data position epoch ${epoch}, sample ${position}, ${broken} of them broken, does not exist: ` +
        `an epoch has ${current.numRows} samples. The checkpoint is damaged; take an earlier one.`,
    );
  }
  const { seed, fingerprint } = state;
  return { epoch, position, broken, batches, carries, seed, fingerprint, ...contentOf(current.sources) };
}

/** What a state says of its sources' content. */
export function contentOf(sources: readonly Pick<Source, 'content'>[]): Pick<LoaderState, 'content'> {
  if (sources.every(({ content }) => content === undefined)) return {};
  return { content: sources.map(({ content }) => content ?? null) };
}

/** At another place the tags are another server's, and say nothing. */
function isReplaced(before: SourceContent | null | undefined, now: SourceContent | undefined): boolean {
  return before?.place === now?.place && before?.tags !== now?.tags;
}
