/**
 * Random numbers as pure functions of a key, inside and outside of compiled functions (TensorFlow's stateless
 * Philox generator). The same key and shape give the same numbers; derive a new key for every use.
 */
import * as tf from '@tensorflow/tfjs';
import type { TFEOpAttr } from '@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js';
import { ShapeError } from '../errors.js';
import { AttrKind } from './binding.js';
import { DType } from './dtypes.js';
import { executeOp } from './session.js';

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

function draw(op: string, key: RandomKey, shape: readonly number[], attrs: readonly TFEOpAttr[]): tf.Tensor {
  checkKey(key);
  const extent = tf.tensor1d(Int32Array.from(shape), 'int32');
  const result = executeOp(op, attrs, [extent, key]);
  extent.dispose();
  return result;
}

const float: TFEOpAttr = { name: 'dtype', type: AttrKind.type, value: DType.float32 };

/** Uniform on [0, 1). */
export function randomUniform(key: RandomKey, shape: readonly number[]): tf.Tensor {
  return draw('StatelessRandomUniform', key, shape, [float]);
}

/** Standard normal. */
export function randomNormal(key: RandomKey, shape: readonly number[]): tf.Tensor {
  return draw('StatelessRandomNormal', key, shape, [float]);
}

/**
 * A new key from a key and a number or int32 scalar tensor (a step or layer index, say). Different numbers
 * give unrelated keys.
 */
export function foldIn(key: RandomKey, data: number | tf.Tensor): RandomKey {
  checkKey(key);
  return tf.tidy(() => {
    const scalar = typeof data === 'number' ? tf.scalar(data, 'int32') : data;
    const mixed = tf.add(
      key,
      tf.mul(scalar, tf.tensor1d(Int32Array.of(0x9e3779b1 | 0, 0x85ebca77 | 0), 'int32')),
    );
    const attr: TFEOpAttr = { name: 'dtype', type: AttrKind.type, value: DType.int32 };
    return draw('StatelessRandomUniformFullInt', mixed as RandomKey, [2], [attr]);
  });
}
