// Shapes: B batch, H height, W width (of pixels, or of features after the patch embedding), C colour,
// G patches per side, P pixels per patch side, L = G² + 1 tokens, E embedding; M = B * L rows.
import * as tf from '../../engine/tf.js';
import { ShapeError } from '../../errors.js';
import { type BlockOptions, pooledResidualBlock, residualBlock } from '../nn/block.js';
import { prependToken, takeTokens } from '../nn/embedding.js';
import { layerNorm } from '../nn/layer-norm.js';
import { type Params, takeParam } from '../nn/params.js';
import type { ClipConfig, ClipVisionConfig, EncoderOptions } from './config.js';

/** Per-channel mean of CLIP's training images, on the scale [0, 1], red, green, blue. */
export const CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073] as const;
/** Per-channel standard deviation, likewise. */
export const CLIP_STD = [0.26862954, 0.26130258, 0.27577711] as const;

/** (x / 255 - mean) / std of bytes whose last axis runs over colours fastest. */
function normalisePixels(bytes_MI: tf.Tensor): tf.Tensor {
  const pixels = (bytes_MI.shape[1] as number) / 3;
  const everyPixel = (perColour: (c: 0 | 1 | 2) => number): tf.Tensor =>
    tf.tensor1d(Float32Array.from({ length: pixels * 3 }, (_, i) => perColour((i % 3) as 0 | 1 | 2)));
  const mean = everyPixel((c) => 255 * CLIP_MEAN[c]);
  const inverse = everyPixel((c) => 1 / (255 * CLIP_STD[c]));
  return tf.mul(tf.sub(tf.cast(bytes_MI, 'float32'), mean), inverse);
}

/** Cuts images into rows of P * P * 3 numbers, colour fastest: moves whole pixel runs, and bytes while bytes. */
function patchRows(images_BHWC: tf.Tensor, { imageSize, patchSize }: ClipVisionConfig): tf.Tensor {
  const batch = images_BHWC.shape[0] as number;
  const grid = imageSize / patchSize;
  const runs_BGPGI = tf.reshape(images_BHWC, [batch, grid, patchSize, grid, patchSize * 3]);
  return tf.reshape(tf.transpose(runs_BGPGI, [0, 1, 3, 2, 4]), [
    batch * grid * grid,
    patchSize * patchSize * 3,
  ]);
}

/** The patch convolution as one matrix product, since kernel and stride are equal. Returns [B, G², W]. */
function embedPatches(params: Params, images_BHWC: tf.Tensor, vision: ClipVisionConfig): tf.Tensor {
  const rows = patchRows(images_BHWC, vision);
  const pixels = images_BHWC.dtype === 'int32' ? normalisePixels(rows) : rows;
  const kernel_WCPP = takeParam(params, 'visual.conv1.weight');
  // The kernel is turned to the rows' colour-last order: it is far smaller than the images.
  const kernel_WI = tf.reshape(tf.transpose(kernel_WCPP, [0, 2, 3, 1]), [vision.width, -1]);
  const patches = tf.matMul(pixels, kernel_WI, false, true);
  return tf.reshape(patches, [images_BHWC.shape[0] as number, -1, vision.width]);
}

function checkImages(images: tf.Tensor, imageSize: number): void {
  const [, height, width, colours] = images.shape;
  if (images.rank !== 4 || height !== imageSize || width !== imageSize || colours !== 3) {
    throw new ShapeError(
      `The image tower takes images of shape [batch, ${imageSize}, ${imageSize}, 3], found [${images.shape.join(', ')}].`,
    );
  }
  if (images.dtype !== 'int32' && images.dtype !== 'float32') {
    throw new ShapeError(
      `The image tower takes bytes (int32) or normalised numbers (float32), found ${images.dtype}.`,
    );
  }
}

/**
 * Image features before normalisation (open_clip's `encode_image`): patches, class token, learned
 * positions, norm, blocks, norm of the class token, projection.
 *
 * @param images_BHWC int32 holding bytes 0 to 255, normalised here with {@link CLIP_MEAN} and
 *   {@link CLIP_STD}, or float32 that already is normalised
 * @returns [B, E], owned by the caller
 * @throws ShapeError if the images or a parameter do not fit
 */
export function encodeImage(
  params: Params,
  config: ClipConfig,
  images_BHWC: tf.Tensor,
  options: EncoderOptions = {},
): tf.Tensor {
  const { vision } = config;
  checkImages(images_BHWC, vision.imageSize);
  const { width, depth } = vision;
  const batch = images_BHWC.shape[0] as number;
  return tf.tidy(() => {
    const patches_BGW = embedPatches(params, images_BHWC, vision);
    const tokens_BLW = tf.add(
      prependToken(takeParam(params, 'visual.class_embedding'), patches_BGW),
      takeParam(params, 'visual.positional_embedding'),
    );
    const length = tokens_BLW.shape[1] as number;
    const norm = (name: string, x: tf.Tensor): tf.Tensor =>
      layerNorm(x, takeParam(params, `${name}.weight`), takeParam(params, `${name}.bias`));
    const blockOptions: BlockOptions = {
      batch,
      length,
      numHeads: width / vision.headWidth,
      quickGelu: config.quickGelu,
      remat: options.remat,
    };
    const block = (i: number): string => `visual.transformer.resblocks.${i}`;
    let x_MW = norm('visual.ln_pre', tf.reshape(tokens_BLW, [batch * length, width]));
    for (let i = 0; i < depth - 1; i++) x_MW = residualBlock(params, block(i), x_MW, blockOptions);
    const class_BW = takeTokens(x_MW, tf.zeros([batch], 'int32'));
    const pooled_BW = pooledResidualBlock(params, block(depth - 1), x_MW, class_BW, blockOptions);
    return tf.matMul(norm('visual.ln_post', pooled_BW), takeParam(params, 'visual.proj'));
  });
}
