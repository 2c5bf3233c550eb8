/** Recomputation: less memory for more work. */
import * as tf from '@tensorflow/tfjs';
import { executeOp, hasSession, session } from './session.js';

/**
 * Makes `fn` keep only its inputs for the backward pass, which runs it again (Chen et al., "Training Deep
 * Nets with Sublinear Memory Cost", 2016; `jax.checkpoint`). Values and gradients are the same.
 *
 * @param fn from tensors to one tensor. Whatever is differentiated for must be an argument, and so must any
 *   other tensor that may be disposed of before the backward pass; such a one gets zeros for a gradient.
 */
export function remat(fn: (...inputs: tf.Tensor[]) => tf.Tensor): (...inputs: tf.Tensor[]) => tf.Tensor {
  return (...inputs) => {
    const op = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
      const save = args[args.length - 1] as tf.GradSaveFunc;
      const tensors = args.slice(0, -1) as tf.Tensor[];
      const value = tf.tidy(() => fn(...tensors));
      save(tensors);
      return {
        value,
        gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) =>
          inNewScope(() => {
            // The inputs pass a barrier that waits for the incoming gradient: nothing is recomputed before it
            // is needed, nor taken from the forward pass.
            const again = saved.map((x) => barrier(x, dy));
            return innerGradients(fn, again, dy);
          }),
      };
    });
    return op(...inputs);
  };
}

/**
 * `tf.grads` within a gradient: tfjs would take it for an outermost one and drop the tape of the one around it.
 * Inputs without a gradient, such as masks and indices, are no error.
 */
function innerGradients(
  fn: (...inputs: tf.Tensor[]) => tf.Tensor,
  inputs: tf.Tensor[],
  dy: tf.Tensor,
): tf.Tensor[] {
  const { state } = tf.engine();
  state.gradientDepth++;
  try {
    return tf.tidy(() => {
      const wanted = inputs.filter(({ dtype }) => dtype === 'float32');
      const { grads } = tf.engine().gradients(() => fn(...inputs), wanted, dy, true);
      const known = new Map<tf.Tensor, tf.Tensor | undefined>(wanted.map((x, i) => [x, grads[i]]));
      return inputs.map((x) => known.get(x) ?? tf.zeros(x.shape));
    });
  } finally {
    state.gradientDepth--;
  }
}

let nextScope = 2;

function inNewScope<T>(fn: () => T): T {
  const recording = hasSession() ? session().recording : undefined;
  if (!recording) return fn();
  const before = recording.scope;
  recording.scope = nextScope++;
  try {
    return fn();
  } finally {
    recording.scope = before;
  }
}

/** x, computed only once `after` is there. */
function barrier(x: tf.Tensor, after: tf.Tensor): tf.Tensor {
  const recording = session().recording;
  if (!recording) return tf.clone(x);
  const result = executeOp('Identity', [], [x]);
  const [node, first] = [result, after].map((t) => recording.value(session().recordedId(t)).node);
  node?.controls.push(first as never);
  return result;
}
