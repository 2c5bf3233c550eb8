// Shapes: V vocabulary, W width, M rows, B batch, L tokens.
import * as tf from '../../engine/tf.js';
import { customGradient } from './custom-gradient.js';

/**
 * Rows of a table. The gradient is a scatter-add of dy's rows, so a token that occurs twice gets the
 * sum and one that does not occur gets 0.
 *
 * @param table_VW the table
 * @param ids_M int32 row numbers in [0, V)
 */
export function embed(table_VW: tf.Tensor, ids_M: tf.Tensor): tf.Tensor {
  const numRows = table_VW.shape[0] as number;
  return customGradient([table_VW], () => ({
    value: tf.gather(table_VW, ids_M),
    saved: [ids_M],
    gradient: (dy_MW, ids) => [tf.unsortedSegmentSum(dy_MW, ids as tf.Tensor1D, numRows)],
  }));
}

/**
 * One token of each sequence. The gradient is dy times a one-hot row, which fuses with its
 * neighbours where a scatter would not.
 *
 * @param x_ML flattened sequences, [B * L, W]
 * @param position_B int32, the token to take of each, in [0, L)
 * @returns [B, W]
 */
export function takeTokens(x_MW: tf.Tensor, position_B: tf.Tensor): tf.Tensor {
  const batch = position_B.shape[0] as number;
  const [rows, width] = x_MW.shape as [number, number];
  const length = rows / batch;
  return customGradient([x_MW], () => {
    const starts_B = tf.tensor1d(
      Int32Array.from({ length: batch }, (_, b) => b * length),
      'int32',
    );
    return {
      value: tf.gather(x_MW, tf.add(starts_B, position_B)),
      saved: [position_B],
      gradient: (dy_BW, position) => {
        const hot_BL1 = tf.expandDims(tf.oneHot(position, length, 1, 0, 'float32'), 2);
        return [tf.reshape(tf.mul(hot_BL1, tf.expandDims(dy_BW, 1)), [rows, width])];
      },
    };
  });
}

/**
 * One learned token before each sequence's own.
 *
 * @param token_W the token
 * @param x_BGW sequences of G tokens
 * @returns [B, G + 1, W]
 */
export function prependToken(token_W: tf.Tensor, x_BGW: tf.Tensor): tf.Tensor {
  const [batch, length, width] = x_BGW.shape as [number, number, number];
  return customGradient([token_W, x_BGW], () => ({
    value: tf.concat([tf.broadcastTo(token_W, [batch, 1, width]), x_BGW], 1),
    saved: [],
    gradient: (dy_BLW) => [
      tf.sum(tf.slice(dy_BLW, [0, 0, 0], [batch, 1, width]), [0, 1]),
      tf.slice(dy_BLW, [0, 1, 0], [batch, length, width]),
    ],
  }));
}
