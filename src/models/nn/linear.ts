// Shapes: M rows (batch times tokens), I input width, O output width.
import * as tf from '../../engine/tf.js';
import { customGradient } from './custom-gradient.js';

/**
 * y = x Wᵀ + b, with PyTorch's weight layout.
 *
 * @param x_MI activations, tokens flattened into rows so that the weight gradient is one matrix product
 * @param w_OI weight
 * @param b_O bias
 */
export function linear(x_MI: tf.Tensor, w_OI: tf.Tensor, b_O: tf.Tensor): tf.Tensor {
  return customGradient([x_MI, w_OI, b_O], () => ({
    value: tf.add(tf.matMul(x_MI, w_OI, false, true), b_O),
    saved: [x_MI, w_OI],
    gradient: (dy_MO, x, w) => [tf.matMul(dy_MO, w), tf.matMul(dy_MO, x, true, false), tf.sum(dy_MO, 0)],
  }));
}
