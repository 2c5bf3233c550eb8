import { describe, expect, it } from 'vitest';
import {
  causalMask,
  causalMaskAt,
  selfAttention,
  singleQueryAttention,
} from '../../../../src/models/nn/attention.js';
import { tf } from '../../../support/engine.js';
import { checkOperation, numbers } from '../../../support/gradients.js';

const extents = { batch: 2, length: 5, numHeads: 3 };
const { batch: B, length: L, numHeads: N } = extents;
const K = 4;
const W = N * K;

/**
 * Attention of the queries at `positions(b)` over keys up to `lastKey(query)`.
 * q, k and v give the number at batch b, token l, column c.
 */
type At = (b: number, l: number, c: number) => number;
function attentionReference(
  q: At,
  k: At,
  v: At,
  queries: (b: number) => number[],
  lastKey: (query: number) => number,
): number[] {
  const out: number[] = [];
  for (let b = 0; b < B; b++) {
    for (const query of queries(b)) {
      for (let c = 0; c < W; c++) {
        const head = Math.floor(c / K) * K;
        const weights = Array.from({ length: lastKey(query) + 1 }, (_, s) => {
          let score = 0;
          for (let i = 0; i < K; i++) score += q(b, query, head + i) * k(b, s, head + i);
          return Math.exp(score / Math.sqrt(K));
        });
        const total = weights.reduce((a, x) => a + x, 0);
        out.push(weights.reduce((sum, weight, s) => sum + (weight / total) * v(b, s, c), 0));
      }
    }
  }
  return out;
}

const all = () => Array.from({ length: L }, (_, l) => l);
const part =
  (x: Float64Array, parts: number, index: number): At =>
  (b, l, c) =>
    x[((b * L + l) * parts + index) * W + c]!;

describe('selfAttention', () => {
  const qkv = { shape: [B * L, 3 * W], values: numbers(B * L * 3 * W, 'qkv') };

  it('attends to every token', () => {
    checkOperation({
      inputs: [qkv],
      op: (x) => selfAttention(x!, extents),
      reference: (x) => attentionReference(part(x!, 3, 0), part(x!, 3, 1), part(x!, 3, 2), all, () => L - 1),
    });
  });

  it('with the causal mask sees no later token', () => {
    const mask = causalMask(L);
    checkOperation({
      inputs: [qkv],
      op: (x) => selfAttention(x!, extents, mask),
      reference: (x) =>
        attentionReference(part(x!, 3, 0), part(x!, 3, 1), part(x!, 3, 2), all, (query) => query),
    });
    mask.dispose();
  });

  it('stays finite for scores of a thousand', () => {
    const big = tf.tensor2d(numbers(B * L * 3 * W, 'big', 50), [B * L, 3 * W]);
    const out = tf.tidy(() => selfAttention(big, extents, causalMask(L)));
    const gradient = tf.grad((x: tf.Tensor) => tf.sum(selfAttention(x, extents, causalMask(L))))(big);
    expect(out.dataSync().every(Number.isFinite)).toBe(true);
    expect(gradient.dataSync().every(Number.isFinite)).toBe(true);
    tf.dispose([big, out, gradient]);
  });
});

describe('singleQueryAttention', () => {
  const inputs = [
    { shape: [B, W], values: numbers(B * W, 'q') },
    { shape: [B * L, 2 * W], values: numbers(B * L * 2 * W, 'kv') },
  ];
  const query =
    (x: Float64Array): At =>
    (b, _l, c) =>
      x[b * W + c]!;

  it('attends to every token', () => {
    checkOperation({
      inputs,
      op: (q, kv) => singleQueryAttention(q!, kv!, extents),
      reference: (q, kv) =>
        attentionReference(
          query(q!),
          part(kv!, 2, 0),
          part(kv!, 2, 1),
          () => [0],
          () => L - 1,
        ),
    });
  });

  it('sees the tokens up to its own position', () => {
    const positions = [1, 3];
    const position_B = tf.tensor1d(positions, 'int32');
    const mask = causalMaskAt(position_B, L);
    expect(mask.shape).toEqual([B, 1, 1, L]);
    checkOperation({
      inputs,
      op: (q, kv) => singleQueryAttention(q!, kv!, extents, mask),
      reference: (q, kv) =>
        attentionReference(
          query(q!),
          part(kv!, 2, 0),
          part(kv!, 2, 1),
          (b) => [positions[b]!],
          (at) => at,
        ),
    });
    tf.dispose([position_B, mask]);
  });
});
