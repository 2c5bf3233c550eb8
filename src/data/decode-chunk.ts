/** The work on a chunk of samples that is kept off the main thread: image bytes to pixels, texts to tokens. */
import { DataError } from '../errors.js';
import { KeyedRandom } from '../rng.js';
import type { DecodedCache } from './decoded-cache.js';
import type { CropScale } from './image/crop.js';
import { decodeImage } from './image/decode.js';
import { PixelRoom } from './image/pixels.js';
import { evalPixels, trainPixels } from './image/transforms.js';
import type { ClipTokenizer } from './text/clip-tokenizer.js';

/** Settings that all chunks of a loader share. */
export interface DecodeSettings {
  readonly transform: 'train' | 'eval';
  readonly cropScale: CropScale;
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
  tokenizer: ClipTokenizer,
  cache?: DecodedCache,
  memory?: DecodeMemory,
): Promise<DecodedChunk> {
  const { transform, cropScale, imageSize, contextLength, seed } = settings;
  const imageBytes = pixelBytes(1, settings);
  const numBytes = chunk.keys.length * imageBytes;
  const pixels = memory?.pixels?.length === numBytes ? memory.pixels : new Uint8Array(numBytes);
  const room = memory?.room ?? new PixelRoom();
  const failures: (string | null)[] = [];
  for (const [i, key] of chunk.keys.entries()) {
    const row = chunk.rows[i] as number;
    const out = pixels.subarray(i * imageBytes, (i + 1) * imageBytes);
    try {
      let image = cache?.get(row);
      if (image === undefined) {
        image = await decodeImage(chunk.bytes.subarray(chunk.offsets[i], chunk.offsets[i + 1]), { room });
        cache?.put(row, image);
      }
      if (transform === 'eval') evalPixels(image, imageSize, out);
      else trainPixels(image, imageSize, new KeyedRandom(seed, 'crop', chunk.epoch, key), cropScale, out);
      failures.push(null);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      out.fill(0);
      failures.push(error.message);
    }
  }
  const { tokens, numTokens } = tokenizer.encodeBatch(chunk.texts, contextLength);
  return {
    pixels,
    tokens: tokens as Int32Array<ArrayBuffer>,
    numTokens: numTokens as Int32Array<ArrayBuffer>,
    failures,
  };
}
