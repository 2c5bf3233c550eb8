/** Embeds a data set once: its rows through an encoder into a store of features. */
import { availableParallelism } from 'node:os';
import { DataError, ShapeError } from '../../errors.js';
import { type OpenOptions, openSource } from '../datasets/open.js';
import { type CropScale, TRAIN_SCALE } from '../image/crop.js';
import type { Skip } from '../mix-stats.js';
import { checkKindColumns } from '../mixing.js';
import { checkInteger, checkWorkers } from '../pipeline.js';
import { requireImages } from '../schemas/schema-source.js';
import { skipBudget } from '../skip-budget.js';
import type { Source } from '../sources/source.js';
import { tokenizerFile } from '../text/tokenizer.js';
import { createDecoder, type Decoder } from '../worker-pool.js';
import { ahead } from './ahead.js';
import type { FeatureDtype } from './half.js';
import {
  CHUNK_ROWS,
  type ImageInput,
  type InputBatch,
  inputColumn,
  readInputs,
  type TextInput,
} from './inputs.js';
import type { MissingFeature } from './shard.js';
import { type FeatureSpec, featureSize, type MadeOf } from './spec.js';
import { FeatureWriter } from './writer.js';

const DEFAULT_BATCH = 64;

export interface CacheFeaturesOptions extends OpenOptions {
  /** An open source, which stays the caller's to close, or the path of a data set, which the other options open. */
  readonly source: Source | string;
  /** The store's directory. One that was not finished is gone on with. */
  readonly out: string;
  readonly input: ImageInput | TextInput;
  /** The model that encodes: its fingerprint and what else its features depend on. Input and transform are added. */
  readonly madeOf: MadeOf;
  /** Shape of the features of a sample. */
  readonly shape: readonly number[];
  /** Default: `float32`. */
  readonly dtype?: FeatureDtype;
  /**
   * Default 1: images as evaluations see them, resized and cut in the centre. With more, of each image as many of the
   * random crops that training draws, of each row as many draws among its captions of the kind.
   */
  readonly variants?: number;
  /** Of crops and draws. Default 0. */
  readonly seed?: number;
  readonly cropScale?: CropScale;
  /** Rows that are encoded at a time. Default: 64. */
  readonly batchSize?: number;
  /** Decoding threads; 0 decodes in this thread. Default: one fewer than cores, at least 1. */
  readonly workers?: number;
  /** Rows of a shard. Default: as many as take 64 MiB, up to 4,096. */
  readonly shardRows?: number;
  /** Share of the rows that may be broken, rounded down to whole rows; one more ends the work. Default 0.01. */
  readonly maxSkipRatio?: number;
  /** Told of each broken row as it is found. */
  readonly onSkip?: (skip: Skip) => void;
  /** Told of shards that are damaged and made anew. */
  readonly warn?: (message: string) => void;
  readonly onProgress?: (progress: CacheProgress) => void;
  /** Ends the work after the batch under way; whole shards stay, and the same call goes on from there. */
  readonly signal?: AbortSignal;
}

/** How far the work is. */
export interface CacheProgress {
  /** Rows done, those of earlier attempts included; a row is done when all of its variants are. */
  readonly rows: number;
  readonly numRows: number;
  /** What the encoder was waiting for data since the last time, and what all of that took, milliseconds. */
  readonly dataWaitMs: number;
  readonly stepMs: number;
}

/** What became of a data set. */
export interface CachedFeatures {
  /** Rows that are in the store. */
  readonly rows: number;
  readonly numRows: number;
  readonly broken: number;
  readonly noCaption: number;
  /** Rows embedded by this call; the others were there. */
  readonly embedded: number;
  /** False if the signal ended the work before. */
  readonly finished: boolean;
}

/**
 * Embeds each row of a data set, in order, none dropped, and keeps the features. Rows without an image, or a caption,
 * are noted in the store as such. What is made is the same to the bit however often it was stopped, if the encoder gives
 * the same numbers for the same batch: batches begin anew with each shard.
 *
 * @throws ConfigError for an option that is not valid, or if the directory holds another store (the message names what
 *   differs); DataError if too many rows are broken; what `encode` throws; the file system's error
 */
export async function cacheFeatures(options: CacheFeaturesOptions): Promise<CachedFeatures> {
  const { source: given, input, batchSize = DEFAULT_BATCH, workers, seed = 0, variants = 1 } = options;
  checkInteger('batchSize', batchSize, 1);
  checkInteger('variants', variants, 1);
  checkWorkers(workers ?? 0);
  const source = typeof given === 'string' ? await openSource(given, options) : given;
  let writer: FeatureWriter | undefined;
  let decoder: Decoder | undefined;
  try {
    checkInput(source, input);
    const spec = specOf(source, options);
    writer = await FeatureWriter.open(options.out, spec, {
      ...(options.shardRows === undefined ? {} : { shardRows: options.shardRows }),
      ...(options.warn === undefined ? {} : { warn: options.warn }),
    });
    const settings = {
      transform: variants === 1 ? ('eval' as const) : ('train' as const),
      augmentation: { cropScale: options.cropScale ?? TRAIN_SCALE },
      exif: input.kind === 'image' && input.exif === true,
      scaledDecode: false,
      imageSize: input.kind === 'image' ? input.imageSize : 0,
      contextLength: input.kind === 'text' ? input.contextLength : 2,
      seed,
    };
    const numThreads = workers ?? Math.max(1, availableParallelism() - 1);
    const tokenizer = (input.kind === 'text' ? input.tokenizer : undefined) ?? (await tokenizerFile());
    decoder = await createDecoder(numThreads, settings, tokenizer, undefined);
    return await embed({ options, source, spec, writer, decoder });
  } finally {
    await decoder?.close();
    await writer?.close();
    if (typeof given === 'string') await source.close();
  }
}

function checkInput(source: Source, input: ImageInput | TextInput): void {
  if (input.kind === 'text') {
    checkInteger('contextLength', input.contextLength, 2);
    checkKindColumns([input.caption], source.columns, source.path);
  } else {
    checkInteger('imageSize', input.imageSize, 1);
    requireImages(source);
  }
  for (const column of ['key', inputColumn(input)]) {
    if (source.columns.includes(column)) continue;
    throw new DataError(
      `${source.path} has no column '${column}'. Its columns are ${source.columns.join(', ')}. ` +
        'If another column is meant, say so by schema or columns.',
    );
  }
}

function specOf(
  source: Source,
  { input, madeOf, shape, dtype = 'float32', variants = 1, seed = 0, cropScale }: CacheFeaturesOptions,
): FeatureSpec {
  const [least, most] = cropScale ?? TRAIN_SCALE;
  const drawn = variants === 1 && input.kind === 'image' ? {} : { seed };
  const made =
    input.kind === 'image'
      ? {
          input: 'image',
          imageSize: input.imageSize,
          transform: variants === 1 ? 'eval' : `train, crops of ${least} to ${most}`,
          ...(input.exif ? { exif: true } : {}),
        }
      : {
          input: `caption ${input.caption}`,
          contextLength: input.contextLength,
          ...(input.tokenizer?.sha256 === undefined ? {} : { tokenizer: input.tokenizer.sha256 }),
        };
  return {
    source: source.fingerprint,
    madeOf: { ...madeOf, ...made, ...drawn },
    dtype,
    shape,
    variants,
    numRows: source.numRows,
  };
}

/** A batch of a shard, on its way to the encoder. */
interface Job {
  readonly shard: number;
  readonly batch: InputBatch;
  /** Whether it is the last one of its shard. */
  readonly last: boolean;
}

/** Everything but the encoding, ready to go. */
interface Prepared {
  readonly options: CacheFeaturesOptions;
  readonly source: Source;
  readonly spec: FeatureSpec;
  readonly writer: FeatureWriter;
  readonly decoder: Decoder;
}

/** Batches of the shards that are not there yet, in order, each in all its variants. */
function* jobsOf({ options, source, spec, writer, decoder }: Prepared): Generator<() => Promise<Job>, void> {
  const { input, batchSize = DEFAULT_BATCH, seed = 0 } = options;
  for (const shard of writer.missing) {
    const { first, end } = writer.range(shard);
    for (let from = first; from < end; from += batchSize) {
      const rows = Array.from({ length: Math.min(batchSize, end - from) }, (_, i) => from + i);
      for (let variant = 0; variant < spec.variants; variant++) {
        const last = from + batchSize >= end && variant === spec.variants - 1;
        yield async () => ({
          shard,
          batch: await readInputs(source, input, decoder, seed, rows, variant),
          last,
        });
      }
    }
  }
}

async function embed(prepared: Prepared): Promise<CachedFeatures> {
  const { options, spec, writer, decoder } = prepared;
  const { numRows, variants } = spec;
  const { batchSize = DEFAULT_BATCH, signal, onProgress } = options;
  // Enough for each thread to have work while the encoder has its batch.
  const depth = 1 + Math.ceil((decoder.capacity * CHUNK_ROWS) / batchSize);
  const before = writer.done.rows;
  let embedded = 0;
  let open: OpenShard | undefined;
  let asked = performance.now();
  for await (const { shard, batch, last } of ahead(jobsOf(prepared), depth)) {
    if (signal?.aborted) break;
    const dataWaitMs = performance.now() - asked;
    open ??= new OpenShard(prepared, writer.range(shard));
    await open.add(batch);
    if (batch.variant === variants - 1) embedded += batch.rows.length;
    if (last) {
      await writer.writeShard(shard, open);
      open = undefined;
    }
    const now = performance.now();
    onProgress?.({ rows: before + embedded, numRows, dataWaitMs, stepMs: now - asked });
    asked = now;
  }
  const { rows, broken, noCaption } = writer.done;
  return { rows, numRows, broken, noCaption, embedded: rows - before, finished: rows === numRows };
}

/** A shard as it fills. */
class OpenShard {
  readonly keys: string[] = [];
  readonly values: Float32Array;
  readonly missing = new Map<number, MissingFeature>();

  constructor(
    private readonly prepared: Prepared,
    private readonly range: { readonly first: number; readonly end: number },
  ) {
    const { spec } = prepared;
    this.values = new Float32Array((range.end - range.first) * spec.variants * featureSize(spec));
  }

  /** Encodes a batch of its rows. */
  async add({ rows, variant, keys, missing, pixels, tokens }: InputBatch): Promise<void> {
    const { options, spec } = this.prepared;
    const { input } = options;
    const encoded =
      input.kind === 'image'
        ? await input.encode(pixels, rows.length)
        : await input.encode(tokens, rows.length);
    const size = featureSize(spec);
    if (encoded.length !== rows.length * size) {
      throw new ShapeError(
        `The encoder returned ${encoded.length} numbers for ${rows.length} rows of shape [${spec.shape.join(', ')}].`,
      );
    }
    for (const [i, row] of rows.entries()) {
      const at = row - this.range.first;
      this.keys[at] = keys[i] as string;
      this.values.set(encoded.subarray(i * size, (i + 1) * size), (at * spec.variants + variant) * size);
      const why = missing.get(i);
      if (why === undefined || this.missing.has(at)) continue;
      this.missing.set(at, why);
      if (why.broken) options.onSkip?.({ key: keys[i] as string, reason: why.reason });
    }
    this.#checkBudget();
  }

  #checkBudget(): void {
    const { options, spec, writer } = this.prepared;
    const { maxSkipRatio = 0.01 } = options;
    const broken = [...this.missing.values()].filter((why) => why.broken);
    const found = writer.done.broken + broken.length;
    const budget = skipBudget(maxSkipRatio, spec.numRows);
    if (found <= budget) return;
    throw new DataError(
      `${this.prepared.source.path}: broken samples: ${found}, more than the ${budget} of ${spec.numRows} that ` +
        `maxSkipRatio = ${maxSkipRatio} allows. Mend the data, or raise it (--max-skip-ratio) if the loss is acceptable. ` +
        `The last: ${broken.at(-1)?.reason}`,
    );
  }
}
