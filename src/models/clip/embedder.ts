// Shapes: B batch, H height, W width, C colour, L tokens, E embedding.
import { compile, tf, uint8Tensor } from '../../engine/index.js';
import { ShapeError } from '../../errors.js';
import type { EmbeddingModel } from '../embedding-model.js';
import { l2Normalize } from '../nn/normalize.js';
import type { Params } from '../nn/params.js';
import type { ClipConfig } from './config.js';
import { encodeImage } from './image-encoder.js';
import { encodeText } from './text-encoder.js';

export interface ClipEmbedderOptions {
  /** Samples per run of a tower. The last batch is filled up with zeros, so one shape is compiled. */
  readonly batchSize: number;
  /** `bf16` for matrix products in bfloat16. Default `fp32`. */
  readonly precision?: 'fp32' | 'bf16';
}

/** A CLIP as an {@link EmbeddingModel}. Dispose of it when it is no longer needed. */
export interface ClipEmbedder extends EmbeddingModel {
  /** Frees the compiled towers; the parameters stay their owner's. */
  dispose(): void;
}

/**
 * Compiles a CLIP's two towers for evaluation.
 *
 * @param readParams called while a tower is recorded: reads of variables see each later update, plain
 *   tensors are held as they are
 * @throws ShapeError from the encoders, if an array does not hold as many samples as it is said to
 */
export function createClipEmbedder(
  config: ClipConfig,
  readParams: () => Params,
  options: ClipEmbedderOptions,
): ClipEmbedder {
  const { batchSize, precision = 'fp32' } = options;
  const { embedDim } = config;
  const { imageSize } = config.vision;
  const { contextLength } = config.text;
  const imageTower = compile((images: tf.Tensor) => l2Normalize(encodeImage(readParams(), config, images)), {
    name: 'encodeImages',
    precision,
  });
  const textTower = compile((tokens: tf.Tensor) => l2Normalize(encodeText(readParams(), config, tokens)), {
    name: 'encodeTexts',
    precision,
  });

  /** Runs batches of `perSample` elements through a tower, the last one filled up. */
  async function inBatches<T extends Uint8Array | Int32Array>(
    what: string,
    values: T,
    count: number,
    perSample: number,
    empty: () => T,
    run: (batch: T) => Promise<tf.Tensor>,
  ): Promise<Float32Array> {
    if (values.length !== count * perSample) {
      throw new ShapeError(
        `${count} ${what} of ${perSample} values are ${count * perSample} values, found ${values.length}.`,
      );
    }
    const features = new Float32Array(count * embedDim);
    for (let from = 0; from < count; from += batchSize) {
      const upTo = Math.min(count, from + batchSize);
      const batch = empty();
      batch.set(values.subarray(from * perSample, upTo * perSample));
      const embedded_BE = await run(batch);
      const rows = (await embedded_BE.data()) as Float32Array;
      embedded_BE.dispose();
      features.set(rows.subarray(0, (upTo - from) * embedDim), from * embedDim);
    }
    return features;
  }

  const pixels = imageSize * imageSize * 3;
  return {
    embedDim,
    imageSize,
    contextLength,
    encodeImages: (images, count) =>
      inBatches(
        'images',
        images,
        count,
        pixels,
        () => new Uint8Array(batchSize * pixels),
        async (batch) => {
          const images_BHWC = uint8Tensor(batch, [batchSize, imageSize, imageSize, 3]);
          try {
            return await imageTower.async(images_BHWC);
          } finally {
            images_BHWC.dispose();
          }
        },
      ),
    encodeTexts: (tokens, count) =>
      inBatches(
        'texts',
        tokens,
        count,
        contextLength,
        () => new Int32Array(batchSize * contextLength),
        async (batch) => {
          const tokens_BL = tf.tensor2d(batch, [batchSize, contextLength], 'int32');
          try {
            return await textTower.async(tokens_BL);
          } finally {
            tokens_BL.dispose();
          }
        },
      ),
    dispose(): void {
      imageTower.dispose();
      textTower.dispose();
    },
  };
}
