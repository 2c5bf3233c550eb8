/**
 * Random numbers as pure functions of a key, inside and outside of compiled functions. The same key and shape
 * give the same numbers; derive a new key for every use.
 *
 * The bits are those of Philox 4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011), which
 * TensorFlow's kernels and XLA agree on when they are given key and counter. They do not agree on how to
 * make these of a seed, nor floats of the bits, so both is done here.
 */
import * as tf from '@tensorflow/tfjs';
import type { TFEOpAttr } from '@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js';
import { ShapeError } from '../errors.js';
import { DType } from './dtypes.js';
import { typeAttr } from './ir.js';
import { executeOp, session } from './session.js';

/** Two int32 numbers. */
export type RandomKey = tf.Tensor;

/** A key from two numbers; only their low 32 bits count. */
export function randomKey(seed: number, stream = 0): RandomKey {
  return tf.tensor1d(Int32Array.of(seed | 0, stream | 0), 'int32');
}

function checkKey(key: RandomKey): void {
  if (key.dtype !== 'int32' || key.shape.join() !== '2') {
    throw new ShapeError(`a random key is int32[2], found ${key.dtype}[${key.shape.join(', ')}]`);
  }
}

/** The generator's number in `tensorflow::Algorithm`. */
const PHILOX = 1;

/** Random int32 numbers by `key`, from `counter` on: four int32 words, the lowest first. */
function randomBits(key: RandomKey, counter: tf.Tensor, shape: readonly number[]): tf.Tensor {
  return tf.tidy(() => {
    const { current } = session();
    const { binding } = current;
    // tfjs has no uint64, so these are handles without tensors.
    const words: number[] = [];
    const run = (op: string, attrs: TFEOpAttr[], inputs: number[]) =>
      binding.executeOp(op, attrs, inputs, 1)[0] as { id: number; shape: number[]; dtype: number };
    const toUint64 = typeAttr('type', DType.uint64);
    try {
      for (const pairs of [tf.reshape(key, [1, 2]), tf.reshape(counter, [2, 2])]) {
        words.push(run('Bitcast', [toUint64], current.getInputTensorIds([pairs])).id);
      }
      const extent = tf.tensor1d(Int32Array.from(shape), 'int32');
      const [of, algorithm] = current.getInputTensorIds([extent, tf.scalar(PHILOX, 'int32')]);
      const inputs = [of as number, ...words, algorithm as number];
      const bits = run('StatelessRandomUniformFullIntV2', [typeAttr('dtype', DType.int32)], inputs);
      return current.createOutputTensor(bits);
    } finally {
      for (const id of words) binding.deleteTensor(id);
    }
  });
}

/** What draws count from. The third word tells them from {@link foldIn}'s. */
const FIRST = [0, 0, 0, 0];

/** Integers in [0, 2 ** count) as floats. */
function draw(key: RandomKey, shape: readonly number[], count: number): tf.Tensor {
  checkKey(key);
  const bits = randomBits(key, tf.tensor1d(FIRST, 'int32'), shape);
  return tf.cast(executeOp('BitwiseAnd', [], [bits, tf.scalar(2 ** count - 1, 'int32')]), 'float32');
}

/** Uniform on [0, 1), in steps of 2^-24. */
export function randomUniform(key: RandomKey, shape: readonly number[]): tf.Tensor {
  return tf.tidy(() => tf.mul(draw(key, shape, 24), 2 ** -24));
}

/** Standard normal: the quantile function at 2^23 equally spaced probabilities, so within 5.4 of 0. */
export function randomNormal(key: RandomKey, shape: readonly number[]): tf.Tensor {
  // (2 n + 1) / 2^24 is exact in float32 and never 0 or 1.
  return tf.tidy(() =>
    executeOp('Ndtri', [], [tf.mul(tf.add(tf.mul(draw(key, shape, 23), 2), 1), 2 ** -24)]),
  );
}

/**
 * A new key from a key and a number or int32 scalar tensor (a step or layer index, say). Different numbers
 * give unrelated keys.
 */
export function foldIn(key: RandomKey, data: number | tf.Tensor): RandomKey {
  checkKey(key);
  if (typeof data !== 'number' && (data.dtype !== 'int32' || data.rank !== 0)) {
    throw new ShapeError(
      `foldIn takes a number or a tensor int32[], found ${data.dtype}[${data.shape.join(', ')}]`,
    );
  }
  return tf.tidy(() => {
    const low = typeof data === 'number' ? tf.scalar(data | 0, 'int32') : data;
    const counter = tf.concat([tf.reshape(low, [1]), tf.tensor1d([0, 1, 0], 'int32')]);
    return randomBits(key, counter, [2]);
  });
}
