/** What a loader consists of: its sources in order, the stream of their samples, the assembly of batches. */
import { availableParallelism } from 'node:os';
import { ConfigError, DataError } from '../errors.js';
import { BatchAssembler, slotsOf } from './batch-assembler.js';
import { type CaptionOptions, CaptionPlan } from './caption-plan.js';
import { type OpenOptions, openSource } from './datasets/open.js';
import { DecodedCache } from './decoded-cache.js';
import { featuresOfSources } from './features/sample-features.js';
import type { FeatureStore } from './features/store.js';
import { type CropScale, TRAIN_SCALE } from './image/crop.js';
import {
  checkResume,
  contentOf,
  type LoaderState,
  loaderFingerprint,
  type SavedLoaderState,
} from './loader-state.js';
import type { CaptionMix } from './mixing.js';
import type { Ranks } from './order/exchange.js';
import { Interleave } from './order/interleave.js';
import { WindowOrder } from './order/window-order.js';
import { createRowReader, defaultWindow } from './row-reader.js';
import { SampleStream } from './sample-stream.js';
import { requireImages } from './schemas/schema-source.js';
import type { Source } from './sources/source.js';

import { borrowStorage, type Storage } from './storage/storage.js';

import { type TokenizerFile, type TokenizerOptions, tokenizerFile } from './text/tokenizer.js';

import { createDecoder, type Decoder } from './worker-pool.js';

/** One of several sources of a loader. */
export interface LoaderSource extends OpenOptions {
  /** An open source, which stays the caller's to close, or the path of a data set, which the other options open. */
  readonly source: Source | string;
  /**
   * How much of every batch is of this source, in proportion to the other weights. Each source is then visited in
   * epochs of its own. Either all sources have one or none: then each has its share by size, and an epoch visits every
   * sample once.
   */
  readonly weight?: number;
  /** The mix of captions of this source, for which there is no schedule. Default: that of all. */
  readonly captions?: CaptionMix | undefined;
}

/** What decides which samples and captions a batch has. */
export interface OrderOptions extends CaptionOptions, OpenOptions {
  /**
   * An open source, which stays the caller's to close, or the path of a data set, which is opened by these options'
   * split, format, schema, columns, images and storage. Or {@link sources}.
   */
  readonly source?: Source | string;
  /** Several sources, which are interleaved. */
  readonly sources?: readonly LoaderSource[];
  /** Samples of a batch, of all ranks together. */
  readonly batchSize: number;
  readonly seed: number;
  /** Default true. */
  readonly shuffle?: boolean;
  /**
   * Rows that are shuffled together, of shards that are shuffled too. Default: all up to 65,536, where that takes no
   * more than 256 MiB of memory, else as many as take that.
   */
  readonly shuffleBuffer?: number;
  /** Whether the samples that do not fill a batch at the end of an epoch are dropped. Default true. */
  readonly dropLast?: boolean;
  /**
   * Share of the rows, rounded down to whole rows, that may be broken (no key, no image, or one that cannot be
   * decoded) in an epoch; the loader gives up at one more. 0 gives up at the first. Default 0.01.
   */
  readonly maxSkipRatio?: number;
  /** Epochs after which the batches end. Default: they never do. */
  readonly epochs?: number;
  /** Which rank of a data-parallel run this is. Default: the only one. */
  readonly ranks?: Ranks;
  /** Go on after the last batch of another loader. Workers, ranks, prefetch and batch size may differ from its. */
  readonly resumeFrom?: SavedLoaderState;
}

/** How samples are decoded. */
export interface DecodeOptions extends TokenizerOptions {
  /** Pixels of a side. */
  readonly imageSize: number;
  readonly contextLength: number;
  /** `train`: random resized crop. `eval`: resize and centre crop. */
  readonly transform: 'train' | 'eval';
  /** Least and largest share of the image's area that the crop of `train` keeps. Default: open_clip's 0.9 to 1. */
  readonly cropScale?: CropScale;
  /** How often an image of `train` is mirrored, left to right. Default 0, as in open_clip. */
  readonly flip?: number;
  /** Whether the orientation that an image's EXIF data tells is applied. Default false, as in open_clip. */
  readonly exif?: boolean;
  /**
   * Whether `train` decodes JPEGs at a half, quarter or eighth of their size where the crop keeps at least
   * `imageSize` pixels either way. Pixels are then others than Pillow's; large images take less time. Default false.
   */
  readonly scaledDecode?: boolean;
  /**
   * Decoding threads; 0 decodes in this thread. Default: one fewer than cores, at least 1. Of images
   * other than JPEG, Node decodes at most UV_THREADPOOL_SIZE (4 unless set) at a time in a process.
   */
  readonly workers?: number;
  /**
   * Memory for decoded images, in bytes, which all threads share and which the loader frees when it is closed. What
   * fits is decoded once and not anew in each epoch; batches do not depend on it. Default 0.
   */
  readonly cacheBytes?: number;
  /** A cache that loaders of the same sources share, instead of one of `cacheBytes` of this loader's own. */
  readonly cache?: DecodedCache;
}

/** What samples have instead of images. */
export interface FeatureOptions extends TokenizerOptions {
  /** A store of the source's features, which stays the caller's to close; of several sources, one of each in order. */
  readonly features: FeatureStore | readonly FeatureStore[];
  readonly contextLength: number;
  /** Threads that tokenize; 0 tokenizes in this thread. Default: 1. */
  readonly workers?: number;
}

/** What samples have besides captions: images, features, or, where batches are only planned, nothing. */
export type Contents = DecodeOptions | FeatureOptions | undefined;

const imagesOf = (contents: Contents): DecodeOptions | undefined =>
  contents !== undefined && !('features' in contents) ? contents : undefined;

const storesOf = (contents: Contents): readonly FeatureStore[] =>
  contents !== undefined && 'features' in contents ? [contents.features].flat() : [];

/** Makes the decoder of a loader: worker threads, unless a test has another. */
export type DecoderFactory = typeof createDecoder;

/** The parts of an open loader. */
export interface Pipeline {
  readonly assembler: BatchAssembler;
  readonly decoder: Decoder;
  /** Where it begins. */
  readonly start: LoaderState;
  readonly close: () => Promise<void>;
}

/** @throws ConfigError unless the value is an integer of at least `min` */
export function checkInteger(name: string, value: number, min: number): void {
  if (!Number.isSafeInteger(value) || value < min) {
    throw new ConfigError(`${name} must be an integer of at least ${min}, found ${value}.`);
  }
}

/** More threads than any machine has cores: each takes memory before it has done anything. */
const MAX_WORKERS = 1024;

/** @throws ConfigError unless the value is a number of threads that a machine may have */
export function checkWorkers(workers: number): void {
  checkInteger('workers', workers, 0);
  if (workers > MAX_WORKERS) {
    throw new ConfigError(
      `workers is ${workers}; expected at most ${MAX_WORKERS}: one or two for each core.`,
    );
  }
}

/**
 * Opens the parts of a loader. Without contents it decodes no images and tokenizes nothing.
 *
 * @throws ConfigError, DataError, CheckpointError
 */
export async function openPipeline(
  options: OrderOptions,
  contents: Contents,
  decoderOf: DecoderFactory = createDecoder,
): Promise<Pipeline> {
  checkOptions(options, contents);
  const given = sourcesOf(options);
  const owned: Source[] = [];
  const { storage, release } = borrowStorage(options.storage);
  let decoder: Decoder | undefined;
  try {
    const images = imagesOf(contents);
    const tokenizer = contents === undefined ? undefined : await tokenizerFile(contents);
    const start = (cache?: DecodedCache): Promise<Decoder> =>
      contents === undefined || tokenizer === undefined
        ? Promise.resolve(NO_DECODER)
        : startDecoder(contents, options.seed, tokenizer, cache, decoderOf);
    // Threads take a while to start, in which the sources can be opened; the size of a cache is theirs to tell.
    const isCached = images?.cache !== undefined || (images?.cacheBytes ?? 0) > 0;
    if (!isCached) decoder = await start();
    const sources: Source[] = [];
    for (const one of given) sources.push(await openOne(one, owned, storage));
    const parts = prepareParts(options, contents, tokenizer?.sha256, given, sources);
    const cache = images !== undefined && isCached ? cacheOf(images, sources) : undefined;
    decoder ??= await start(cache);
    const stream = new SampleStream({ ...parts.stream, decoder, cache });
    const assembler = new BatchAssembler({ ...parts.assembly, stream }, parts.start);
    const close = async (): Promise<void> => {
      await Promise.all([decoder?.close(), stream.close()]);
      for (const source of owned) await source.close();
      await release();
    };
    return { assembler, decoder, start: parts.start, close };
  } catch (error) {
    await decoder?.close();
    for (const source of owned) await source.close();
    await release();
    throw error;
  }
}

/** Decodes nothing, of which it can do much at a time. */
const NO_DECODER: Decoder = {
  capacity: 16,
  room: (numBytes) => new Uint8Array(numBytes),
  release: () => undefined,
  decode: () => Promise.reject(new DataError('Nothing is decoded where only batches are planned.')),
  close: async () => {},
};

function checkOptions(options: OrderOptions, contents: Contents): void {
  const { batchSize, seed, epochs, maxSkipRatio = 0.01, ranks, dropLast = true, shuffleBuffer } = options;
  checkInteger('batchSize', batchSize, 1);
  if (contents !== undefined) {
    checkInteger('contextLength', contents.contextLength, 2);
    checkWorkers(contents.workers ?? 0);
  }
  const images = imagesOf(contents);
  if (images !== undefined) {
    checkInteger('imageSize', images.imageSize, 1);
    checkInteger('cacheBytes', images.cacheBytes ?? 0, 0);
    const { cropScale = TRAIN_SCALE } = images;
    if (!(cropScale[0] > 0 && cropScale[0] <= cropScale[1] && cropScale[1] <= 1)) {
      const found = cropScale.join(', ');
      throw new ConfigError(`cropScale must be two rising shares above 0 and up to 1, found ${found}.`);
    }
    const { flip = 0, scaledDecode = false, cacheBytes = 0, cache } = images;
    if (!(flip >= 0 && flip <= 1)) throw new ConfigError(`flip must be from 0 to 1, found ${flip}.`);
    if (scaledDecode && (cacheBytes > 0 || cache !== undefined)) {
      throw new ConfigError(
        'scaledDecode shrinks an image as its crop allows, and a cache holds whole ones. Choose one.',
      );
    }
  }
  if (shuffleBuffer !== undefined) checkInteger('shuffleBuffer', shuffleBuffer, 1);
  if (!Number.isSafeInteger(seed)) throw new ConfigError(`seed must be an integer, found ${seed}.`);
  if (epochs !== undefined) checkInteger('epochs', epochs, 1);
  if (!(maxSkipRatio >= 0 && maxSkipRatio <= 1)) {
    throw new ConfigError(`maxSkipRatio must be from 0 to 1, found ${maxSkipRatio}.`);
  }
  if (ranks === undefined) return;
  const { rank, worldSize } = ranks;
  checkInteger('ranks.worldSize', worldSize, 1);
  checkInteger('ranks.rank', rank, 0);
  if (rank >= worldSize)
    throw new ConfigError(`ranks.rank is ${rank}, but there are ${worldSize} ranks from 0.`);
  if (batchSize % worldSize !== 0) {
    throw new ConfigError(`batchSize is ${batchSize}, which ${worldSize} ranks cannot share evenly.`);
  }
  if (worldSize > 1 && !dropLast) {
    throw new ConfigError(
      'dropLast: false leaves the last batch too small for several ranks; leave it true.',
    );
  }
}

function sourcesOf(options: OrderOptions): readonly LoaderSource[] {
  const { source, sources } = options;
  if ((source === undefined) === (sources === undefined)) {
    throw new ConfigError('A loader needs either source or sources, and not both.');
  }
  const { storage: _, ...opened } = openOptions(options);
  const given = sources ?? [{ source: source as Source | string, ...opened }];
  if (given.length === 0) throw new ConfigError('sources is empty; name at least one.');
  const weighted = given.filter(({ weight }) => weight !== undefined);
  if (weighted.length > 0 && weighted.length < given.length) {
    throw new ConfigError('Either every one of sources has a weight, or none has.');
  }
  for (const [i, { weight }] of given.entries()) {
    if (weight !== undefined && !(Number.isFinite(weight) && weight > 0)) {
      throw new ConfigError(
        `sources[${i}].weight must be a number above 0, found ${weight}. Leave the source out.`,
      );
    }
  }
  return given;
}

/** @param storage of all sources without one of their own */
async function openOne(
  { source, ...options }: LoaderSource,
  owned: Source[],
  storage: Storage,
): Promise<Source> {
  if (typeof source !== 'string') return source;
  const opened = await openSource(source, { storage, ...openOptions(options) });
  owned.push(opened);
  return opened;
}

function openOptions({ split, format, schema, columns, images, storage }: OpenOptions): OpenOptions {
  return {
    ...(split === undefined ? {} : { split }),
    ...(format === undefined ? {} : { format }),
    ...(schema === undefined ? {} : { schema }),
    ...(columns === undefined ? {} : { columns }),
    ...(images === undefined ? {} : { images }),
    ...(storage === undefined ? {} : { storage }),
  };
}

/** Everything but what takes threads or memory. */
function prepareParts(
  options: OrderOptions,
  contents: Contents,
  tokenizerHash: string | undefined,
  given: readonly LoaderSource[],
  sources: readonly Source[],
) {
  const { batchSize, seed, shuffle = true, dropLast = true, maxSkipRatio = 0.01, epochs } = options;
  const images = imagesOf(contents);
  const features = featuresOfSources(storesOf(contents), sources, seed);
  const ranks = options.ranks ?? { rank: 0, worldSize: 1, exchange: async (report) => [report] };
  const captions = new CaptionPlan(
    options,
    sources.map(({ path, columns }, i) => ({ path, columns, captions: given[i]?.captions })),
    seed,
  );
  for (const source of sources) checkSource(source, images !== undefined);
  const weights = given.flatMap(({ weight }) => (weight === undefined ? [] : [weight]));
  const interleave = new Interleave({
    seed,
    numRows: sources.map(({ numRows }) => numRows),
    weights: weights.length === 0 ? undefined : weights,
    shuffle,
  });
  const numRows = interleave.epochLength;
  if (dropLast && numRows < batchSize) {
    const where = sources.map(({ path }) => path).join(' and ');
    throw new ConfigError(
      `batchSize is ${batchSize}, but ${where} has only ${numRows} rows: no batch can be filled. ` +
        'Lower batchSize, or keep partial batches with dropLast: false.',
    );
  }
  const windows = sources.map((source) => options.shuffleBuffer ?? defaultWindow(source));
  const fingerprint = loaderFingerprint({
    sources: sources.map((source, i) => ({
      fingerprint: source.fingerprint,
      window: Math.min(windows[i] as number, source.numRows),
      weight: given[i]?.weight,
    })),
    captions,
    transform: images?.transform ?? 'train',
    cropScale: images?.cropScale ?? TRAIN_SCALE,
    flip: images?.flip ?? 0,
    exif: images?.exif ?? false,
    scaledDecode: images?.scaledDecode ?? false,
    imageSize: images?.imageSize ?? 0,
    features: storesOf(contents).map(({ fingerprint }) => fingerprint),
    contextLength: contents?.contextLength ?? 0,
    tokenizer: tokenizerHash,
    endToken: contents?.endToken,
    shuffle,
  });
  const none = {
    epoch: 0,
    position: 0,
    broken: 0,
    batches: 0,
    carries: captions.noCarries,
    seed,
    fingerprint,
    ...contentOf(sources),
  };
  const current = { seed, fingerprint, numRows, numCarries: captions.noCarries.length, sources };
  const start = options.resumeFrom ? checkResume(options.resumeFrom, current) : none;
  const atEnd = start.position === numRows;
  const places = interleave.placesAt(start.epoch + (atEnd ? 1 : 0), atEnd ? 0 : start.position);
  const columns = ['key', ...(images === undefined ? [] : ['image']), ...captions.kinds];
  const streams = sources.map((source, i) => {
    const window = windows[i] as number;
    const order = new WindowOrder({ seed, source: i, shardRows: source.shardRows, window, shuffle });
    const reader = createRowReader({
      source,
      order,
      columns: columns.filter((column) => source.columns.includes(column)),
      start: places[i] as { epoch: number; position: number },
      epochs: weights.length === 0 ? epochs : undefined,
    });
    return { order, reader, features: features[i] };
  });
  const { first: firstSlot, end: endSlot } = slotsOf(ranks, batchSize);
  return {
    start,
    stream: {
      sources: streams,
      interleave,
      images: images !== undefined,
      present: captions.present.bind(captions),
      epochs,
      batchSize,
      firstSlot,
      endSlot,
    },
    assembly: { interleave, captions, batchSize, dropLast, maxSkipRatio, epochs, ranks },
  };
}

function checkSource(source: Source, images: boolean): void {
  const { path, columns, numRows } = source;
  if (images) requireImages(source);
  for (const column of images ? ['key', 'image'] : ['key']) {
    if (!columns.includes(column)) {
      throw new ConfigError(
        `${path} has no column '${column}', which the loader needs. Its columns are ${columns.join(', ')}. ` +
          'If another column is meant, say so in data.schema or data.columns.',
      );
    }
  }
  if (numRows === 0) throw new DataError(`${path} is empty: it has 0 rows.`);
}

function cacheOf(
  { cache, cacheBytes = 0 }: DecodeOptions,
  sources: readonly Source[],
): DecodedCache | undefined {
  const numRows = sources.reduce((sum, source) => sum + source.numRows, 0);
  if (cache !== undefined && cache.numRows !== numRows) {
    const where = sources.map(({ path }) => path).join(' and ');
    throw new ConfigError(`The cache was made for ${cache.numRows} rows, but ${where} has ${numRows}.`);
  }
  return cache ?? DecodedCache.allocate(cacheBytes, numRows);
}

async function startDecoder(
  contents: DecodeOptions | FeatureOptions,
  seed: number,
  tokenizer: TokenizerFile,
  cache: DecodedCache | undefined,
  decoderOf: DecoderFactory,
): Promise<Decoder> {
  const images = imagesOf(contents);
  // Texts take one thread little time.
  const workers = contents.workers ?? (images === undefined ? 1 : Math.max(1, availableParallelism() - 1));
  const {
    transform = 'eval',
    cropScale,
    flip,
    exif = false,
    scaledDecode = false,
    imageSize = 0,
  } = images ?? {};
  const { contextLength } = contents;
  const augmentation = { cropScale, flip };
  const settings = { transform, augmentation, exif, scaledDecode, imageSize, contextLength, seed };
  return decoderOf(workers, settings, tokenizer, cache);
}
