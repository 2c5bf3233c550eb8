/** How fast a loader is on given data, what its work consists of, and what bounds it. */
import { availableParallelism } from 'node:os';
import { DataError } from '../errors.js';
import { KeyedRandom } from '../rng.js';
import type { Chunk, DecodedChunk } from './decode-chunk.js';
import { type DecodedImage, decodeImage } from './image/decode.js';
import { evalPixels, trainPixels } from './image/transforms.js';
import { createLoader, type LoaderOptions } from './loader.js';
import { loadTokenizer, tokenizerFile } from './text/tokenizer.js';
import type { Decoder } from './worker-pool.js';

/** How long is measured. */
export interface LoaderBenchOptions extends LoaderOptions {
  /** Batches that are timed. Default: as many as come in `seconds`. */
  readonly steps?: number;
  /** Seconds of timed batches. Default 10. */
  readonly seconds?: number;
  /** Ends the measurement early, with what was measured so far. */
  readonly signal?: AbortSignal;
}

/** Processor time of the stages for one sample, in ms, each measured alone in one thread. */
export interface StageTimes {
  /** From the source to the bytes of image files and texts, the order of the batches included. */
  readonly read: number;
  /** From image files to pixels. */
  readonly decode: number;
  /** Crop and resize. */
  readonly transform: number;
  readonly tokenize: number;
}

/** What bounds a loader: reading, decoding, the number of its threads, or other programs on the machine. */
export type LoaderBound = 'source' | 'decode' | 'threads' | 'machine';

/** What was measured. */
export interface LoaderBench {
  readonly batches: number;
  readonly batchSize: number;
  readonly imageSize: number;
  readonly workers: number;
  readonly cores: number;
  readonly imgPerSec: number;
  /** Images for each second that a core worked. */
  readonly imgPerCoreSec: number;
  /** Megabytes of image files a second. */
  readonly mbPerSec: number;
  /** From opening the loader to its first batch. */
  readonly firstBatchMs: number;
  /** Nothing is done with the batches, so all of it is waiting for data. */
  readonly batchMs: { readonly p50: number; readonly p95: number; readonly mean: number };
  /** After the first batch, and at the end. */
  readonly residentBytes: { readonly start: number; readonly end: number };
  readonly stages: StageTimes;
  readonly limits: {
    /** Images that one core decodes in a second, doing nothing else. */
    readonly decodePerCoreSec: number;
    /** Share of it that the loader reaches for each second that a core works. */
    readonly decodeShare: number;
    /** Images a second that are read, in the order of batches, if none is decoded. */
    readonly readPerSec: number;
    readonly readShare: number;
  };
  readonly bound: LoaderBound;
  /** Samples that were passed over as broken. */
  readonly skipped: number;
}

const WARMUP_BATCHES = 2;
/** Seconds for each limit. */
const LIMIT_SECONDS = 2;
/** Image files kept for measuring the stages, in number and bytes. */
const KEPT_FILES = 256;
const KEPT_BYTES = 64 * 2 ** 20;
/** Decoded images kept, which are large. */
const KEPT_IMAGES = 16;

/**
 * Measures a loader: takes batches as fast as they come; then reads without decoding, in the order of another seed; then
 * times each stage alone on some of the files read.
 *
 * @throws as `createLoader` and `Loader.next`
 */
export async function benchLoader(options: LoaderBenchOptions): Promise<LoaderBench> {
  const { batchSize, imageSize, signal } = options;
  const workers = options.workers ?? Math.max(1, availableParallelism() - 1);
  const whole = await timeLoader(options);
  const reading = await timeReading(options);
  const stages = await timeStages(reading.kept, options);
  signal?.throwIfAborted();
  const imgPerSec = (1000 * whole.images) / whole.wallMs;
  const imgPerCoreSec = (1000 * whole.images) / whole.processorMs;
  const decodePerCoreSec = 1000 / stages.decode;
  const limits = {
    decodePerCoreSec,
    decodeShare: imgPerCoreSec / decodePerCoreSec,
    readPerSec: reading.perSec,
    readShare: imgPerSec / reading.perSec,
  };
  const cores = availableParallelism();
  return {
    batches: whole.batchMs.length,
    ...{ batchSize, imageSize, workers, cores, imgPerSec, imgPerCoreSec },
    mbPerSec: (imgPerSec * reading.fileBytes) / 1e6,
    firstBatchMs: whole.firstBatchMs,
    batchMs: {
      p50: percentile(whole.batchMs, 0.5),
      p95: percentile(whole.batchMs, 0.95),
      mean: whole.wallMs / whole.batchMs.length,
    },
    residentBytes: whole.residentBytes,
    stages: { read: reading.processorMs, ...stages },
    limits,
    bound: boundOf(limits.readShare, whole.processorMs / whole.wallMs, workers, cores),
    skipped: whole.skipped,
  };
}

/** Above this share of what reading alone gives, reading is what there is to be faster. */
const READ_BOUND = 0.8;
/** Of the threads that could work, the share that does where they are busy. */
const BUSY = 0.8;

function boundOf(readShare: number, busyCores: number, workers: number, cores: number): LoaderBound {
  if (readShare >= READ_BOUND) return 'source';
  if (busyCores < BUSY * Math.min(Math.max(1, workers), cores)) return 'machine';
  return workers < cores ? 'threads' : 'decode';
}

async function timeLoader(options: LoaderBenchOptions) {
  const { steps = Number.POSITIVE_INFINITY, signal } = options;
  const seconds = options.seconds ?? (options.steps === undefined ? 10 : Number.POSITIVE_INFINITY);
  const opened = performance.now();
  const loader = await createLoader(options);
  try {
    let skipped = (await loader.next()).skipped.length;
    const firstBatchMs = performance.now() - opened;
    const start = process.memoryUsage.rss();
    for (let i = 1; i < WARMUP_BATCHES; i++) skipped += (await loader.next()).skipped.length;
    const batchMs: number[] = [];
    let images = 0;
    const before = process.cpuUsage();
    const begun = performance.now();
    for (let now = begun; batchMs.length < steps && now - begun < 1000 * seconds; ) {
      if (signal?.aborted && batchMs.length > 0) break;
      const { keys, skipped: broken } = await loader.next();
      const taken = performance.now();
      batchMs.push(taken - now);
      images += keys.length;
      skipped += broken.length;
      now = taken;
    }
    const wallMs = performance.now() - begun;
    const processorMs = processorMsSince(before);
    const residentBytes = { start, end: process.memoryUsage.rss() };
    return { firstBatchMs, batchMs, images, wallMs, processorMs, residentBytes, skipped };
  } finally {
    await loader.close();
  }
}

/** What was read and not decoded. */
class KeepingDecoder implements Decoder {
  readonly capacity: number;
  readonly files: Uint8Array[] = [];
  readonly texts: string[] = [];
  numFiles = 0;
  fileBytes = 0;
  #keptBytes = 0;

  constructor(
    workers: number,
    private readonly imageSize: number,
    private readonly contextLength: number,
  ) {
    this.capacity = 2 * Math.max(1, workers) + 1;
  }

  room(numBytes: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(numBytes);
  }

  release(): void {}

  async decode({ keys, bytes, offsets, texts }: Chunk): Promise<DecodedChunk> {
    for (let i = 0; i < keys.length; i++) {
      const file = bytes.subarray(offsets[i], offsets[i + 1]);
      this.numFiles++;
      this.fileBytes += file.length;
      if (this.files.length >= KEPT_FILES || this.#keptBytes + file.length > KEPT_BYTES) continue;
      this.files.push(file.slice());
      this.#keptBytes += file.length;
    }
    if (this.texts.length < KEPT_FILES) this.texts.push(...texts);
    return {
      pixels: new Uint8Array(keys.length * this.imageSize ** 2 * 3),
      tokens: new Int32Array(texts.length * this.contextLength),
      numTokens: new Int32Array(texts.length),
      frame: { before: 0, after: 0 },
      failures: keys.map(() => null),
    };
  }

  async close(): Promise<void> {}
}

async function timeReading(options: LoaderBenchOptions) {
  const { cache: _, ...others } = options;
  // Pixels of one point cost nothing; other rows than those that are in memory now, where there are others.
  const small = { ...others, cacheBytes: 0, imageSize: 1, seed: options.seed + 1 };
  const kept = new KeepingDecoder(options.workers ?? availableParallelism() - 1, 1, options.contextLength);
  const loader = await createLoader(small, async () => kept);
  try {
    await loader.next();
    let rows = 0;
    const before = process.cpuUsage();
    const begun = performance.now();
    while (performance.now() - begun < 1000 * LIMIT_SECONDS) rows += (await loader.next()).keys.length;
    const wallMs = performance.now() - begun;
    return {
      kept,
      perSec: (1000 * rows) / wallMs,
      processorMs: processorMsSince(before) / rows,
      fileBytes: kept.fileBytes / kept.numFiles,
    };
  } finally {
    await loader.close();
  }
}

async function timeStages(
  { files, texts }: KeepingDecoder,
  { transform, cropScale, flip, imageSize, contextLength, tokenizer: wanted, endToken }: LoaderBenchOptions,
): Promise<Omit<StageTimes, 'read'>> {
  const images: DecodedImage[] = [];
  const usable: Uint8Array[] = [];
  for (const file of files) {
    const image = await decodeImage(file).catch((error: unknown) => {
      if (error instanceof DataError) return undefined;
      throw error;
    });
    if (image === undefined) continue;
    usable.push(file);
    if (images.length < KEPT_IMAGES) images.push(image);
  }
  const tokenizer = await loadTokenizer(await tokenizerFile({ tokenizer: wanted, endToken }));
  const pixels = new Uint8Array(imageSize ** 2 * 3);
  const decode = await processorMsOf(usable, async (file) => {
    await decodeImage(file);
  });
  const resize = await processorMsOf(images, (image, i) => {
    if (transform === 'eval') evalPixels(image, imageSize, pixels);
    else trainPixels(image, imageSize, new KeyedRandom('bench', i), { cropScale, flip }, pixels);
  });
  // Once: words that it knows already would cost it nothing.
  const before = process.cpuUsage();
  tokenizer.encodeBatch(texts, contextLength);
  const tokenize = processorMsSince(before) / Math.max(1, texts.length);
  return { decode, transform: resize, tokenize };
}

/** Processor time of a call, over some seconds of calls in turn. */
async function processorMsOf<T>(
  items: readonly T[],
  work: (item: T, i: number) => Promise<void> | void,
): Promise<number> {
  const before = process.cpuUsage();
  const end = performance.now() + 1000 * LIMIT_SECONDS;
  let calls = 0;
  while (calls === 0 || performance.now() < end) await work(items[calls % items.length] as T, calls++);
  return processorMsSince(before) / calls;
}

function processorMsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** By nearest rank. */
function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] as number;
}
