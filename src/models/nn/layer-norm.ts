// Shapes: M rows, W width.
import * as tf from '../../engine/tf.js';
import { customGradient } from './custom-gradient.js';

/** PyTorch's default. */
const EPSILON = 1e-5;

/**
 * y = (x - mean) / sqrt(variance + 1e-5) * weight + bias over the last axis, with the biased variance
 * (Ba et al., "Layer Normalization", 2016). The backward pass keeps x and one mean and reciprocal
 * deviation per row, and with h the normalised x and g = dy * weight is
 * dx = (g - mean(g) - h * mean(g * h)) / deviation.
 */
export function layerNorm(x_MW: tf.Tensor, weight_W: tf.Tensor, bias_W: tf.Tensor): tf.Tensor {
  return customGradient([x_MW, weight_W, bias_W], () => {
    const mean_M1 = tf.mean(x_MW, -1, true);
    const centred_MW = tf.sub(x_MW, mean_M1);
    const rstd_M1 = tf.rsqrt(tf.add(tf.mean(tf.square(centred_MW), -1, true), EPSILON));
    return {
      value: tf.add(tf.mul(tf.mul(centred_MW, rstd_M1), weight_W), bias_W),
      saved: [x_MW, mean_M1, rstd_M1, weight_W],
      gradient: (dy, x, mean, rstd, weight) => {
        const h = tf.mul(tf.sub(x, mean), rstd);
        const g = tf.mul(dy, weight);
        const projected = tf.mul(h, tf.mean(tf.mul(g, h), -1, true));
        const dx = tf.mul(tf.sub(tf.sub(g, tf.mean(g, -1, true)), projected), rstd);
        return [dx, tf.sum(tf.mul(dy, h), 0), tf.sum(dy, 0)];
      },
    };
  });
}
