/**
 * Batches of images and captions for training: shuffled, mixed, decoded in worker threads, prepared ahead.
 * What a batch holds is a pure function of (seed, epoch, data, settings), whatever the number of workers and ranks and
 * wherever the run was interrupted.
 */
import { DataError } from '../errors.js';
import { type Batch, buildBatch } from './batch.js';
import type { AssembledBatch, BatchAssembler } from './batch-assembler.js';
import type { PlannedCaption } from './caption-plan.js';
import { KeyWatch } from './key-watch.js';
import type { LoaderState } from './loader-state.js';
import { MixRecorder, type MixStats, type SavedMix, type Skip } from './mix-stats.js';
import type { CaptionLabel } from './mixing.js';
import {
  checkInteger,
  type DecodeOptions,
  type DecoderFactory,
  type FeatureOptions,
  type OrderOptions,
  openPipeline,
  type Pipeline,
} from './pipeline.js';
import type { Sample } from './sample-stream.js';
import { SpareMemory } from './spare-memory.js';
import { encodeCaptions } from './text-encoder.js';

export type { Batch } from './batch.js';
export type { LoaderState, SavedLoaderState } from './loader-state.js';
export type { MixStats, MixSummary, SavedMix, Skip } from './mix-stats.js';
export type { FeatureOptions, LoaderSource, OrderOptions } from './pipeline.js';

export interface LoaderOptions extends OrderOptions, DecodeOptions, LoaderHooks {}

/** Of a loader that hands out the features of a store instead of images, in the order of the images' loader. */
export interface FeatureLoaderOptions extends OrderOptions, FeatureOptions, LoaderHooks {}

/** How a loader works ahead, and whom it tells. */
export interface LoaderHooks {
  /** Batches prepared ahead. Default 4. */
  readonly prefetch?: number;
  /** With `resumeFrom`: what the other loader had counted of the epoch, so that its statistics go on, too. */
  readonly mixFrom?: SavedMix | undefined;
  /** Told why of each broken sample when the batch before which it was passed over is handed out. */
  readonly onSkip?: (reason: string, key: string) => void;
  /** Told likewise of each sample that has no caption of the mix. */
  readonly onNoCaption?: (key: string) => void;
  /**
   * Told likewise of each sample whose key another sample of its source has, in the epoch that the source begins in and
   * as far as 65,536 keys go. Their captions and crops are drawn alike.
   */
  readonly onRepeatedKey?: (key: string) => void;
}

/** An endless, or after `epochs` ending, sequence of batches. */
export interface Loader extends AsyncIterable<Batch> {
  /**
   * The next batch.
   *
   * @throws DataError if too many samples are broken, a source, worker or another rank fails, no batch can be filled
   *   (no sample of an epoch has a caption, for one), the epochs are over, or the loader was closed. The error comes at
   *   the same batch however far ahead the loader worked, and again at every later call.
   */
  next(): Promise<Batch>;
  /**
   * Takes the memory of a batch's images back, to be filled with another's: they must not be looked at afterwards. A
   * loop that does so for each batch spares the garbage collector most of its work.
   */
  recycle(batch: Batch): void;
  /** Where the batches handed out so far end. */
  state(): LoaderState;
  /** Composition of the last batch and of its epoch so far. */
  stats(): MixStats;
  /** What {@link stats} has counted of the epoch, for `LoaderOptions.mixFrom`. */
  mix(): SavedMix;
  /** Ends workers and work under way, also in mid-epoch. May be called again. */
  close(): Promise<void>;
}

/**
 * Opens a loader of images or of features.
 *
 * @throws ConfigError for an invalid option or mix, DataError for data that cannot be used, CheckpointError
 *   if `resumeFrom` belongs to other data, another mix or other settings (the message says which).
 */
export async function createLoader(
  options: LoaderOptions | FeatureLoaderOptions,
  decoderOf?: DecoderFactory,
): Promise<Loader> {
  checkInteger('prefetch', options.prefetch ?? 1, 1);
  return new StreamLoader(options, await openPipeline(options, options, decoderOf));
}

/** A batch as it would be, as far as that is known without decoding images. */
export interface PlannedBatch {
  /** Number of the batch in the run, from 0. */
  readonly step: number;
  readonly epoch: number;
  /** Where the batch begins in the epoch's order. */
  readonly indexInEpoch: number;
  readonly keys: readonly string[];
  readonly kinds: readonly CaptionLabel[];
  readonly captions: readonly string[];
  /** Of each caption, the parts that have a budget of tokens each; absent where none has. */
  readonly parts?: readonly PlannedCaption['parts'][];
  /** Samples whose kind had no caption, so that another kind's stands in, or whose concatenation lacks one. */
  readonly fallbacks: number;
  /** Number of each sample's source. */
  readonly sources: readonly number[];
  /** Samples without a key, passed over since the batch before. */
  readonly skipped: readonly Skip[];
  /** Keys of the samples passed over since the batch before because they have no caption of the mix. */
  readonly noCaption: readonly string[];
}

/**
 * The batches that a loader of these options would hand out, without reading images: those that are broken are not
 * known, so that behind one of them the loader's batches are others. Ends with `epochs`, or when it is left.
 *
 * @throws as `createLoader` and `Loader.next`
 */
export async function* planBatches(options: OrderOptions): AsyncGenerator<PlannedBatch, void> {
  const { assembler, close } = await openPipeline(options, undefined);
  try {
    for (let batch = await assembler.next(); batch !== undefined; batch = await assembler.next()) {
      yield {
        step: batch.step,
        epoch: batch.epoch,
        indexInEpoch: batch.position,
        keys: batch.samples.map(({ key }) => key),
        kinds: batch.captions.map(({ kind }) => kind),
        captions: batch.captions.map(({ text }) => text),
        ...(batch.captions.some(({ parts }) => parts !== undefined)
          ? { parts: batch.captions.map(({ parts }) => parts) }
          : {}),
        fallbacks: batch.captions.filter(({ fallback }) => fallback).length,
        sources: batch.samples.map(({ source }) => source),
        skipped: batch.skipped,
        noCaption: batch.noCaption,
      };
    }
  } finally {
    await close();
  }
}

/** A batch with where the loader's state stands when it is handed out. */
interface Prepared {
  readonly batch: Batch;
  readonly samples: readonly Pick<Sample, 'key' | 'source' | 'epoch'>[];
  readonly state: AssembledBatch['state'];
}

/** Batches whose memory is kept. */
const SPARE_BATCHES = 2;

class StreamLoader implements Loader {
  readonly #options: LoaderOptions | FeatureLoaderOptions;
  readonly #pipeline: Pipeline;
  readonly #recorder: MixRecorder;
  /** By source, as the key of another source is another sample's. */
  readonly #keyWatches = new Map<number, KeyWatch>();
  /** Batches under preparation, each begun when the one before has its samples. */
  readonly #ahead: Promise<Prepared | undefined>[] = [];
  readonly #images = new SpareMemory(SPARE_BATCHES);
  #lastAssembled: Promise<unknown> = Promise.resolve();
  #state: LoaderState;
  #closing: Promise<void> | undefined;
  /** End the waiting for a batch when the loader is closed, as another rank may never report. */
  readonly #giveUps = new Set<(error: Error) => void>();

  constructor(options: LoaderOptions | FeatureLoaderOptions, pipeline: Pipeline) {
    this.#options = options;
    this.#pipeline = pipeline;
    this.#recorder = new MixRecorder(options.mixFrom);
    this.#state = pipeline.start;
    this.#prepare();
  }

  async next(): Promise<Batch> {
    const batch = await this.#take();
    if (batch === undefined) {
      throw new DataError(`There is no further batch: all ${this.#options.epochs} epochs were handed out.`);
    }
    return batch;
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Batch> {
    for (let batch = await this.#take(); batch !== undefined; batch = await this.#take()) yield batch;
  }

  recycle({ images }: Batch): void {
    this.#images.put(images as Uint8Array<ArrayBuffer>);
  }

  state(): LoaderState {
    const { epoch, position, broken, batches, carries, seed, fingerprint, content } = this.#state;
    // In one order: equal states are equal text.
    const state = { epoch, position, broken, batches, carries, seed, fingerprint };
    return content === undefined ? state : { ...state, content };
  }

  stats(): MixStats {
    return this.#recorder.stats();
  }

  mix(): SavedMix {
    return this.#recorder.save();
  }

  close(): Promise<void> {
    this.#closing ??= this.#pipeline.close();
    this.#images.clear();
    for (const giveUp of this.#giveUps) giveUp(new DataError('The loader was closed.'));
    return this.#closing;
  }

  async #take(): Promise<Batch | undefined> {
    this.#checkOpen();
    const pending = this.#ahead.shift() as Promise<Prepared | undefined>;
    this.#prepare();
    const prepared = await this.#unlessClosed(pending);
    this.#checkOpen();
    if (prepared === undefined) return undefined;
    const { batch, samples, state } = prepared;
    this.#state = { ...this.#state, ...state };
    this.#recorder.record(batch, batch.epoch);
    for (const { reason, key } of batch.skipped) this.#options.onSkip?.(reason, key);
    for (const key of batch.noCaption) this.#options.onNoCaption?.(key);
    for (const key of this.#repeatedKeys(samples)) this.#options.onRepeatedKey?.(key);
    return batch;
  }

  #repeatedKeys(samples: Prepared['samples']): string[] {
    return samples.flatMap(({ key, source, epoch }) => {
      const watch = this.#keyWatches.get(source) ?? new KeyWatch();
      this.#keyWatches.set(source, watch);
      return watch.repeated([key], epoch);
    });
  }

  #unlessClosed<T>(pending: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#giveUps.add(reject);
      pending.then(resolve, reject).finally(() => this.#giveUps.delete(reject));
    });
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new DataError('The loader was closed.');
  }

  #prepare(): void {
    const { assembler }: { assembler: BatchAssembler } = this.#pipeline;
    while (this.#ahead.length < (this.#options.prefetch ?? 4)) {
      const assembled = this.#lastAssembled.then(() => assembler.next());
      this.#lastAssembled = assembled;
      const batch = assembled.then((found) => found && this.#finish(found));
      batch.catch(() => undefined); // it is thrown where the batch is taken
      this.#ahead.push(batch);
    }
  }

  async #finish(assembled: AssembledBatch): Promise<Prepared> {
    const { contextLength } = this.#options;
    const imageSize = 'features' in this.#options ? 0 : this.#options.imageSize;
    const { samples, captions, skipped, noCaption, epoch, position, state } = assembled;
    const texts = await encodeCaptions(this.#pipeline.decoder, captions, contextLength);
    const parts = { imageSize, contextLength, samples, captions, texts, skipped, noCaption, epoch };
    // Without their pixels, which the batch has.
    const named = samples.map(({ key, source, epoch: own }) => ({ key, source, epoch: own }));
    const memory = this.#images.takeExact(samples.length * imageSize * imageSize * 3);
    const batch = buildBatch({ ...parts, indexInEpoch: position }, memory);
    for (const { release } of samples) release();
    return { batch, samples: named, state };
  }
}
