/**
 * Batches of images and captions for training: shuffled, mixed, decoded in worker threads, prepared ahead.
 * What a batch holds is a pure function of (seed, epoch, data, settings), whatever the number of workers and
 * wherever the run was interrupted.
 */
import { availableParallelism } from 'node:os';
import { clipMergesPath } from '../assets/index.js';
import { ConfigError, DataError } from '../errors.js';
import { type Batch, BatchBuilder, type BatchShape } from './batch.js';
import { openSource } from './datasets/open.js';
import { DecodedCache } from './decoded-cache.js';
import { type CropScale, TRAIN_SCALE } from './image/crop.js';
import { KeyWatch } from './key-watch.js';
import { checkResume, type LoaderState, loaderFingerprint } from './loader-state.js';
import { MixRecorder, type MixStats, type Skip } from './mix-stats.js';
import { type CaptionMix, validateMix } from './mixing.js';
import { type Sample, SampleStream, type Segment } from './sample-stream.js';
import type { ShardFormat } from './schema.js';
import type { SchemaOptions } from './schemas/apply.js';
import { requireImages } from './schemas/schema-source.js';
import { skipBudget } from './skip-budget.js';
import type { Source } from './sources/source.js';
import { createDecoder, type Decoder } from './worker-pool.js';

export type { Batch } from './batch.js';
export type { LoaderState } from './loader-state.js';
export type { MixStats, MixSummary, Skip } from './mix-stats.js';

export interface LoaderOptions {
  /** An open source, which stays the caller's to close, or the path of a data set. */
  readonly source: Source | string;
  /** Of a path: which split to open. */
  readonly split?: string;
  /** Of a path: which format to open, if there are several. */
  readonly format?: ShardFormat;
  /** Of a path: the schema, column map and image root by which its columns are read, as `openSource` takes them. */
  readonly schema?: SchemaOptions['schema'];
  readonly columns?: SchemaOptions['columns'];
  readonly images?: SchemaOptions['images'];
  /** Share of each caption kind; they sum to 1. */
  readonly captions: CaptionMix;
  readonly batchSize: number;
  /** Pixels of a side. */
  readonly imageSize: number;
  readonly contextLength: number;
  readonly seed: number;
  /** `train`: random resized crop. `eval`: resize and centre crop. */
  readonly transform: 'train' | 'eval';
  /** Least and largest share of the image's area that the crop of `train` keeps. Default: open_clip's 0.9 to 1. */
  readonly cropScale?: CropScale;
  /**
   * Decoding threads; 0 decodes in this thread. Default: one fewer than cores, at least 1. Node decodes at most
   * UV_THREADPOOL_SIZE (4 unless set) images at a time in a process; resizing is not bound by it.
   */
  readonly workers?: number;
  /** Batches prepared ahead. Default 4. */
  readonly prefetch?: number;
  /**
   * Memory for decoded images, in bytes, which all threads share and which the loader frees when it is closed. What
   * fits is decoded once and not anew in each epoch; batches do not depend on it. Default 0.
   */
  readonly cacheBytes?: number;
  /** A cache that loaders of the same source share, instead of one of `cacheBytes` of this loader's own. */
  readonly cache?: DecodedCache;
  /** Default true. */
  readonly shuffle?: boolean;
  /** Whether the samples that do not fill a batch at the end of an epoch are dropped. Default true. */
  readonly dropLast?: boolean;
  /**
   * Share of the rows, rounded down to whole rows, that may be broken (no key, no image, or one that cannot be
   * decoded) in an epoch; the loader gives up at one more. 0 gives up at the first. Default 0.01.
   */
  readonly maxSkipRatio?: number;
  /** Epochs after which the batches end. Default: they never do. */
  readonly epochs?: number;
  /** Go on after the last batch of another loader. Workers, prefetch and batch size may differ from its. */
  readonly resumeFrom?: LoaderState;
  /** Told why of each broken sample when the batch before which it was passed over is handed out. */
  readonly onSkip?: (reason: string, key: string) => void;
  /** Told likewise of each sample that has no caption of the mix. */
  readonly onNoCaption?: (key: string) => void;
  /**
   * Told likewise of each sample whose key another sample of the epoch has, in the epoch that the loader begins in and
   * as far as 65,536 keys go. Their captions and crops are drawn alike.
   */
  readonly onRepeatedKey?: (key: string) => void;
}

/** An endless, or after `epochs` ending, sequence of batches. */
export interface Loader extends AsyncIterable<Batch> {
  /**
   * The next batch.
   *
   * @throws DataError if too many samples are broken, the source or a worker fails, no batch can be filled
   *   (no sample of an epoch has a caption, for one), the epochs are over, or the loader was closed. The error comes at the same batch however far ahead the
   *   loader worked, and again at every later call.
   */
  next(): Promise<Batch>;
  /** Where the batches handed out so far end. */
  state(): LoaderState;
  /** Composition of the last batch and of its epoch so far. */
  stats(): MixStats;
  /** Ends workers and work under way, also in mid-epoch. May be called again. */
  close(): Promise<void>;
}

interface Settings extends BatchShape, Pick<LoaderOptions, 'onSkip' | 'onNoCaption' | 'onRepeatedKey'> {
  readonly prefetch: number;
  readonly dropLast: boolean;
  readonly maxSkipRatio: number;
  readonly numRows: number;
  /** Caption kinds that can be drawn, for messages. */
  readonly kinds: readonly string[];
  readonly epochs: number | undefined;
}

/** A batch with what the loader has to note when it hands it out. */
interface Prepared {
  readonly batch: Batch;
  readonly fallbacks: number;
  /** Where the loader's state stands then. */
  readonly position: number;
  readonly broken: number;
}

function checkInteger(name: string, value: number, min: number): void {
  if (!Number.isSafeInteger(value) || value < min) {
    throw new ConfigError(`${name} must be an integer of at least ${min}, found ${value}.`);
  }
}

/**
 * Opens a loader.
 *
 * @throws ConfigError for an invalid option or mix, DataError for data that cannot be used, CheckpointError
 *   if `resumeFrom` belongs to other data, another mix or other settings (the message says which).
 */
export async function createLoader(options: LoaderOptions): Promise<Loader> {
  const { batchSize, imageSize, contextLength, seed, transform, epochs } = options;
  const { cropScale = TRAIN_SCALE } = options;
  const { prefetch = 4, shuffle = true, dropLast = true, maxSkipRatio = 0.01, cacheBytes = 0 } = options;
  const workers = options.workers ?? Math.max(1, availableParallelism() - 1);
  checkInteger('batchSize', batchSize, 1);
  checkInteger('imageSize', imageSize, 1);
  checkInteger('contextLength', contextLength, 2);
  checkInteger('workers', workers, 0);
  checkInteger('prefetch', prefetch, 1);
  checkInteger('cacheBytes', cacheBytes, 0);
  if (!Number.isSafeInteger(seed)) throw new ConfigError(`seed must be an integer, found ${seed}.`);
  if (epochs !== undefined) checkInteger('epochs', epochs, 1);
  if (!(maxSkipRatio >= 0 && maxSkipRatio <= 1)) {
    throw new ConfigError(`maxSkipRatio must be from 0 to 1, found ${maxSkipRatio}.`);
  }
  if (!(cropScale[0] > 0 && cropScale[0] <= cropScale[1] && cropScale[1] <= 1)) {
    throw new ConfigError(
      `cropScale must be two rising shares above 0 and up to 1, found ${cropScale.join(', ')}.`,
    );
  }
  validateMix(options.captions);

  const owned = typeof options.source === 'string' ? await openPath(options.source, options) : undefined;
  const source = owned ?? (options.source as Source);
  let decoder: Decoder | undefined;
  try {
    const mix = validateMix(options.captions, source.columns, source.path);
    checkSource(source, batchSize, dropLast);
    const fingerprint = loaderFingerprint({
      source: source.fingerprint,
      mix,
      transform,
      cropScale,
      imageSize,
      contextLength,
      shuffle,
    });
    const { numRows } = source;
    if (options.resumeFrom) checkResume(options.resumeFrom, { seed, fingerprint, numRows });
    const start = options.resumeFrom ?? { epoch: 0, position: 0, broken: 0, seed, fingerprint };
    if (options.cache && options.cache.numRows !== numRows) {
      throw new ConfigError(
        `The cache was made for ${options.cache.numRows} rows, but ${source.path} has ${numRows}.`,
      );
    }
    const cache = options.cache ?? DecodedCache.allocate(cacheBytes, numRows);
    const settings = { transform, cropScale, imageSize, contextLength, seed };
    decoder = await createDecoder(workers, settings, await clipMergesPath(), cache);
    const { epoch, position } = start;
    const stream = new SampleStream({ source, decoder, cache, mix, seed, shuffle, epoch, position, epochs });
    const close = async (): Promise<void> => {
      await Promise.all([decoder?.close(), stream.close()]);
      await owned?.close();
    };
    return new StreamLoader(
      {
        batchSize,
        imageSize,
        contextLength,
        prefetch,
        dropLast,
        maxSkipRatio,
        numRows,
        kinds: mix.kinds.filter((_, i) => (mix.weights[i] as number) > 0),
        epochs,
        ...(options.onSkip ? { onSkip: options.onSkip } : {}),
        ...(options.onNoCaption ? { onNoCaption: options.onNoCaption } : {}),
        ...(options.onRepeatedKey ? { onRepeatedKey: options.onRepeatedKey } : {}),
      },
      stream,
      { ...start },
      close,
    );
  } catch (error) {
    await decoder?.close();
    await owned?.close();
    throw error;
  }
}

function openPath(path: string, { split, format, schema, columns, images }: LoaderOptions): Promise<Source> {
  return openSource(path, {
    ...(schema === undefined ? {} : { schema }),
    ...(columns === undefined ? {} : { columns }),
    ...(images === undefined ? {} : { images }),
    ...(split === undefined ? {} : { split }),
    ...(format === undefined ? {} : { format }),
  });
}

function checkSource(source: Source, batchSize: number, dropLast: boolean): void {
  requireImages(source);
  for (const column of ['key', 'image']) {
    if (!source.columns.includes(column)) {
      throw new DataError(
        `${source.path} has no column '${column}', which the loader needs. Its columns are ${source.columns.join(', ')}. ` +
          'If another column is meant, say so in data.schema or data.columns.',
      );
    }
  }
  if (source.numRows === 0) throw new DataError(`${source.path} is empty: it has 0 rows.`);
  if (dropLast && source.numRows < batchSize) {
    throw new ConfigError(
      `batchSize is ${batchSize}, but ${source.path} has only ${source.numRows} rows: no batch can be filled. ` +
        'Lower batchSize, or keep partial batches with dropLast: false.',
    );
  }
}

class StreamLoader implements Loader {
  readonly #settings: Settings;
  readonly #stream: SampleStream;
  readonly #close: () => Promise<void>;
  readonly #recorder = new MixRecorder();
  readonly #keyWatch = new KeyWatch();
  /** Batches under preparation, each begun when the one before is ready. */
  readonly #ahead: Promise<Prepared | undefined>[] = [];
  #last: Promise<unknown> = Promise.resolve();
  #state: LoaderState;
  #closing: Promise<void> | undefined;

  // What assembling has come to. It runs ahead of #state.
  #segment: Segment | undefined;
  /** Next sample of the segment. */
  #at = 0;
  #skipped: Skip[] = [];
  #noCaption: string[] = [];
  #epochBroken: number;
  #epochNoCaption = 0;
  #epochBatches = 0;
  /** The epoch was entered at its beginning, not by a resume. */
  #wholeEpoch: boolean;

  constructor(settings: Settings, stream: SampleStream, state: LoaderState, close: () => Promise<void>) {
    this.#settings = settings;
    this.#stream = stream;
    this.#state = state;
    const atEnd = state.position === settings.numRows;
    this.#wholeEpoch = atEnd || state.position === 0;
    this.#epochBroken = atEnd ? 0 : state.broken;
    this.#close = close;
    this.#prepare();
  }

  async next(): Promise<Batch> {
    const prepared = await this.#take();
    if (prepared === undefined) {
      throw new DataError(`There is no further batch: all ${this.#settings.epochs} epochs were handed out.`);
    }
    return prepared;
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Batch> {
    for (let batch = await this.#take(); batch !== undefined; batch = await this.#take()) yield batch;
  }

  state(): LoaderState {
    return { ...this.#state };
  }

  stats(): MixStats {
    return this.#recorder.stats();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #take(): Promise<Batch | undefined> {
    this.#checkOpen();
    const pending = this.#ahead.shift() as Promise<Prepared | undefined>;
    this.#prepare();
    const prepared = await pending;
    this.#checkOpen();
    if (prepared === undefined) return undefined;
    const { batch, fallbacks, position, broken } = prepared;
    this.#state = { ...this.#state, epoch: batch.epoch, position, broken };
    this.#recorder.record(batch, batch.epoch, fallbacks);
    for (const { reason, key } of batch.skipped) this.#settings.onSkip?.(reason, key);
    for (const key of batch.noCaption) this.#settings.onNoCaption?.(key);
    for (const key of this.#keyWatch.repeated(batch.keys, batch.epoch)) this.#settings.onRepeatedKey?.(key);
    return batch;
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new DataError('The loader was closed.');
  }

  #prepare(): void {
    this.#stream.prefetch();
    while (this.#ahead.length < this.#settings.prefetch) {
      const batch = this.#last.then(() => this.#assemble());
      batch.catch(() => undefined); // it is thrown where the batch is taken
      this.#last = batch;
      this.#ahead.push(batch);
    }
  }

  /** The next batch of the stream; undefined after the last epoch. */
  async #assemble(): Promise<Prepared | undefined> {
    const { batchSize, dropLast } = this.#settings;
    let builder = new BatchBuilder(this.#settings);
    for (;;) {
      const segment = await this.#current();
      if (segment === undefined) return undefined;
      while (this.#at < segment.samples.length && builder.count < batchSize) {
        this.#add(builder, segment.samples[this.#at] as Sample, segment.epoch, segment.start + this.#at);
        this.#at++;
      }
      const ended = segment.last && this.#at === segment.samples.length;
      const full = builder.count === batchSize;
      if (full || (ended && builder.count > 0 && !dropLast)) {
        this.#epochBatches++;
        const state = { position: segment.start + this.#at, broken: this.#epochBroken };
        if (ended) this.#endEpoch(segment.epoch);
        const { batch, fallbacks } = builder.finish(segment.epoch, this.#skipped, this.#noCaption);
        this.#skipped = [];
        this.#noCaption = [];
        return { batch, fallbacks, ...state };
      }
      if (ended) {
        this.#endEpoch(segment.epoch);
        builder = new BatchBuilder(this.#settings);
      }
    }
  }

  async #current(): Promise<Segment | undefined> {
    if (this.#segment === undefined || this.#at === this.#segment.samples.length) {
      this.#segment = await this.#stream.next();
      this.#at = 0;
    }
    return this.#segment;
  }

  #add(builder: BatchBuilder, sample: Sample, epoch: number, position: number): void {
    const { key, fault } = sample;
    if (fault !== undefined) {
      this.#skipped.push({ key, reason: fault });
      this.#epochBroken++;
      this.#checkBudget(epoch, key, fault);
    } else if (sample.caption === undefined) {
      this.#noCaption.push(key);
      this.#epochNoCaption++;
    } else {
      builder.add(sample, position);
    }
  }

  /** The budget is the epoch's, so that which epoch fails does not depend on the order of its samples. */
  #checkBudget(epoch: number, key: string, fault: string): void {
    const { maxSkipRatio, numRows } = this.#settings;
    const budget = skipBudget(maxSkipRatio, numRows);
    if (this.#epochBroken <= budget) return;
    throw new DataError(
      `Epoch ${epoch}: broken samples: ${this.#epochBroken}, more than the ${budget} of ${numRows} that ` +
        `data.maxSkipRatio = ${maxSkipRatio} allows. Mend the data, or raise data.maxSkipRatio if the loss is ` +
        `acceptable. The last is ${key}: ${fault}`,
    );
  }

  #endEpoch(epoch: number): void {
    if (this.#epochBatches === 0 && this.#wholeEpoch) this.#failEmpty(epoch);
    this.#epochBroken = 0;
    this.#epochNoCaption = 0;
    this.#epochBatches = 0;
    this.#wholeEpoch = true;
  }

  #failEmpty(epoch: number): never {
    const { numRows, batchSize, kinds } = this.#settings;
    const [broken, noCaption] = [this.#epochBroken, this.#epochNoCaption];
    if (noCaption === numRows - broken && noCaption > 0) {
      throw new DataError(
        `Epoch ${epoch}: none of the ${noCaption} samples has a caption of kind ${kinds.join(', ')}. ` +
          'Choose other kinds in data.captions, or other data.',
      );
    }
    throw new DataError(
      `Epoch ${epoch} filled no batch: ${numRows - broken - noCaption} of ${numRows} samples can be used ` +
        `(${broken} are broken, ${noCaption} have no caption), a batch takes ${batchSize}. ` +
        'Lower the batch size or mend the data.',
    );
  }
}
