/** The work on a chunk of samples that is kept off the main thread: image bytes to pixels, texts to tokens. */
import { DataError } from '../errors.js';
import { KeyedRandom } from '../rng.js';
import type { DecodedCache } from './decoded-cache.js';
import { decodeImage } from './image/decode.js';
import { PixelRoom } from './image/pixels.js';
import { evalPixels, type TrainAugmentation, trainInto, trainPixels } from './image/transforms.js';
import type { TextFrame, Tokenizer } from './text/token-batch.js';

/** Settings that all chunks of a loader share. */
export interface DecodeSettings {
  readonly transform: 'train' | 'eval';
  readonly augmentation: TrainAugmentation;
  /** Whether EXIF's orientation is applied. */
  readonly exif: boolean;
  /** Whether JPEGs are shrunk while they are decoded, see `DecodeForCropOptions`; not with a cache. */
  readonly scaledDecode: boolean;
  /** Pixels of a side. */
  readonly imageSize: number;
  readonly contextLength: number;
  readonly seed: number;
}

/** Samples of one epoch, in order. */
export interface Chunk {
  readonly epoch: number;
  readonly keys: readonly string[];
  /** Their places in the source, by which the cache knows them. */
  readonly rows: readonly number[];
  readonly texts: readonly string[];
  /**
   * The image files one after the other, so that one buffer is moved between threads and none copied, and perhaps more.
   * Of an image that the cache has, there is none.
   */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where each file begins in `bytes`, and the end of the last. */
  readonly offsets: readonly number[];
}

/** What became of a chunk of n samples. */
export interface DecodedChunk {
  /** n * imageSize * imageSize * 3, N H W C; zeros where the image failed. */
  readonly pixels: Uint8Array<ArrayBuffer>;
  /** n * contextLength. */
  readonly tokens: Int32Array<ArrayBuffer>;
  /** Per text, before truncation, start and end of text included. */
  readonly numTokens: Int32Array<ArrayBuffer>;
  readonly frame: TextFrame;
  /** Per sample, why its image cannot be used; null if it can. */
  readonly failures: readonly (string | null)[];
}

/** Memory of a decoder, which it uses for one chunk after the other. */
export interface DecodeMemory {
  /** For an image before its transform. */
  readonly room: PixelRoom;
  /** For the pixels of the chunk, whatever it holds; left aside unless it is exactly as large as they are. */
  readonly pixels: Uint8Array<ArrayBuffer> | undefined;
}

/** Bytes of the pixels of so many samples. */
export function pixelBytes(numSamples: number, { imageSize }: DecodeSettings): number {
  return numSamples * imageSize * imageSize * 3;
}

/**
 * Decodes and transforms the images and tokenizes the texts of a chunk. What the cache holds saves time and
 * changes nothing.
 */
export async function decodeChunk(
  chunk: Chunk,
  settings: DecodeSettings,
  tokenizer: Tokenizer,
  cache?: DecodedCache,
  memory?: DecodeMemory,
): Promise<DecodedChunk> {
  const { contextLength } = settings;
  const imageBytes = pixelBytes(1, settings);
  const numBytes = chunk.keys.length * imageBytes;
  const pixels = memory?.pixels?.length === numBytes ? memory.pixels : new Uint8Array(numBytes);
  const room = memory?.room ?? new PixelRoom();
  const failures: (string | null)[] = [];
  for (const i of chunk.keys.keys()) {
    const out = pixels.subarray(i * imageBytes, (i + 1) * imageBytes);
    try {
      await transformImage(chunk, i, settings, room, cache, out);
      failures.push(null);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      out.fill(0);
      failures.push(error.message);
    }
  }
  const { tokens, numTokens, frame } = await tokenizer.encodeBatch(chunk.texts, contextLength);
  return {
    pixels,
    tokens: tokens as Int32Array<ArrayBuffer>,
    numTokens: numTokens as Int32Array<ArrayBuffer>,
    frame,
    failures,
  };
}

/** Writes the image as the model takes it to `out`. */
async function transformImage(
  { bytes, offsets, rows, keys, epoch }: Chunk,
  i: number,
  { transform, augmentation, exif, scaledDecode, imageSize, seed }: DecodeSettings,
  room: PixelRoom,
  cache: DecodedCache | undefined,
  out: Uint8Array,
): Promise<void> {
  const file = bytes.subarray(offsets[i], offsets[i + 1]);
  const random = new KeyedRandom(seed, 'crop', epoch, keys[i] as string);
  if (transform === 'train' && cache === undefined) {
    await trainInto(file, imageSize, random, { ...augmentation, exif, scaledDecode, room }, out);
    return;
  }
  const row = rows[i] as number;
  let image = cache?.get(row);
  if (image === undefined) {
    image = await decodeImage(file, { room, exif });
    cache?.put(row, image);
  }
  if (transform === 'eval') evalPixels(image, imageSize, out);
  else trainPixels(image, imageSize, random, augmentation, out);
}
