/** Gradients of the largest and the smallest element that hold up under a compiler. */
import * as tf from '@tensorflow/tfjs';

/**
 * Gives tf.max and tf.min a gradient that finds the element by its index, the first of equal ones. tfjs's own
 * looks for elements equal to the result; a compiler that computes them anew for the gradient may round them
 * otherwise (a product and a sum in one instruction), and then it finds none.
 */
export function registerExtremeGradients(): void {
  for (const [kernelName, axisAttr, indexOf] of [
    ['Max', 'reductionIndices', tf.argMax],
    ['Min', 'axis', tf.argMin],
  ] as const) {
    tf.registerGradient({
      kernelName,
      inputsToSave: ['x'],
      gradFunc: (dy, [x], attrs) => ({
        x: () => gradient(dy as tf.Tensor, x as tf.Tensor, attrs[axisAttr] as number | number[], indexOf),
      }),
    });
  }
}

/** dy at the element that was chosen along `reduced`, 0 elsewhere; the shape of x. */
function gradient(
  dy: tf.Tensor,
  x: tf.Tensor,
  reduced: number | number[],
  indexOf: (x: tf.Tensor, axis: number) => tf.Tensor,
): tf.Tensor {
  const axes = tf.util.parseAxisParam(reduced, x.shape);
  const kept = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const extents = (of: number[]): number[] => of.map((axis) => x.shape[axis] as number);
  // The reduced axes as one, the last.
  const order = [...kept, ...axes];
  const rows = tf.reshape(tf.transpose(x, order), [...extents(kept), tf.util.sizeFromShape(extents(axes))]);
  const places = tf.range(0, rows.shape[rows.rank - 1] as number, 1, 'int32');
  const chosen = tf.equal(tf.expandDims(indexOf(rows, -1), -1), places);
  const scattered = tf.mul(tf.reshape(dy, [...extents(kept), 1]), tf.cast(chosen, 'float32'));
  const back = order.map((_, axis) => order.indexOf(axis));
  return tf.transpose(tf.reshape(scattered, extents(order)), back);
}
