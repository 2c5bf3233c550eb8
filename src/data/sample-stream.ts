/** The samples of an order of positions, read and decoded ahead of the batches that take them. */
import type { CaptionSample } from './caption-plan.js';
import type { Chunk, DecodedChunk } from './decode-chunk.js';
import type { DecodedCache } from './decoded-cache.js';
import type { KindBits } from './mixing.js';
import type { Interleave, Place } from './order/interleave.js';
import type { WindowOrder } from './order/window-order.js';
import type { RowPlace, RowReader } from './row-reader.js';
import { faultOfImage, type Row, rowFault, sampleKey } from './schema.js';
import type { Decoder } from './worker-pool.js';

/** Samples read, sent to a worker and decoded as one. Few, so that the first batch comes soon. */
const CHUNK_SAMPLES = 16;

/** A sample, or why there is none. */
export interface Sample extends CaptionSample {
  /** Why the sample is broken; undefined if it is not. */
  readonly fault: string | undefined;
  /** Which of the kinds that may be asked for have a caption; if none has, there are no pixels. */
  readonly present: KindBits;
  /** imageSize * imageSize * 3, H W C. */
  readonly pixels: Uint8Array;
  /** Instead of pixels, where the source has a store of them. */
  readonly features?: Float32Array;
  /** Says that the pixels will not be looked at any more, so that their memory can be used for others. At most once. */
  readonly release: () => void;
}

/**
 * Looks up the features of samples by their rows in the source: of each the features, or why there are none, which is a
 * fault or that there is no caption.
 *
 * @throws DataError if they are of other samples, or damaged
 */
export type SampleFeatures = (
  samples: readonly { readonly row: number; readonly key: string; readonly epoch: number }[],
) => Promise<readonly Partial<Pick<Sample, 'features' | 'fault' | 'present'>>[]>;

/** One source of a stream. */
export interface StreamSource {
  readonly order: WindowOrder;
  readonly reader: RowReader;
  /** Features of its samples, which are then handed out instead of images. */
  readonly features?: SampleFeatures | undefined;
}

export interface SampleStreamOptions {
  readonly sources: readonly StreamSource[];
  readonly interleave: Interleave;
  readonly decoder: Decoder;
  /** The decoder's cache, if it has one; its rows are those of all sources, one after the other. */
  readonly cache: DecodedCache | undefined;
  /** False leaves images alone, so that only what is known without them is found to be broken. */
  readonly images: boolean;
  /** Which kinds that may be asked for have a caption in a row. */
  readonly present: (row: Row) => KindBits;
  /** Epochs from 0 on; undefined for no end. */
  readonly epochs: number | undefined;
  /** The slots of a batch of `batchSize` whose samples are taken from this stream. */
  readonly batchSize: number;
  readonly firstSlot: number;
  readonly endSlot: number;
}

/** A position of an epoch. */
export interface Position {
  readonly epoch: number;
  readonly position: number;
}

const NO_BYTES = new Uint8Array(0);
const NOTHING = (): void => undefined;

/**
 * Keeps as many chunks under way as the decoder has use for, of the positions that the slots will take if no sample
 * fails. Where one does, what follows is found among what was decoded, or decoded when it is asked for.
 */
export class SampleStream {
  readonly #options: Omit<SampleStreamOptions, 'cache'>;
  /** First row of each source in the cache. */
  readonly #firstRows: readonly number[];
  /** Samples planned and not yet taken, by epoch and position as one number. */
  readonly #ahead = new Map<number, Promise<Sample>>();
  /** What is to be planned next. */
  #planned: Generator<Position, void> | undefined;
  #peeked: Position | undefined;
  #closed = false;
  /** Looking up of features under way. */
  readonly #lookups = new Set<Promise<unknown>>();
  #cache: DecodedCache | undefined;

  constructor({ cache, ...options }: SampleStreamOptions) {
    this.#options = options;
    this.#cache = cache;
    let firstRow = 0;
    this.#firstRows = options.sources.map(({ order }) => {
      firstRow += order.numRows;
      return firstRow - order.numRows;
    });
  }

  /** Says where the next batch begins: no sample before it will be taken. */
  expect(start: Position): void {
    const first = this.#number(start);
    for (const number of this.#ahead.keys()) if (number < first) this.#ahead.delete(number);
    this.#planned = this.#predict(start);
    this.#peeked = undefined;
    const { interleave, sources } = this.#options;
    const places = interleave.placesAt(start.epoch, start.position);
    for (const [i, { reader }] of sources.entries()) reader.release(places[i] as RowPlace);
    this.#prefetch();
  }

  /**
   * The samples at rising positions of an epoch, which are the stream's to forget.
   *
   * @throws DataError of a source or of a worker
   */
  async take(epoch: number, positions: readonly number[]): Promise<Sample[]> {
    const samples: Sample[] = [];
    for (const [i, position] of positions.entries()) {
      const number = this.#number({ epoch, position });
      this.#planUpTo(number);
      if (!this.#ahead.has(number)) {
        // None of those expected: other slots of this stream may lack theirs as well.
        const missing = positions
          .slice(i)
          .filter((other) => !this.#ahead.has(this.#number({ epoch, position: other })));
        this.#load(missing.slice(0, CHUNK_SAMPLES).map((other) => ({ epoch, position: other })));
      }
      const sample = this.#ahead.get(number) as Promise<Sample>;
      this.#ahead.delete(number);
      this.#prefetch();
      samples.push(await sample);
    }
    return samples;
  }

  /** Begins nothing new and waits until no read is under way, so that sources and stores may be closed. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#options.sources.map(({ reader }) => reader.close()));
    await Promise.allSettled(this.#lookups);
    this.#cache = undefined; // it is much memory, and the loader may be held for long
  }

  #number({ epoch, position }: Position): number {
    return epoch * this.#options.interleave.epochLength + position;
  }

  /** Positions that the slots will take, batch after batch, if no sample fails. */
  *#predict({ epoch, position }: Position): Generator<Position, void> {
    const { interleave, epochs, batchSize, firstSlot, endSlot } = this.#options;
    for (let e = epoch, start = position; epochs === undefined || e < epochs; e++, start = 0) {
      for (; start < interleave.epochLength; start += batchSize) {
        const end = Math.min(start + endSlot, interleave.epochLength);
        for (let at = start + firstSlot; at < end; at++) yield { epoch: e, position: at };
      }
    }
  }

  #peek(): Position | undefined {
    this.#peeked ??= this.#planned?.next().value ?? undefined;
    return this.#peeked;
  }

  #prefetch(): void {
    const limit = this.#options.decoder.capacity * CHUNK_SAMPLES;
    while (!this.#closed && this.#ahead.size + CHUNK_SAMPLES <= limit) if (!this.#planChunk()) return;
  }

  /** Leaves nothing to be planned up to a position, which is taken now. */
  #planUpTo(number: number): void {
    for (let next = this.#peek(); next !== undefined && this.#number(next) <= number; next = this.#peek()) {
      if (this.#ahead.has(this.#number(next))) this.#peeked = undefined;
      else this.#planChunk();
    }
  }

  /** Plans the next chunk; false if there is nothing left to plan. */
  #planChunk(): boolean {
    const chunk: Position[] = [];
    for (let next = this.#peek(); next !== undefined; next = this.#peek()) {
      if (!this.#ahead.has(this.#number(next))) {
        if (chunk.length === CHUNK_SAMPLES || (chunk[0] && chunk[0].epoch !== next.epoch)) break;
        chunk.push(next);
      }
      this.#peeked = undefined;
    }
    if (chunk.length === 0) return false;
    this.#load(chunk);
    return true;
  }

  /** Reads and decodes samples; those of one epoch of their source are decoded together. */
  #load(positions: readonly Position[]): void {
    const { interleave } = this.#options;
    const groups = new Map<string, { number: number; place: Place }[]>();
    for (const position of positions) {
      const place = interleave.locate(position.epoch, position.position);
      const key = `${place.source} ${place.epoch}`;
      const group = groups.get(key) ?? [];
      groups.set(key, group);
      group.push({ number: this.#number(position), place });
    }
    const byEpoch = new Map<number, Promise<(readonly [number, LoadedRow])[]>[]>();
    for (const group of groups.values()) {
      const { epoch } = (group[0] as { place: Place }).place;
      const reads = byEpoch.get(epoch) ?? [];
      byEpoch.set(epoch, reads);
      reads.push(this.#read(group));
    }
    for (const [epoch, reads] of byEpoch) {
      const decoded = Promise.all(reads).then((rows) => this.#complete(new Map(rows.flat()), epoch));
      for (const { number, place } of [...groups.values()].flat()) {
        if (place.epoch !== epoch) continue;
        const sample = decoded.then((samples) => samples.get(number) as Sample);
        sample.catch(() => undefined); // it is thrown where the sample is taken
        this.#ahead.set(number, sample);
      }
    }
  }

  async #read(group: readonly { number: number; place: Place }[]): Promise<(readonly [number, LoadedRow])[]> {
    const { source } = (group[0] as { place: Place }).place;
    const { reader, order } = this.#options.sources[source] as StreamSource;
    const rows = await reader.read(group.map(({ place }) => place));
    return group.map(({ number, place }, i) => {
      const index = order.rowAt(place.epoch, place.position);
      const row = rows[i] as Row;
      const sample = this.#inspect(row, index, place);
      return [number, { ...sample, done: () => reader.done(row) }] as const;
    });
  }

  #inspect(row: Row, index: number, { source, epoch }: Place): Omit<LoadedRow, 'done'> {
    const key = sampleKey(row);
    const { image, ...captions } = row;
    const bytes = image instanceof Uint8Array ? image : NO_BYTES;
    const keyFault = key === undefined ? 'It has no key.' : undefined;
    const sample: Sample = {
      key: key ?? `row ${index}`,
      source,
      epoch,
      row: captions,
      fault: rowFault(row) ?? keyFault ?? (this.#options.images ? faultOfImage(row) : undefined),
      present: this.#options.present(row),
      pixels: NO_BYTES,
      release: NOTHING,
    };
    return { index: (this.#firstRows[source] as number) + index, image: bytes, sample };
  }

  /** Adds pixels or features to the samples that can be used. */
  async #complete(rows: ReadonlyMap<number, LoadedRow>, epoch: number): Promise<Map<number, Sample>> {
    const samples = new Map([...rows].map(([number, { sample }]) => [number, sample]));
    const { images, decoder, sources } = this.#options;
    const usable = [...rows].filter(([, { sample }]) => sample.fault === undefined && sample.present !== 0);
    for (const [source, { features }] of sources.entries()) {
      if (features === undefined || this.#closed) continue;
      const own = usable.filter(([, { sample }]) => sample.source === source);
      if (own.length === 0) continue;
      const first = this.#firstRows[source] as number;
      const lookup = features(
        own.map(([, { index, sample }]) => ({ row: index - first, key: sample.key, epoch })),
      );
      this.#lookups.add(lookup);
      const found = await lookup.finally(() => this.#lookups.delete(lookup));
      for (const [i, [number, { sample }]] of own.entries()) samples.set(number, { ...sample, ...found[i] });
    }
    if (!images || usable.length === 0) {
      for (const { done } of rows.values()) done();
      return samples;
    }
    const chunk = packChunk(
      usable.map(([, row]) => row),
      this.#cache,
      epoch,
      decoder,
    );
    for (const { done } of rows.values()) done();
    const decoded = await decoder.decode(chunk);
    let numUsed = decoded.failures.filter((fault) => fault === null).length;
    const release = (): void => {
      if (--numUsed === 0) decoder.release(decoded.pixels);
    };
    for (const [i, [number, { sample }]] of usable.entries()) {
      samples.set(number, unpack(decoded, i, sample, release));
    }
    return samples;
  }
}

interface LoadedRow {
  /** Its place among the rows of all sources. */
  readonly index: number;
  /** The image's file. */
  readonly image: Uint8Array;
  readonly sample: Sample;
  /** Says that the file is done with. */
  readonly done: () => void;
}

function packChunk(
  rows: readonly LoadedRow[],
  cache: DecodedCache | undefined,
  epoch: number,
  decoder: Decoder,
): Chunk {
  const files = rows.map(({ index, image }) => (cache?.has(index) ? NO_BYTES : image));
  const offsets = [0];
  for (const file of files) offsets.push((offsets.at(-1) as number) + file.length);
  const bytes = decoder.room(offsets.at(-1) as number);
  for (const [i, file] of files.entries()) bytes.set(file, offsets[i]);
  return {
    epoch,
    keys: rows.map(({ sample }) => sample.key),
    rows: rows.map(({ index }) => index),
    texts: [],
    bytes,
    offsets,
  };
}

function unpack(decoded: DecodedChunk, i: number, sample: Sample, release: () => void): Sample {
  const fault = decoded.failures[i];
  if (typeof fault === 'string') return { ...sample, fault };
  const length = decoded.pixels.length / decoded.failures.length;
  return { ...sample, pixels: decoded.pixels.subarray(i * length, (i + 1) * length), release };
}
