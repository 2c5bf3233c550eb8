/** What the table of operations is written with: its rows, and inputs with their values. */
import { uint8Tensor } from '../../src/engine/index.js';
import { KeyedRandom } from '../../src/rng.js';
import { tf } from './engine.js';
import type { NdArray } from './engine-reference.js';

/** An input with its values; `uint8` is `int32` to tfjs. */
export interface Operand {
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int32' | 'bool' | 'uint8';
  readonly values: Float32Array | Int32Array | Uint8Array;
}

/** One use of an operation. */
export interface OpCase {
  readonly inputs: readonly Operand[];
  readonly run: (...inputs: tf.Tensor[]) => tf.Tensor | tf.Tensor[];
  readonly expected: (...inputs: NdArray[]) => NdArray | NdArray[];
  /** A gap is measured against the expected value or this, whichever is larger. Default 1. */
  readonly floor?: number;
  /** False where the gradient is not checked; the row or a comment says why. Default true. */
  readonly gradient?: boolean;
}

/** An operation, by TensorFlow's name. */
export interface OpRow {
  readonly op: string;
  readonly cases: readonly OpCase[];
  /** Largest relative gap of a float. Default 2e-6, some rounding errors of float32. */
  readonly tolerance?: number;
  /** Why there is no gradient to check. */
  readonly noGradient?: string;
}

export const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

let nextKey = 0;

function random(shape: readonly number[], draw: (random: KeyedRandom) => number): Operand {
  const source = new KeyedRandom('engine-ops', nextKey++);
  return { shape, dtype: 'float32', values: Float32Array.from({ length: size(shape) }, () => draw(source)) };
}

export const normal = (shape: readonly number[], spread = 1): Operand =>
  random(shape, (r) => spread * r.normal());
/** In (0.3, 2.3), away from 0. */
export const positive = (shape: readonly number[]): Operand => random(shape, (r) => 0.3 + 2 * r.uniform());
export const floats = (values: readonly number[], shape: readonly number[] = [values.length]): Operand => ({
  shape,
  dtype: 'float32',
  values: Float32Array.from(values),
});
export const ints = (values: readonly number[], shape: readonly number[] = [values.length]): Operand => ({
  shape,
  dtype: 'int32',
  values: Int32Array.from(values),
});
export const bools = (values: readonly number[], shape: readonly number[] = [values.length]): Operand => ({
  shape,
  dtype: 'bool',
  values: Uint8Array.from(values),
});
export const bytes = (shape: readonly number[]): Operand => ({
  shape,
  dtype: 'uint8',
  values: Uint8Array.from({ length: size(shape) }, (_, i) => (i * 37 + 11) % 256),
});
/** Integers from -3 to 3, every one of them. */
export const smallInts = (shape: readonly number[]): Operand =>
  ints(
    Array.from({ length: size(shape) }, (_, i) => ((i * 5) % 7) - 3),
    shape,
  );

/** An operand as a tensor, owned by the caller. */
export function toTensor({ shape, dtype, values }: Operand): tf.Tensor {
  return dtype === 'uint8'
    ? uint8Tensor(values as Uint8Array, shape)
    : tf.tensor(values, [...shape], dtype as 'float32');
}

/** An operand as the reference takes it. */
export function toNdArray({ shape, values }: Operand): NdArray {
  return { shape, data: Float64Array.from(values) };
}
