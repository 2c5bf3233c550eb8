/** Decoded images in memory that all decoding threads share, kept from epoch to epoch. */
import { totalmem } from 'node:os';
import { ConfigError } from '../errors.js';
import type { DecodedImage } from './image/decode.js';
import type { ColourMode } from './image/header.js';

const modes: readonly ColourMode[] = ['rgb', 'indexed', 'cmyk'];

// The memory begins with 64-bit words, which threads change atomically, then come the images.
/** Word: where the free room begins, in bytes. */
const FREE = 0;
/** Word: how many rows the source has. */
const NUM_ROWS = 1;
/** First of the words that tell, row by row, where the row's image lies, in bytes. */
const PLACES = 2;

/** Place of an image that no thread has put yet. */
const ABSENT = 0n;
/** Place of an image that a thread is putting, or that found no room. */
const TAKEN = -1n;

/** 32-bit numbers before an image's pixels: width, height, channels, mode, whether it has an alpha channel. */
const NUM_FACTS = 5;
const FACT_BYTES = 4;

/**
 * Checks that a cache of that size can be filled.
 *
 * @throws ConfigError if the machine, or the container, has less memory.
 */
export function checkCacheBytes(bytes: number): void {
  const constrained = process.constrainedMemory(); // 0 or more than there is if nothing constrains it
  const limit = Math.min(totalmem(), constrained > 0 ? constrained : Number.POSITIVE_INFINITY);
  if (bytes > limit) throw tooLarge(bytes, `this machine gives ${mebibytes(limit)} MiB of memory`);
}

const mebibytes = (bytes: number): string => Math.floor(bytes / 2 ** 20).toLocaleString('en-US');

function tooLarge(bytes: number, why: string, cause?: unknown): ConfigError {
  return new ConfigError(
    `data.cacheMiB asks for ${mebibytes(bytes)} MiB, but ${why}. Lower it: an image takes width × height × 3 ` +
      'bytes, and those for which there is no room are decoded anew in each epoch.',
    { cause },
  );
}

/**
 * Images by their row in the source, one after the other in the order in which threads put them. When there is no
 * room for one it is not kept, and nothing else is dropped: an epoch asks for each image once, in an order of its
 * own, so that dropping the oldest would drop what is about to be asked for.
 */
export class DecodedCache {
  readonly #words: BigInt64Array;

  /** The cache in that memory, which another thread got from {@link DecodedCache.allocate}. */
  constructor(readonly memory: SharedArrayBuffer) {
    const numRows = Number(new BigInt64Array(memory, 0, PLACES)[NUM_ROWS]);
    this.#words = new BigInt64Array(memory, 0, PLACES + numRows);
  }

  /**
   * An empty cache for the rows of a source. It takes `bytes` and no more, of which 8 a row are its table; the
   * system gives the memory as it is filled. Undefined if there would be no room for an image.
   *
   * @throws ConfigError if there is less memory.
   */
  static allocate(bytes: number, numRows: number): DecodedCache | undefined {
    const tableBytes = (PLACES + numRows) * BigInt64Array.BYTES_PER_ELEMENT;
    if (bytes <= tableBytes) return undefined;
    checkCacheBytes(bytes);
    let memory: SharedArrayBuffer;
    try {
      memory = new SharedArrayBuffer(bytes);
    } catch (cause) {
      throw tooLarge(bytes, 'the system refuses to give as much', cause);
    }
    new BigInt64Array(memory, 0, PLACES).set([BigInt(tableBytes), BigInt(numRows)]);
    return new DecodedCache(memory);
  }

  /** Rows of the source that it was made for. */
  get numRows(): number {
    return this.#words.length - PLACES;
  }

  /** Whether the row's image is kept. It stays true once it is. */
  has(row: number): boolean {
    return Atomics.load(this.#words, PLACES + row) > ABSENT;
  }

  /** The row's image, if it is kept; its pixels are the cache's own and not to be changed. */
  get(row: number): DecodedImage | undefined {
    const place = Atomics.load(this.#words, PLACES + row);
    if (place <= ABSENT) return undefined;
    const facts = new Uint32Array(this.memory, Number(place), NUM_FACTS);
    const [width = 0, height = 0, channels = 0, mode = 0, hasAlpha] = facts;
    const data = new Uint8Array(this.memory, facts.byteOffset + facts.byteLength, width * height * channels);
    return {
      data,
      width,
      height,
      channels: channels as 3 | 4,
      mode: modes[mode] as ColourMode,
      hasAlpha: hasAlpha === 1,
    };
  }

  /** Keeps the row's image if there is room and no thread has put it before. */
  put(row: number, { data, width, height, channels, mode, hasAlpha }: DecodedImage): void {
    if (Atomics.compareExchange(this.#words, PLACES + row, ABSENT, TAKEN) !== ABSENT) return;
    const place = this.#reserve(NUM_FACTS * FACT_BYTES + data.length);
    if (place === undefined) return;
    const facts = new Uint32Array(this.memory, place, NUM_FACTS);
    facts.set([width, height, channels, modes.indexOf(mode), Number(hasAlpha)]);
    new Uint8Array(this.memory, facts.byteOffset + facts.byteLength, data.length).set(data);
    // Only now, and atomically, so that whoever sees the place sees the pixels too.
    Atomics.store(this.#words, PLACES + row, BigInt(place));
  }

  /** Takes room for so many bytes, if there is as much: a large image must not use up what smaller ones can have. */
  #reserve(bytes: number): number | undefined {
    const size = BigInt(Math.ceil(bytes / FACT_BYTES) * FACT_BYTES);
    let place = Atomics.load(this.#words, FREE);
    while (place + size <= BigInt(this.memory.byteLength)) {
      const found = Atomics.compareExchange(this.#words, FREE, place, place + size);
      if (found === place) return Number(place);
      place = found;
    }
    return undefined;
  }
}
