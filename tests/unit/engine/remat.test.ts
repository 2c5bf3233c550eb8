import { describe, expect, it } from 'vitest';
import { compile, remat } from '../../../src/engine/index.js';
import type { Node, Program } from '../../../src/engine/ir.js';
import { simplify } from '../../../src/engine/simplify.js';
import { tf } from '../../support/engine.js';
import { opNames, record } from '../../support/engine-programs.js';

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

  it.each(['eagerly', 'compiled'])('takes inputs that have no gradient and are gone by then, %s', (mode) => {
    const before = tf.memory().numTensors;
    const layer = remat((v, m, i) =>
      tf.mul(tf.square(tf.gather(v as tf.Tensor, i as tf.Tensor)), m as tf.Tensor),
    );
    const fn = (v: tf.Tensor): tf.Tensor =>
      tf.grad((u: tf.Tensor) => {
        // Freed when the forward pass ends.
        const inner = tf.tidy(() => layer(u, tf.tensor1d([2, 3]), tf.tensor1d([1, 0], 'int32')));
        return inner.sum();
      })(v);
    const compiled = mode === 'compiled' ? compile(fn) : undefined;
    const input = tf.tensor1d([5, 7]);
    const found = (compiled ?? fn)(input);
    // d/dv of 2 v1² + 3 v0².
    expect([...found.dataSync()]).toEqual([30, 28]);
    tf.dispose([found, input]);
    compiled?.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  describe('in a program', () => {
    const layer = remat((h, m) => tf.tanh(tf.matMul(h as tf.Tensor, m as tf.Tensor)));
    /** Gradients of two layers for those of [input, first weights, second weights]. */
    const program = (...wanted: number[]): Program =>
      simplify(
        record(
          (...all) => {
            const lossOf = (...own: tf.Tensor[]): tf.Tensor => {
              const [h, first, second] = all.map((t, i) => own[wanted.indexOf(i)] ?? t) as [
                tf.Tensor,
                tf.Tensor,
                tf.Tensor,
              ];
              return layer(layer(h, first), second).sum();
            };
            return tf.grads(lossOf)(wanted.map((i) => all[i] as tf.Tensor));
          },
          [x, w, tf.mul(w, 2)],
        ),
      );

    it("a layer's gradients are there before the layer below is computed again", () => {
      const { outputs } = program(1, 2);
      const [lower, upper] = outputs.map(({ node }) => node) as [Node, Node];
      const before = new Set<Node>();
      const queue = [lower];
      for (let node = queue.pop(); node; node = queue.pop()) {
        if (before.has(node)) continue;
        before.add(node);
        queue.push(...node.inputs.map((v) => v.node), ...node.controls);
      }
      expect(before.has(upper)).toBe(true);
    });

    it('a gradient that nobody asks for is not computed', () => {
      const products = (p: Program): number => opNames(p).filter((name) => name === 'MatMul').length;
      // The first layer forward, both again, the gradients of both's inputs; then those of the weights, too.
      expect(products(program(0))).toBe(5);
      expect(products(program(0, 1, 2))).toBe(7);
    });
  });
});
