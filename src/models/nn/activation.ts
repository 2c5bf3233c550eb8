import * as tf from '../../engine/tf.js';
import { customGradient } from './custom-gradient.js';

/** The standard normal distribution function, (1 + erf(x / √2)) / 2. */
function normalCdf(x: tf.Tensor): tf.Tensor {
  return tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5);
}

/**
 * GELU in its exact form, x Φ(x) (Hendrycks and Gimpel, 2016; PyTorch's default). Only x is kept: the
 * derivative Φ(x) + x φ(x) is computed anew in the backward pass.
 */
export function gelu(x: tf.Tensor): tf.Tensor {
  return customGradient([x], () => ({
    value: tf.mul(x, normalCdf(x)),
    saved: [x],
    gradient: (dy, z) => {
      const density = tf.mul(tf.exp(tf.mul(tf.square(z), -0.5)), 1 / Math.sqrt(2 * Math.PI));
      return [tf.mul(dy, tf.add(normalCdf(z), tf.mul(z, density)))];
    },
  }));
}

/** The factor of OpenAI's approximation of GELU. */
const QUICK_GELU_SLOPE = 1.702;

/** x sigmoid(1.702 x), the activation of OpenAI's weights and of open_clip's "-quickgelu" models. */
export function quickGelu(x: tf.Tensor): tf.Tensor {
  return customGradient([x], () => ({
    value: tf.mul(x, tf.sigmoid(tf.mul(x, QUICK_GELU_SLOPE))),
    saved: [x],
    gradient: (dy, z) => {
      const scaled = tf.mul(z, QUICK_GELU_SLOPE);
      const gate = tf.sigmoid(scaled);
      return [tf.mul(dy, tf.mul(gate, tf.add(tf.mul(scaled, tf.sub(1, gate)), 1)))];
    },
  }));
}
