// Shapes: B batch, H height, W width, C colour, L tokens, E embedding.
import * as tf from '../../engine/tf.js';
import { l2Normalize } from '../nn/normalize.js';
import { type Params, takeParam } from '../nn/params.js';
import type { ClipConfig, EncoderOptions } from './config.js';
import { encodeImage } from './image-encoder.js';
import { encodeText } from './text-encoder.js';

/** What CLIP's loss takes. */
export interface ClipOutput {
  /** Rows of length 1. */
  readonly imageFeatures_BE: tf.Tensor;
  /** Rows of length 1. */
  readonly textFeatures_BE: tf.Tensor;
  /** The factor of the cosine similarities: the exponential of the parameter `logit_scale`. */
  readonly logitScale: tf.Tensor;
}

/**
 * CLIP (Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
 * 2021) as open_clip 3.3.0 computes it: a pure function of its parameters, differentiable, to be
 * compiled or run eagerly.
 *
 * @param params by open_clip's names and in its layouts; see `clipParamSpecs`
 * @param images_BHWC bytes as int32, or normalised float32
 * @param tokens_BL int32 ids
 * @returns tensors owned by the caller
 */
export function clipForward(
  params: Params,
  config: ClipConfig,
  images_BHWC: tf.Tensor,
  tokens_BL: tf.Tensor,
  options: EncoderOptions = {},
): ClipOutput {
  return {
    imageFeatures_BE: tf.tidy(() => l2Normalize(encodeImage(params, config, images_BHWC, options))),
    textFeatures_BE: tf.tidy(() => l2Normalize(encodeText(params, config, tokens_BL, options))),
    logitScale: tf.exp(takeParam(params, 'logit_scale')),
  };
}
