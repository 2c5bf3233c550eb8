// Shapes: B batch, E embedding.
import * as tf from '../../engine/tf.js';
import { ShapeError } from '../../errors.js';
import { customGradient } from '../../models/nn/custom-gradient.js';

/**
 * Mean over rows and over columns of the cross-entropy with the diagonal as target, averaged:
 * (mean_i[lse(row i) - s_ii] + mean_j[lse(column j) - s_jj]) / 2, with gradient
 * (softmax over rows + softmax over columns - 2 I) / 2B.
 */
function diagonalCrossEntropy(logits_BB: tf.Tensor): tf.Tensor {
  const batch = logits_BB.shape[0] as number;
  return customGradient([logits_BB], () => {
    const identity_BB = tf.eye(batch);
    const logSumExp = (axis: 0 | 1): tf.Tensor => {
      const largest = tf.max(logits_BB, axis, true);
      return tf.add(tf.log(tf.sum(tf.exp(tf.sub(logits_BB, largest)), axis, true)), largest);
    };
    const rows_B1 = logSumExp(1);
    const columns_1B = logSumExp(0);
    const targets = tf.sum(tf.mul(logits_BB, identity_BB));
    const total = tf.sub(tf.add(tf.sum(rows_B1), tf.sum(columns_1B)), tf.mul(targets, 2));
    return {
      value: tf.mul(total, 0.5 / batch),
      saved: [logits_BB, rows_B1, columns_1B, identity_BB],
      gradient: (dy, logits, rows, columns, identity) => {
        const softmaxes = tf.add(tf.exp(tf.sub(logits, rows)), tf.exp(tf.sub(logits, columns)));
        return [tf.mul(tf.sub(softmaxes, tf.mul(identity, 2)), tf.mul(dy, 0.5 / batch))];
      },
    };
  });
}

/**
 * Symmetric InfoNCE (van den Oord et al., 2018; CLIP, figure 3): each image's own caption among the
 * batch's captions, and each caption's own image. Equal to open_clip's `ClipLoss`, with one matrix of
 * logits for both directions.
 *
 * @param imageFeatures_BE rows of length 1
 * @param textFeatures_BE rows of length 1, row i the caption of image i
 * @param logitScale scalar factor of the similarities, not its logarithm
 * @returns scalar, owned by the caller
 * @throws ShapeError if the two do not pair up
 */
export function clipLoss(
  imageFeatures_BE: tf.Tensor,
  textFeatures_BE: tf.Tensor,
  logitScale: tf.Tensor,
): tf.Tensor {
  if (imageFeatures_BE.rank !== 2 || imageFeatures_BE.shape.join() !== textFeatures_BE.shape.join()) {
    throw new ShapeError(
      'CLIP loss pairs image and text features of one shape [batch, embedDim], found ' +
        `[${imageFeatures_BE.shape.join(', ')}] and [${textFeatures_BE.shape.join(', ')}].`,
    );
  }
  return tf.tidy(() =>
    diagonalCrossEntropy(tf.mul(tf.matMul(imageFeatures_BE, textFeatures_BE, false, true), logitScale)),
  );
}
