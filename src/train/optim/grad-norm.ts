import * as tf from '../../engine/tf.js';
import type { Params } from '../../models/nn/params.js';

/** The Euclidean norm of all gradients taken as one vector: a scalar, owned by the caller. */
export function globalNorm(grads: Params): tf.Tensor {
  return tf.tidy(() => tf.sqrt(tf.addN(Object.values(grads).map((grad) => tf.sum(tf.square(grad))))));
}

/**
 * Gradients scaled down, if their {@link globalNorm} is over `maxNorm`, to have that norm, as PyTorch's
 * `clip_grad_norm_` does (its 1e-6 included).
 *
 * @param norm the gradients' global norm
 * @returns new tensors, owned by the caller
 */
export function clipByGlobalNorm(grads: Params, norm: tf.Tensor, maxNorm: number): Params {
  return tf.tidy(() => {
    const factor = tf.minimum(tf.div(maxNorm, tf.add(norm, 1e-6)), 1);
    return Object.fromEntries(Object.entries(grads).map(([name, grad]) => [name, tf.mul(grad, factor)]));
  });
}
