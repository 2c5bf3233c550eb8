import { backward } from '../../engine/gradient.js';
import * as tf from '../../engine/tf.js';

/** A value with what its gradient needs. */
export interface Differentiable<S extends tf.Tensor[]> {
  readonly value: tf.Tensor;
  /** Tensors kept until the backward pass. The gradient must use these, never captured ones. */
  readonly saved: readonly [...S];
  /** From the gradient of the value to the gradients of the inputs, in their order. */
  readonly gradient: (dy: tf.Tensor, ...saved: S) => tf.Tensor[];
}

/**
 * Gives a forward computation a hand-written gradient, where the one that follows from its
 * operations would compute or keep more than it must. The forward's own intermediates are freed when
 * it returns; only `saved` survives. First order only.
 *
 * @param inputs the tensors to differentiate for; other (integer) tensors may be captured by `forward`
 */
export function customGradient<S extends tf.Tensor[]>(
  inputs: readonly tf.Tensor[],
  forward: () => Differentiable<S>,
): tf.Tensor {
  const op = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const save = args[args.length - 1] as tf.GradSaveFunc;
    const { value, saved, gradient } = forward();
    save([...saved]);
    return {
      value,
      gradFunc: (dy: tf.Tensor, kept: tf.Tensor[]) => backward(() => gradient(dy, ...(kept as S))),
    };
  });
  return op(...inputs);
}
