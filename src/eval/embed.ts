/** Runs a model's encoders over many images and texts, some at a time so that memory stays bounded. */
import { ShapeError } from '../errors.js';
import type { EmbeddingModel } from '../models/embedding-model.js';

/** Turns texts into padded token rows, [texts.length, contextLength]. */
export type Tokenize = (texts: readonly string[], contextLength: number) => Int32Array | Promise<Int32Array>;

/** Pixels of images [from, to) of a set: bytes, NHWC RGB, of the given side. */
export type ReadPixels = (from: number, to: number, imageSize: number) => Promise<Uint8Array>;

// Powers of two, which batch sizes divide: a model that fills up its last batch does so once.
const IMAGES_AT_ONCE = 256;
const TEXTS_AT_ONCE = 4096;

function checkRows(rows: Float32Array, count: number, dim: number): Float32Array {
  if (rows.length !== count * dim) {
    throw new ShapeError(`The model returned ${rows.length} numbers for ${count} rows of ${dim}.`);
  }
  return rows;
}

/**
 * Embeds `count` images, [count, D].
 *
 * @throws ShapeError if `readPixels` or the model returns another number of values.
 */
export async function embedImages(
  model: EmbeddingModel,
  count: number,
  readPixels: ReadPixels,
): Promise<Float32Array> {
  const { embedDim } = model;
  const out = new Float32Array(count * embedDim);
  for await (const { from, rows } of embedBlocks(model, count, readPixels, 0, count)) {
    out.set(rows, from * embedDim);
  }
  return out;
}

/** Images [from, to), embedded together. */
export interface EmbeddedBlock {
  readonly from: number;
  readonly to: number;
  /** (to - from) * D. */
  readonly rows: Float32Array;
}

/**
 * Embeds the images [first, end) of `count` and those around them that are embedded together with them: an image is in
 * the same block whichever are asked for, so that its embedding is the same to the bit.
 *
 * @throws as {@link embedImages}
 */
export async function* embedBlocks(
  model: EmbeddingModel,
  count: number,
  readPixels: ReadPixels,
  first: number,
  end: number,
): AsyncGenerator<EmbeddedBlock, void> {
  const { embedDim, imageSize } = model;
  for (let from = first - (first % IMAGES_AT_ONCE); from < end; from += IMAGES_AT_ONCE) {
    const to = Math.min(from + IMAGES_AT_ONCE, count);
    const pixels = await readPixels(from, to, imageSize);
    const expected = (to - from) * imageSize * imageSize * 3;
    if (pixels.length !== expected) {
      throw new ShapeError(
        `Images ${from} to ${to - 1}: expected ${expected} bytes, found ${pixels.length}.`,
      );
    }
    yield { from, to, rows: checkRows(await model.encodeImages(pixels, to - from), to - from, embedDim) };
  }
}

/** Embeds texts, [texts.length, D]. @throws ShapeError if the model returns another number of values. */
export async function embedTexts(
  model: EmbeddingModel,
  texts: readonly string[],
  tokenize: Tokenize,
): Promise<Float32Array> {
  const { embedDim, contextLength } = model;
  const out = new Float32Array(texts.length * embedDim);
  for (let from = 0; from < texts.length; from += TEXTS_AT_ONCE) {
    const part = texts.slice(from, from + TEXTS_AT_ONCE);
    const rows = await model.encodeTexts(await tokenize(part, contextLength), part.length);
    out.set(checkRows(rows, part.length, embedDim), from * embedDim);
  }
  return out;
}
