import { expect } from 'vitest';
import { compile } from '../../src/engine/index.js';
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
 * Checks an operation, eager and compiled: its values against the float64 reference, its gradients (of a
 * fixed random weighting of the output) against central differences of that reference, and that it leaves
 * no tensor behind.
 */
export function checkOperation({ inputs, op, reference, tolerance = 1e-5 }: GradientCase): void {
  const before = tf.memory().numTensors;
  const exact = inputs.map(({ values }) => Float64Array.from(values));
  const expected = reference(...exact);
  const weights = numbers(expected.length, 'output weights');
  const slopes = exact.map((input) => centralDifferences(input, weights, () => reference(...exact)));
  const tensors = inputs.map(({ shape, values }) => tf.tensor(values, shape));
  const probe = op(...tensors);
  const dy = tf.tensor(weights, probe.shape);
  const held = tf.memory().numTensors;
  const eager = (args: tf.Tensor[], upstream: tf.Tensor): tf.Tensor[] => {
    const scalarOp = (...xs: tf.Tensor[]): tf.Scalar => op(...xs) as tf.Scalar;
    const { value, grads } = tf.valueAndGrads(scalarOp)(args, upstream as tf.Scalar);
    return [value, ...grads];
  };
  const compiled = compile(eager);
  for (const [mode, run] of [
    ['eager', eager],
    ['compiled', compiled],
  ] as const) {
    const [value, ...gradients] = run(tensors, dy) as [tf.Tensor, ...tf.Tensor[]];
    expectClose(value.dataSync(), expected, tolerance, `${mode} value`);
    gradients.forEach((gradient, at) => {
      expect(gradient.shape, `shape of ${mode} gradient ${at}`).toEqual(inputs[at]!.shape);
      expectClose(gradient.dataSync(), slopes[at]!, tolerance, `${mode} gradient ${at}`);
    });
    tf.dispose([value, gradients]);
    if (mode === 'compiled') compiled.dispose();
    expect(tf.memory().numTensors, `tensors left by the ${mode} run`).toBe(held);
  }
  tf.dispose([tensors, probe, dy]);
  expect(tf.memory().numTensors, 'tensors left').toBe(before);
}

/** Slopes of the weighted sum of an output in each element of an input, by central differences. */
function centralDifferences(
  input: Float64Array,
  weights: Float32Array,
  output: () => ArrayLike<number>,
): Float64Array {
  const step = 1e-5;
  const weighted = (): number => {
    const out = output();
    let sum = 0;
    for (let i = 0; i < out.length; i++) sum += out[i]! * weights[i]!;
    return sum;
  };
  return input.map((x, i) => {
    input[i] = x + step;
    const above = weighted();
    input[i] = x - step;
    const below = weighted();
    input[i] = x;
    return (above - below) / (2 * step);
  });
}
