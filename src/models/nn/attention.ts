// Shapes: B batch, N heads, Q query tokens, S key tokens, L tokens (Q = S = L), K head width,
// W = N * K width; M = B * L rows.
import * as tf from '../../engine/tf.js';
import { customGradient } from './custom-gradient.js';

/** Added to the score of a key that must not be seen; exp() of it is exactly 0, without an infinity. */
const HIDDEN = -1e30;

/** The extents that a flattened [B * L, …] tensor has lost. */
export interface Extents {
  readonly batch: number;
  readonly length: number;
  readonly numHeads: number;
}

/** [L, L], 0 where the key is not after the query, else -1e30. */
export function causalMask(length: number): tf.Tensor {
  const mask = new Float32Array(length * length);
  for (let query = 0; query < length; query++) {
    mask.fill(HIDDEN, query * length + query + 1, (query + 1) * length);
  }
  return tf.tensor2d(mask, [length, length]);
}

/** [B, 1, 1, S], the causal mask's row of one query per sequence. @param position_B int32 */
export function causalMaskAt(position_B: tf.Tensor, length: number): tf.Tensor {
  const keys_1S = tf.tensor2d(
    Int32Array.from({ length }, (_, s) => s),
    [1, length],
    'int32',
  );
  const later_BS = tf.cast(tf.greater(keys_1S, tf.expandDims(position_B, 1)), 'float32');
  return tf.reshape(tf.mul(later_BS, HIDDEN), [-1, 1, 1, length]);
}

/** [B * L, P * W] to P tensors [B, N, L, K]: one transpose, then slices along the first axis. */
function splitHeads(x: tf.Tensor, parts: number, { batch, length, numHeads }: Extents): tf.Tensor[] {
  const headWidth = (x.shape[1] as number) / parts / numHeads;
  const split = tf.transpose(tf.reshape(x, [batch, length, parts, numHeads, headWidth]), [2, 0, 3, 1, 4]);
  return Array.from({ length: parts }, (_, part) =>
    tf.reshape(tf.slice(split, [part, 0, 0, 0, 0], [1, -1, -1, -1, -1]), [
      batch,
      numHeads,
      length,
      headWidth,
    ]),
  );
}

/** The inverse of {@link splitHeads}. */
function mergeHeads(parts: tf.Tensor[], { batch, length }: Extents): tf.Tensor {
  return tf.reshape(tf.transpose(tf.stack(parts), [1, 3, 0, 2, 4]), [batch * length, -1]);
}

interface Attended {
  readonly out_BNQK: tf.Tensor;
  readonly weights_BNQS: tf.Tensor;
}

/** softmax(Q Kᵀ + mask) V, for queries that are already scaled. */
function attend(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, mask: tf.Tensor | undefined): Attended {
  const scores_BNQS = tf.matMul(q, k, false, true);
  const weights_BNQS = tf.softmax(mask === undefined ? scores_BNQS : tf.add(scores_BNQS, mask));
  return { out_BNQK: tf.matMul(weights_BNQS, v), weights_BNQS };
}

/**
 * Gradients of {@link attend}. With P the weights, dP = dO Vᵀ and dS = P (dP - rowsum(P dP)), where
 * rowsum(P dP) = rowsum(O dO) is taken over the K columns of the output, fewer than the S of the
 * scores (Dao et al., "FlashAttention", 2022, appendix B).
 */
function attendGradient(
  dOut_BNQK: tf.Tensor,
  rowSum_BNQ1: tf.Tensor,
  { q, k, v, weights }: Record<'q' | 'k' | 'v' | 'weights', tf.Tensor>,
): [dq: tf.Tensor, dk: tf.Tensor, dv: tf.Tensor] {
  const dWeights_BNQS = tf.matMul(dOut_BNQK, v, false, true);
  const dScores_BNQS = tf.mul(weights, tf.sub(dWeights_BNQS, rowSum_BNQ1));
  return [
    tf.matMul(dScores_BNQS, k),
    tf.matMul(dScores_BNQS, q, true, false),
    tf.matMul(weights, dOut_BNQK, true, false),
  ];
}

/**
 * Scaled dot-product attention of every token to every token, all heads at once
 * (Vaswani et al., "Attention Is All You Need", 2017, equation 1).
 *
 * @param qkv_M3W queries, keys and values side by side, as one projection yields them
 * @param mask_LL added to the scores, see {@link causalMask}
 * @returns [B * L, W], heads side by side
 */
export function selfAttention(qkv_M3W: tf.Tensor, extents: Extents, mask_LL?: tf.Tensor): tf.Tensor {
  const { batch, length, numHeads } = extents;
  const width = (qkv_M3W.shape[1] as number) / 3;
  const headWidth = width / numHeads;
  const scale = headWidth ** -0.5;
  return customGradient([qkv_M3W], () => {
    const [query, k, v] = splitHeads(qkv_M3W, 3, extents) as [tf.Tensor, tf.Tensor, tf.Tensor];
    const q = tf.mul(query, scale); // the queries are fewer numbers than the scores
    const { out_BNQK, weights_BNQS } = attend(q, k, v, mask_LL);
    const value = tf.reshape(tf.transpose(out_BNQK, [0, 2, 1, 3]), [batch * length, width]);
    return {
      value,
      saved: [q, k, v, weights_BNQS, value],
      gradient: (dy, q, k, v, weights, y) => {
        const perHead = [batch, length, numHeads, headWidth];
        const rowSum_BLN = tf.sum(tf.reshape(tf.mul(dy, y), perHead), -1);
        const rowSum_BNL1 = tf.expandDims(tf.transpose(rowSum_BLN, [0, 2, 1]), 3);
        const dOut_BNLK = tf.transpose(tf.reshape(dy, perHead), [0, 2, 1, 3]);
        const [dq, dk, dv] = attendGradient(dOut_BNLK, rowSum_BNL1, { q, k, v, weights });
        return [mergeHeads([tf.mul(dq, scale), dk, dv], extents)];
      },
    };
  });
}

/**
 * Attention of one query per sequence to all its tokens: {@link selfAttention}'s row for that query.
 *
 * @param q_BW the queries
 * @param kv_M2W keys and values side by side
 * @param mask_B11S added to the scores, see {@link causalMaskAt}
 * @returns [B, W]
 */
export function singleQueryAttention(
  q_BW: tf.Tensor,
  kv_M2W: tf.Tensor,
  extents: Extents,
  mask_B11S?: tf.Tensor,
): tf.Tensor {
  const { batch, numHeads } = extents;
  const width = q_BW.shape[1] as number;
  const perHead = [batch, numHeads, 1, width / numHeads];
  const scale = (width / numHeads) ** -0.5;
  return customGradient([q_BW, kv_M2W], () => {
    const [k, v] = splitHeads(kv_M2W, 2, extents) as [tf.Tensor, tf.Tensor];
    const q = tf.mul(tf.reshape(q_BW, perHead), scale);
    const { out_BNQK, weights_BNQS } = attend(q, k, v, mask_B11S);
    return {
      value: tf.reshape(out_BNQK, [batch, width]),
      saved: [q, k, v, weights_BNQS, out_BNQK],
      gradient: (dy, q, k, v, weights, out) => {
        const dOut_BN1K = tf.reshape(dy, perHead);
        const rowSum_BN11 = tf.sum(tf.mul(dOut_BN1K, out), -1, true);
        const [dq, dk, dv] = attendGradient(dOut_BN1K, rowSum_BN11, { q, k, v, weights });
        return [tf.reshape(tf.mul(dq, scale), [batch, width]), mergeHeads([dk, dv], extents)];
      },
    };
  });
}
