/** What an encoder makes features of: the pixels of images or the tokens of captions, row by row of a source. */
import type { Chunk, DecodedChunk } from '../decode-chunk.js';
import { captionText, presentKinds } from '../mixing.js';
import { type CaptionKind, faultOfImage, type Row, rowFault, sampleKey } from '../schema.js';
import type { Source } from '../sources/source.js';
import type { TokenizerFile } from '../text/tokenizer.js';
import type { Decoder } from '../worker-pool.js';
import type { MissingFeature } from './shard.js';

/** Features of images. */
export interface ImageInput {
  readonly kind: 'image';
  /** Pixels of a side. */
  readonly imageSize: number;
  /** Whether the orientation that an image's EXIF data tells is applied. Default false. */
  readonly exif?: boolean;
  /**
   * Encodes `count` images, of which broken ones are black.
   *
   * @param pixels bytes, count * imageSize * imageSize * 3, N H W C, RGB
   * @returns count * the product of the store's shape
   */
  readonly encode: (pixels: Uint8Array, count: number) => Promise<Float32Array>;
}

/** Features of the captions of one kind. */
export interface TextInput {
  readonly kind: 'text';
  readonly caption: CaptionKind;
  readonly contextLength: number;
  /** Default: CLIP's. */
  readonly tokenizer?: TokenizerFile;
  /**
   * Encodes `count` captions; of rows that have none the text is empty.
   *
   * @param tokens count * contextLength
   * @returns count * the product of the store's shape
   */
  readonly encode: (tokens: Int32Array, count: number) => Promise<Float32Array>;
}

/** Rows that are encoded together. */
export interface InputBatch {
  readonly rows: readonly number[];
  /** Which crop of the images, or which of several captions. */
  readonly variant: number;
  readonly keys: readonly string[];
  /** By place in the batch: why there is nothing to encode. */
  readonly missing: ReadonlyMap<number, MissingFeature>;
  /** Pixels of images, or tokens of captions. */
  readonly pixels: Uint8Array;
  readonly tokens: Int32Array;
}

/** Rows of a job of a decoding thread. */
export const CHUNK_ROWS = 16;

/** The column that holds what is encoded. */
export function inputColumn(input: ImageInput | TextInput): string {
  return input.kind === 'image' ? 'image' : input.caption;
}

/** Reads rows and decodes their images or tokenizes their captions. @throws DataError of the source or a worker */
export async function readInputs(
  source: Source,
  input: ImageInput | TextInput,
  decoder: Decoder,
  seed: number,
  rows: readonly number[],
  variant: number,
): Promise<InputBatch> {
  const found = await source.readRows(rows, ['key', inputColumn(input)]);
  const missing = new Map<number, MissingFeature>();
  const keys = found.map((row, i) => {
    const why = whyMissing(row, input);
    if (why !== undefined) missing.set(i, why);
    return sampleKey(row) ?? `row ${rows[i]}`;
  });
  const textOf = (i: number): string =>
    captionText(found[i] as Row, (input as TextInput).caption, {
      seed,
      epoch: variant,
      key: keys[i] as string,
    });
  const chunks: Promise<DecodedChunk>[] = [];
  for (let at = 0; at < rows.length; at += CHUNK_ROWS) {
    const places = Array.from({ length: Math.min(CHUNK_ROWS, rows.length - at) }, (_, i) => at + i);
    const chunk =
      input.kind === 'image'
        ? imageChunk(places, found, keys, rows)
        : textChunk(places.map((i) => (missing.has(i) ? '' : textOf(i))));
    chunks.push(decoder.decode({ ...chunk, epoch: variant }));
  }
  const decoded = await Promise.all(chunks);
  for (const [number, { failures }] of decoded.entries()) {
    for (const [i, reason] of failures.entries()) {
      const place = number * CHUNK_ROWS + i;
      if (reason !== null && !missing.has(place)) missing.set(place, { broken: true, reason });
    }
  }
  const total = (of: 'pixels' | 'tokens'): number =>
    decoded.reduce((sum, { [of]: { length } }) => sum + length, 0);
  const pixels = new Uint8Array(total('pixels'));
  const tokens = new Int32Array(total('tokens'));
  let [pixelsAt, tokensAt] = [0, 0];
  for (const chunk of decoded) {
    pixels.set(chunk.pixels, pixelsAt);
    tokens.set(chunk.tokens, tokensAt);
    pixelsAt += chunk.pixels.length;
    tokensAt += chunk.tokens.length;
  }
  return { rows, variant, keys, missing, pixels, tokens };
}

/** Why there is nothing of a row to encode, as far as that is known without decoding. */
function whyMissing(row: Row, input: ImageInput | TextInput): MissingFeature | undefined {
  const fault = rowFault(row) ?? (sampleKey(row) === undefined ? 'It has no key.' : undefined);
  if (fault !== undefined) return { broken: true, reason: fault };
  if (input.kind === 'image') {
    const reason = faultOfImage(row);
    return reason === undefined ? undefined : { broken: true, reason };
  }
  if (presentKinds(row, [input.caption]) !== 0) return undefined;
  return { broken: false, reason: `It has no caption of kind ${input.caption}.` };
}

/** Of images that are known to be broken there are no bytes, which are then found to be broken once more. */
function imageChunk(
  places: readonly number[],
  found: readonly Row[],
  keys: readonly string[],
  rows: readonly number[],
): Omit<Chunk, 'epoch'> {
  const files = places.map((i) => {
    const image = found[i]?.image;
    return image instanceof Uint8Array ? image : new Uint8Array(0);
  });
  const offsets = [0];
  for (const file of files) offsets.push((offsets.at(-1) as number) + file.length);
  const bytes = new Uint8Array(offsets.at(-1) as number);
  for (const [i, file] of files.entries()) bytes.set(file, offsets[i]);
  const of = <T>(values: readonly T[]): T[] => places.map((i) => values[i] as T);
  return { keys: of(keys), rows: of(rows), texts: [], bytes, offsets };
}

const textChunk = (texts: readonly string[]): Omit<Chunk, 'epoch'> => ({
  keys: [],
  rows: [],
  texts,
  bytes: new Uint8Array(0), // of its own, as it is moved to the thread
  offsets: [0],
});
