import { describe, expect, it } from 'vitest';
import { compile, remat } from '../../../src/engine/index.js';
import { tf } from '../../support/engine.js';

/** Gradients of a chain of three layers, each wrapped by `wrap`. */
function gradients(wrap: typeof remat): (x: tf.Tensor, w: tf.Tensor) => tf.Tensor[] {
  const layer = wrap((x, w) => tf.tanh(tf.matMul(x as tf.Tensor, w as tf.Tensor)));
  return (x, w) => {
    const loss = (a: tf.Tensor, b: tf.Tensor): tf.Tensor =>
      layer(layer(layer(a, b), b), b)
        .square()
        .sum();
    return tf.grads(loss)([x, w]);
  };
}

describe('remat', () => {
  const [x, w] = [tf.randomNormal([4, 8], 0, 1, 'float32', 1), tf.randomNormal([8, 8], 0, 0.3, 'float32', 2)];
  const plain = gradients((fn) => fn)(x, w).map((g) => g.dataSync());

  it.each(['eagerly', 'compiled'])('leaves gradients as they are, %s', (mode) => {
    const before = tf.memory().numTensors;
    const fn = gradients(remat);
    const compiled = mode === 'compiled' ? compile(fn) : undefined;
    const found = (compiled ?? fn)(x, w);
    for (const [i, g] of found.entries()) {
      g.dataSync().forEach((value, at) => {
        expect(value).toBeCloseTo(plain[i]?.[at] as number, 5);
      });
    }
    tf.dispose(found);
    compiled?.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});
