import { describe, expect, it } from 'vitest';
import { ShapeError } from '../../../../src/errors.js';
import { clipLoss } from '../../../../src/train/losses/clip-loss.js';
import { tf } from '../../../support/engine.js';
import { checkOperation, numbers } from '../../../support/gradients.js';

const [B, E] = [4, 3];

function reference(image: Float64Array, text: Float64Array, scale: Float64Array): number[] {
  const logit = (i: number, j: number): number => {
    let dot = 0;
    for (let e = 0; e < E; e++) dot += image[i * E + e]! * text[j * E + e]!;
    return scale[0]! * dot;
  };
  const all = Array.from({ length: B }, (_, i) => i);
  const lse = (logits: number[]): number => Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0));
  const loss = all.reduce(
    (sum, i) => sum + lse(all.map((j) => logit(i, j))) + lse(all.map((j) => logit(j, i))) - 2 * logit(i, i),
    0,
  );
  return [loss / (2 * B)];
}

describe('clipLoss', () => {
  it('is the mean cross-entropy of both directions, with its gradients', () => {
    checkOperation({
      inputs: [
        { shape: [B, E], values: numbers(B * E, 'image') },
        { shape: [B, E], values: numbers(B * E, 'text') },
        { shape: [], values: Float32Array.of(2.5) },
      ],
      op: (image, text, scale) => clipLoss(image!, text!, scale!),
      reference: (image, text, scale) => reference(image!, text!, scale!),
    });
  });

  it('is ln B when nothing is told apart, and 0 for a perfect match at a large scale', () => {
    tf.tidy(() => {
      const same = tf.ones([8, 1]);
      expect(clipLoss(same, same, tf.scalar(100)).dataSync()[0]).toBeCloseTo(Math.log(8), 5);
      expect(clipLoss(tf.eye(8), tf.eye(8), tf.scalar(1e4)).dataSync()[0]).toBe(0);
    });
  });

  it('refuses features that do not pair up', () => {
    tf.tidy(() => {
      const run = () => clipLoss(tf.zeros([2, 3]), tf.zeros([3, 3]), tf.scalar(1));
      expect(run).toThrow(ShapeError);
      expect(run).toThrow(/found \[2, 3\] and \[3, 3\]/);
    });
  });
});
