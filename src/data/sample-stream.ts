/** The samples of a source in an epoch's order, read and decoded ahead, epoch after epoch. */
import { DataError } from '../errors.js';
import type { Chunk, DecodedChunk } from './decode-chunk.js';
import type { DecodedCache } from './decoded-cache.js';
import { type DrawnCaption, drawCaption, type ValidMix } from './mixing.js';
import { epochOrder, rowOrder } from './order.js';
import { faultOfImage, type Row, rowFault, sampleKey } from './schema.js';
import type { Source } from './sources/source.js';
import type { Decoder } from './worker-pool.js';

/** Rows read, sent to a worker and decoded as one. Small, so that the first batch comes soon. */
const CHUNK_ROWS = 16;

/** A sample, or why there is none. */
export interface Sample {
  readonly key: string;
  /** Why the sample is broken; undefined if it is not. */
  readonly fault: string | undefined;
  /** Undefined if the sample is broken or has no caption of the mix. If it is there, so is all that follows. */
  readonly caption: DrawnCaption | undefined;
  /** imageSize * imageSize * 3, H W C. */
  readonly pixels: Uint8Array;
  /** contextLength. */
  readonly tokens: Int32Array;
  readonly numTokens: number;
}

/** Consecutive samples of an epoch. */
export interface Segment {
  readonly epoch: number;
  /** Position of the first sample in the epoch's order. */
  readonly start: number;
  readonly samples: readonly Sample[];
  /** The epoch ends with this segment. */
  readonly last: boolean;
}

export interface SampleStreamOptions {
  readonly source: Source;
  readonly decoder: Decoder;
  /** The decoder's cache, if it has one. */
  readonly cache: DecodedCache | undefined;
  readonly mix: ValidMix;
  readonly seed: number;
  readonly shuffle: boolean;
  /** Where to begin. */
  readonly epoch: number;
  readonly position: number;
  /** Epochs from 0 on; undefined for no end. */
  readonly epochs: number | undefined;
}

interface Plan {
  readonly epoch: number;
  readonly start: number;
  readonly rows: readonly number[];
  readonly last: boolean;
}

const NO_PIXELS = new Uint8Array(0);
const NO_TOKENS = new Int32Array(0);

/** Keeps as many chunks under way as the decoder has use for, whatever becomes of those before. */
export class SampleStream {
  readonly #options: Omit<SampleStreamOptions, 'cache'>;
  readonly #columns: readonly string[];
  readonly #ahead: Promise<Segment>[] = [];
  #reading: Promise<unknown> = Promise.resolve();
  #epoch: number;
  #position: number;
  #order: Uint32Array | undefined;
  #closed = false;
  #cache: DecodedCache | undefined;

  constructor({ cache, ...options }: SampleStreamOptions) {
    this.#options = options;
    this.#cache = cache;
    this.#columns = ['key', 'image', ...options.mix.kinds];
    this.#epoch = options.epoch;
    this.#position = options.position;
  }

  /** Starts work ahead. */
  prefetch(): void {
    while (!this.#closed && this.#ahead.length < this.#options.decoder.capacity) {
      const plan = this.#plan();
      if (plan === undefined) return;
      const segment = this.#load(plan);
      segment.catch(() => undefined); // it is thrown where the segment is taken
      this.#ahead.push(segment);
    }
  }

  /** The next segment, or undefined after the last epoch. @throws DataError of the source or of a worker */
  async next(): Promise<Segment | undefined> {
    this.prefetch();
    const segment = await this.#ahead.shift();
    this.prefetch();
    return segment;
  }

  /** Begins nothing new and waits until no read is under way, so that the source may be closed. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#reading;
    this.#cache = undefined; // it is much memory, and the loader may be held for long
  }

  #plan(): Plan | undefined {
    const { source, seed, shuffle, epochs } = this.#options;
    if (this.#position >= source.numRows) {
      this.#epoch++;
      this.#position = 0;
      this.#order = undefined;
    }
    if (epochs !== undefined && this.#epoch >= epochs) return undefined;
    this.#order ??= shuffle ? epochOrder(seed, this.#epoch, source.numRows) : rowOrder(source.numRows);
    const start = this.#position;
    this.#position = Math.min(start + CHUNK_ROWS, source.numRows);
    const rows = Array.from(this.#order.subarray(start, this.#position));
    return { epoch: this.#epoch, start, rows, last: this.#position === source.numRows };
  }

  async #load({ epoch, start, rows, last }: Plan): Promise<Segment> {
    // One read after the other: the source sees the epoch's order, and two reads never hold twice the memory.
    const read = this.#reading.then(() => {
      if (this.#closed) throw new DataError('The loader was closed.');
      return this.#options.source.readRows(rows, this.#columns);
    });
    this.#reading = read.catch(() => undefined);
    const samples = (await read).map((row, i) => this.#draw(row, rows[i] as number, epoch));
    const usable = samples.filter(({ caption }) => caption !== undefined);
    if (usable.length === 0)
      return { epoch, start, last, samples: samples.map(({ key, fault }) => unusable(key, fault)) };
    const decoded = await this.#options.decoder.decode(packChunk(usable, this.#cache, epoch));
    let place = 0;
    return {
      epoch,
      start,
      last,
      samples: samples.map(({ key, fault, caption }) =>
        caption === undefined
          ? unusable(key, fault)
          : unpackSample(decoded, place++, usable.length, key, caption),
      ),
    };
  }

  #draw(row: Row, index: number, epoch: number): DrawnRow {
    const { mix, seed } = this.#options;
    const key = sampleKey(row);
    if (key === undefined) {
      const fault = rowFault(row) ?? 'It has no key.';
      return { index, key: `row ${index}`, fault, caption: undefined, image: NO_PIXELS };
    }
    const fault = rowFault(row) ?? faultOfImage(row);
    if (fault !== undefined) return { index, key, fault, caption: undefined, image: NO_PIXELS };
    const image = row.image as Uint8Array;
    return { index, key, fault: undefined, caption: drawCaption(mix, row, seed, epoch, key), image };
  }
}

interface DrawnRow {
  /** Its place in the source. */
  readonly index: number;
  readonly key: string;
  readonly fault: string | undefined;
  readonly caption: DrawnCaption | undefined;
  /** The image's file. */
  readonly image: Uint8Array;
}

function packChunk(rows: readonly DrawnRow[], cache: DecodedCache | undefined, epoch: number): Chunk {
  const files = rows.map(({ index, image }) => (cache?.has(index) ? NO_PIXELS : image));
  const offsets = [0];
  for (const file of files) offsets.push((offsets.at(-1) as number) + file.length);
  const bytes = new Uint8Array(offsets.at(-1) as number);
  for (const [i, file] of files.entries()) bytes.set(file, offsets[i]);
  return {
    epoch,
    keys: rows.map(({ key }) => key),
    rows: rows.map(({ index }) => index),
    texts: rows.map(({ caption }) => caption?.text ?? ''),
    bytes,
    offsets,
  };
}

function unusable(key: string, fault: string | undefined): Sample {
  return { key, fault, caption: undefined, pixels: NO_PIXELS, tokens: NO_TOKENS, numTokens: 0 };
}

function unpackSample(
  decoded: DecodedChunk,
  place: number,
  count: number,
  key: string,
  caption: DrawnCaption,
): Sample {
  const failure = decoded.failures[place];
  if (typeof failure === 'string') return unusable(key, failure);
  const row = <T extends Uint8Array | Int32Array>(all: T): T => {
    const length = all.length / count;
    return all.subarray(place * length, (place + 1) * length) as T;
  };
  return {
    key,
    fault: undefined,
    caption,
    pixels: row(decoded.pixels),
    tokens: row(decoded.tokens),
    numTokens: decoded.numTokens[place] as number,
  };
}
