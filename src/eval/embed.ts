/** Runs a model's encoders over many images and texts in batches of one size. */
import { ShapeError } from '../errors.js';
import type { EmbeddingModel } from '../models/embedding-model.js';

/** Turns texts into padded token rows, [texts.length, contextLength]. */
export type Tokenize = (texts: readonly string[], contextLength: number) => Int32Array;

/** Pixels of images [from, to) of a set: bytes, NHWC RGB, at the model's image size. */
export type ReadPixels = (from: number, to: number) => Promise<Uint8Array>;

/** Batch sizes; each one is a shape that the model compiles once. */
export interface EmbedOptions {
  readonly imageBatch?: number;
  readonly textBatch?: number;
}

const IMAGE_BATCH = 128;
const TEXT_BATCH = 512;

function copyRows(
  out: Float32Array,
  rows: Float32Array,
  from: number,
  count: number,
  dim: number,
  batch: number,
): void {
  if (rows.length !== batch * dim) {
    throw new ShapeError(`The model returned ${rows.length} numbers for ${batch} rows of ${dim}.`);
  }
  out.set(rows.subarray(0, count * dim), from * dim);
}

/**
 * Embeds `count` images, [count, D]. The last batch is filled up with black images, whose embeddings
 * are dropped, so that the model sees one shape only.
 */
export async function embedImages(
  model: EmbeddingModel,
  count: number,
  readPixels: ReadPixels,
  { imageBatch = IMAGE_BATCH }: EmbedOptions = {},
): Promise<Float32Array> {
  const bytes = model.imageSize * model.imageSize * 3;
  const out = new Float32Array(count * model.embedDim);
  for (let from = 0; from < count; from += imageBatch) {
    const to = Math.min(from + imageBatch, count);
    const pixels = await readPixels(from, to);
    if (pixels.length !== (to - from) * bytes) {
      throw new ShapeError(
        `Images ${from} to ${to - 1}: expected ${(to - from) * bytes} bytes, found ${pixels.length}.`,
      );
    }
    let full = pixels;
    if (to - from < imageBatch) {
      full = new Uint8Array(imageBatch * bytes);
      full.set(pixels);
    }
    copyRows(out, await model.encodeImages(full, imageBatch), from, to - from, model.embedDim, imageBatch);
  }
  return out;
}

/** Embeds texts, [texts.length, D]. The last batch is filled up with empty texts, likewise dropped. */
export async function embedTexts(
  model: EmbeddingModel,
  texts: readonly string[],
  tokenize: Tokenize,
  { textBatch = TEXT_BATCH }: EmbedOptions = {},
): Promise<Float32Array> {
  const out = new Float32Array(texts.length * model.embedDim);
  for (let from = 0; from < texts.length; from += textBatch) {
    const part = texts.slice(from, from + textBatch);
    const { length } = part;
    while (part.length < textBatch) part.push('');
    const tokens = tokenize(part, model.contextLength);
    copyRows(out, await model.encodeTexts(tokens, textBatch), from, length, model.embedDim, textBatch);
  }
  return out;
}
