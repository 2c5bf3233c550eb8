import { describe, expect, it } from 'vitest';
import { gelu, quickGelu } from '../../../../src/models/nn/activation.js';
import { embed, prependToken, takeTokens } from '../../../../src/models/nn/embedding.js';
import { layerNorm } from '../../../../src/models/nn/layer-norm.js';
import { linear } from '../../../../src/models/nn/linear.js';
import { l2Normalize } from '../../../../src/models/nn/normalize.js';
import { isDecayed, takeParam } from '../../../../src/models/nn/params.js';
import { tf } from '../../../support/engine.js';
import { checkOperation, expectClose, numbers } from '../../../support/gradients.js';

const input = (shape: number[], key: string, spread = 1) => ({
  shape,
  values: numbers(
    shape.reduce((a, b) => a * b, 1),
    key,
    spread,
  ),
});

/** erf by its Maclaurin series, exact to float64 for |x| < 4. */
function erf(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; n < 120; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

describe('layers against float64 arithmetic and its central differences', () => {
  it('linear', () => {
    checkOperation({
      inputs: [input([5, 3], 'x'), input([4, 3], 'w'), input([4], 'b')],
      op: (x, w, b) => linear(x!, w!, b!),
      reference: (x, w, b) =>
        Float64Array.from({ length: 20 }, (_, at) => {
          const [row, out] = [Math.floor(at / 4), at % 4];
          return [0, 1, 2].reduce((sum, i) => sum + x![row * 3 + i]! * w![out * 3 + i]!, b![out]!);
        }),
    });
  });

  it('layerNorm, also of a constant row', () => {
    const x = input([4, 6], 'x', 2);
    x.values.fill(3, 6, 12);
    checkOperation({
      inputs: [x, input([6], 'weight'), input([6], 'bias')],
      op: (x, weight, bias) => layerNorm(x!, weight!, bias!),
      reference: (x, weight, bias) =>
        x!.map((value, at) => {
          const row = x!.subarray(at - (at % 6), at - (at % 6) + 6);
          const mean = row.reduce((a, b) => a + b) / 6;
          const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / 6;
          return ((value - mean) / Math.sqrt(variance + 1e-5)) * weight![at % 6]! + bias![at % 6]!;
        }),
      // The constant row divides by √1e-5, which magnifies rounding 316 times.
      tolerance: 1e-4,
    });
  });

  it('gelu', () => {
    checkOperation({
      inputs: [input([7, 5], 'x', 1.3)],
      op: (x) => gelu(x!),
      reference: (x) => x!.map((v) => (v * (1 + erf(v / Math.SQRT2))) / 2),
    });
  });

  it('quickGelu', () => {
    checkOperation({
      inputs: [input([7, 5], 'x', 2)],
      op: (x) => quickGelu(x!),
      reference: (x) => x!.map((v) => v / (1 + Math.exp(-1.702 * v))),
    });
  });

  it('l2Normalize', () => {
    checkOperation({
      inputs: [input([4, 5], 'x')],
      op: (x) => l2Normalize(x!),
      reference: (x) => x!.map((v, at) => v / Math.hypot(...x!.subarray(at - (at % 5), at - (at % 5) + 5))),
    });
  });

  it('embed adds the gradients of a repeated token and leaves the rest at 0', () => {
    const ids = tf.tensor1d([3, 0, 3, 3], 'int32');
    checkOperation({
      inputs: [input([5, 2], 'table')],
      op: (table) => embed(table!, ids),
      reference: (table) => [3, 0, 3, 3].flatMap((id) => [table![id * 2]!, table![id * 2 + 1]!]),
    });
    const table = tf.zeros([5, 2]);
    const gradient = tf.grad((t: tf.Tensor) => tf.sum(embed(t, ids)))(table);
    expect([...gradient.dataSync()]).toEqual([1, 1, 0, 0, 0, 0, 3, 3, 0, 0]);
    tf.dispose([ids, table, gradient]);
  });

  it('takeTokens', () => {
    const positions = tf.tensor1d([2, 0, 3], 'int32');
    checkOperation({
      inputs: [input([12, 2], 'x')],
      op: (x) => takeTokens(x!, positions),
      reference: (x) => [2, 4, 11].flatMap((row) => [x![row * 2]!, x![row * 2 + 1]!]),
    });
    positions.dispose();
  });

  it('prependToken', () => {
    checkOperation({
      inputs: [input([2], 'token'), input([3, 2, 2], 'x')],
      op: (token, x) => prependToken(token!, x!),
      reference: (token, x) => [0, 4, 8].flatMap((at) => [...token!, ...x!.subarray(at, at + 4)]),
    });
  });
});

describe('edges', () => {
  it('gelu is exact far out and has no NaN gradient', () => {
    const x = tf.tensor1d([-30, -6, 0, 6, 30]);
    const [value, gradient] = [gelu(x), tf.grad((t: tf.Tensor) => gelu(t))(x)];
    expectClose(value.dataSync(), [0, 0, 0, 6, 30], 1e-6, 'gelu');
    expectClose(gradient.dataSync(), [0, 0, 0.5, 1, 1], 1e-6, 'slope');
    tf.dispose([x, value, gradient]);
  });

  it('l2Normalize leaves a zero row at 0 with a finite gradient', () => {
    const x = tf.zeros([1, 3]);
    const dy = tf.ones([1, 3]);
    const [value, gradient] = [l2Normalize(x), tf.grad((t: tf.Tensor) => l2Normalize(t))(x, dy)];
    expect([...value.dataSync()]).toEqual([0, 0, 0]);
    expectClose(gradient.dataSync(), [1e12, 1e12, 1e12], 1e-6, 'slope');
    tf.dispose([x, dy, value, gradient]);
  });

  it('names a missing parameter', () => {
    expect(() => takeParam({}, 'ln_final.weight')).toThrow(/"ln_final.weight", which is not among the 0/);
  });

  it('decays matrices only, and none whose name marks a norm, a bias or the scale', () => {
    expect(isDecayed('text_projection', [4, 4])).toBe(true);
    expect(isDecayed('positional_embedding', [4, 4])).toBe(true);
    expect(isDecayed('visual.class_embedding', [4])).toBe(false);
    expect(isDecayed('logit_scale', [])).toBe(false);
    expect(isDecayed('attn.in_proj_bias', [2, 2])).toBe(false);
    expect(isDecayed('ln_1.weight', [2, 2])).toBe(false);
  });
});
