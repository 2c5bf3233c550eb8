/** Recomputation: less memory for more work. */
import * as tf from '@tensorflow/tfjs';
import type { Node } from './ir.js';
import { executeOp, hasSession, session } from './session.js';

/**
 * Makes `fn` keep only its inputs for the backward pass, which runs it again (Chen et al., "Training Deep
 * Nets with Sublinear Memory Cost", 2016; `jax.checkpoint`). Values and gradients are the same.
 *
 * @param fn from tensors to one tensor; the first is what comes from the layer before. Whatever is differentiated for must be an argument, and so must any
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
            const again = saved.map((x) => barrier(x, [dy]));
            const [first, ...others] = innerGradients(fn, again, dy) as [tf.Tensor, ...tf.Tensor[]];
            // What lies before goes on when this is done with. TensorFlow runs last what became ready first: the
            // gradients of weights would wait to the end, and with them everything that was recomputed.
            return [barrier(first, others), ...others];
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

/** x, handed on only once `after` are there. */
function barrier(x: tf.Tensor, after: readonly tf.Tensor[]): tf.Tensor {
  const recording = session().recording;
  if (!recording) return tf.clone(x);
  const result = executeOp('Identity', [], [x]);
  const nodeOf = (t: tf.Tensor): Node => recording.value(session().recordedId(t)).node;
  nodeOf(result).controls.push(...after.map(nodeOf));
  return result;
}
