// Shapes: B batch, E embedding width.
import * as tf from '../../engine/tf.js';
import { customGradient } from './custom-gradient.js';

/** The smallest norm that a row is divided by, as in PyTorch's `normalize`. */
const SMALLEST_NORM = 1e-12;

/** Rows divided by their Euclidean norm, or by 1e-12 if that is larger. */
export function l2Normalize(x_BE: tf.Tensor): tf.Tensor {
  return customGradient([x_BE], () => {
    const norm_B1 = tf.sqrt(tf.sum(tf.square(x_BE), -1, true));
    const inverse_B1 = tf.reciprocal(tf.maximum(norm_B1, SMALLEST_NORM));
    const value = tf.mul(x_BE, inverse_B1);
    return {
      value,
      // A clamped row is scaled by a constant, so nothing is projected out of its gradient.
      saved: [value, inverse_B1, tf.cast(tf.greater(norm_B1, SMALLEST_NORM), 'float32')],
      gradient: (dy, y, inverse, free) => {
        const along_B1 = tf.mul(tf.sum(tf.mul(dy, y), -1, true), free);
        return [tf.mul(tf.sub(dy, tf.mul(y, along_B1)), inverse)];
      },
    };
  });
}
