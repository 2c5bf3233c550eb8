import { expect } from 'vitest';
import { KeyedRandom } from '../../src/rng.js';
import { tf } from './engine.js';

/** Numbers to test with, from a key; `spread` is their standard deviation. */
export function numbers(size: number, key: string, spread = 1): Float32Array {
  const random = new KeyedRandom('test', key);
  return Float32Array.from({ length: size }, () => spread * random.normal());
}

/** Expects |actual - expected| <= tolerance * (1 + the largest |expected|), naming the worst element. */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  expect(actual.length, `${what}: number of elements`).toBe(expected.length);
  let largest = 0;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i]!));
  for (let i = 0; i < expected.length; i++) {
    const gap = Math.abs(actual[i]! - expected[i]!);
    if (!(gap <= tolerance * (1 + largest))) {
      expect.fail(`${what}[${i}] is ${actual[i]}, expected ${expected[i]} (gap ${gap})`);
    }
  }
}

/** An operation under test, with the same in plain float64 arithmetic. */
export interface GradientCase {
  /** Shape and values of each input to differentiate for. */
  readonly inputs: readonly { readonly shape: number[]; readonly values: Float32Array }[];
  readonly op: (...inputs: tf.Tensor[]) => tf.Tensor;
  readonly reference: (...inputs: Float64Array[]) => ArrayLike<number>;
  readonly tolerance?: number;
}

/**
 * Checks an operation's values against the float64 reference, its gradients (of a fixed random weighting
 * of the output) against central differences of that reference, and that it leaves no tensor behind.
 */
export function checkOperation({ inputs, op, reference, tolerance = 1e-5 }: GradientCase): void {
  const before = tf.memory().numTensors;
  const exact = inputs.map(({ values }) => Float64Array.from(values));
  const expected = reference(...exact);
  const weights = numbers(expected.length, 'output weights');
  const weighted = (): number => {
    const out = reference(...exact);
    let sum = 0;
    for (let i = 0; i < out.length; i++) sum += out[i]! * weights[i]!;
    return sum;
  };
  const tensors = inputs.map(({ shape, values }) => tf.tensor(values, shape));
  const value = op(...tensors);
  expectClose(value.dataSync(), expected, tolerance, 'value');
  const dy = tf.tensor(weights, value.shape);
  const held = tf.memory().numTensors;
  const gradients = tf.grads((...args: tf.Tensor[]) => op(...args))(tensors, dy);
  expect(tf.memory().numTensors - held, 'tensors left beside the gradients').toBe(inputs.length);
  gradients.forEach((gradient, at) => {
    expect(gradient.shape, `shape of gradient ${at}`).toEqual(inputs[at]!.shape);
    const input = exact[at]!;
    const step = 1e-5;
    const slopes = input.map((x, i) => {
      input[i] = x + step;
      const above = weighted();
      input[i] = x - step;
      const below = weighted();
      input[i] = x;
      return (above - below) / (2 * step);
    });
    expectClose(gradient.dataSync(), slopes, tolerance, `gradient ${at}`);
  });
  tf.dispose([tensors, value, dy, gradients]);
  expect(tf.memory().numTensors, 'tensors left').toBe(before);
}
