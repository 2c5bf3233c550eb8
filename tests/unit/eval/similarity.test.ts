import { describe, expect, it } from 'vitest';
import { NumericError, ShapeError } from '../../../src/errors.js';
import { asRows, dot, scoreBlocks, takeRows, topK } from '../../../src/eval/similarity.js';
import { KeyedRandom } from '../../../src/rng.js';

function randomRows(count: number, dim: number, key: string) {
  const random = new KeyedRandom('similarity', key);
  return asRows(
    Float32Array.from({ length: count * dim }, () => random.normal()),
    count,
    dim,
    key,
  );
}

describe('scoreBlocks', () => {
  it('visits every pair once with the same number whatever the block', () => {
    const a = randomRows(7, 5, 'a');
    const b = randomRows(11, 5, 'b');
    for (const [rows, columns] of [
      [1, 1],
      [3, 4],
      [2, 6],
      [100, 100],
    ] as const) {
      const seen = new Float64Array(77).fill(Number.NaN);
      for (const { a0, a1, b0, b1, scores } of scoreBlocks(a, b, rows, columns)) {
        for (let i = a0; i < a1; i++) {
          for (let j = b0; j < b1; j++) {
            expect(seen[i * 11 + j]).toBeNaN();
            seen[i * 11 + j] = scores[(i - a0) * (b1 - b0) + j - b0] as number;
          }
        }
      }
      // Bit for bit: ties must not depend on the block a pair falls in.
      for (let i = 0; i < 7; i++) for (let j = 0; j < 11; j++) expect(seen[i * 11 + j]).toBe(dot(a, i, b, j));
    }
  });

  it('refuses rows of different widths', () => {
    expect(() => [...scoreBlocks(randomRows(2, 3, 'a'), randomRows(2, 4, 'b'))]).toThrow(ShapeError);
  });
});

describe('asRows', () => {
  it('names the row and column of a value that is not finite', () => {
    const values = new Float32Array(6);
    values[4] = Number.NaN;
    expect(() => asRows(values, 2, 3, 'Image embeddings')).toThrow(NumericError);
    expect(() => asRows(values, 2, 3, 'Image embeddings')).toThrow(/NaN in row 1, column 1/);
  });

  it('names both sizes when they do not fit', () => {
    expect(() => asRows(new Float32Array(5), 2, 3, 'X')).toThrow(/2 x 3 = 6 values, found 5/);
  });
});

describe('topK', () => {
  it('ranks by score and, of equals, by index', () => {
    const queries = asRows(new Float32Array([1, 0]), 1, 2, 'q');
    const candidates = asRows(new Float32Array([0.5, 0, 0.9, 9, 0.5, 1, 0.9, 0, -1, 0]), 5, 2, 'c');
    const [ranking] = topK(queries, candidates, 4);
    expect(ranking?.indices).toEqual([1, 3, 0, 2]);
    expect(ranking?.scores.map((score) => score.toFixed(2))).toEqual(['0.90', '0.90', '0.50', '0.50']);
  });

  it('agrees with sorting all scores, over more rows than a block holds', () => {
    const queries = randomRows(300, 4, 'queries');
    const candidates = randomRows(1100, 4, 'candidates');
    const rankings = topK(queries, candidates, 6);
    for (const q of [0, 255, 256, 299]) {
      const scores = Array.from({ length: 1100 }, (_, c) => dot(queries, q, candidates, c));
      const order = scores.map((_, c) => c).sort((x, y) => scores[y]! - scores[x]! || x - y);
      expect(rankings[q]?.indices).toEqual(order.slice(0, 6));
    }
  });

  it('returns all candidates when there are fewer than k', () => {
    expect(topK(randomRows(1, 2, 'q'), randomRows(3, 2, 'c'), 5)[0]?.indices).toHaveLength(3);
  });
});

describe('takeRows', () => {
  it('copies rows in the order asked for', () => {
    const rows = asRows(new Float32Array([1, 2, 3, 4, 5, 6]), 3, 2, 'x');
    expect([...takeRows(rows, [2, 0]).values]).toEqual([5, 6, 1, 2]);
  });
});
