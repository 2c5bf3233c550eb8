/**
 * Dot products of embedding rows in blocks, and rankings from them. Sums run in float64 in the order
 * of the columns, whichever block a pair falls in, so that a pair's score is always the same number
 * and ties are exact.
 *
 * Legend: N rows of the first matrix, M of the second, D columns.
 */
import { NumericError, ShapeError } from '../errors.js';

/** Rows of embeddings, [N, D] row by row. */
export interface Rows {
  readonly values: Float32Array;
  readonly count: number;
  readonly dim: number;
}

/**
 * Wraps values as rows after checking their number and that all are finite.
 *
 * @throws ShapeError if values.length is not count * dim. NumericError if a value is not finite.
 */
export function asRows(values: Float32Array, count: number, dim: number, what: string): Rows {
  if (values.length !== count * dim) {
    throw new ShapeError(
      `${what}: expected ${count} x ${dim} = ${count * dim} values, found ${values.length}.`,
    );
  }
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    throw new NumericError(
      `${what}: value ${values[bad]} in row ${Math.floor(bad / dim)}, column ${bad % dim}. The model's weights are damaged or its training diverged.`,
    );
  }
  return { values, count, dim };
}

/** The dot product of row i of `a` and row j of `b`. */
export function dot(a: Rows, i: number, b: Rows, j: number): number {
  let sum = 0;
  const atA = i * a.dim;
  const atB = j * b.dim;
  for (let d = 0; d < a.dim; d++) sum += (a.values[atA + d] as number) * (b.values[atB + d] as number);
  return sum;
}

/** Writes the dot products of rows [a0, a1) of `a` and [b0, b1) of `b` to `out`, row by row. */
function dotBlock(a: Rows, a0: number, a1: number, b: Rows, b0: number, b1: number, out: Float64Array): void {
  const { dim } = a;
  const x = a.values;
  const y = b.values;
  const width = b1 - b0;
  for (let i = a0; i < a1; i++) {
    const atA = i * dim;
    const row = (i - a0) * width;
    let j = b0;
    // Four columns share each load of a's value: about three times as fast as one at a time.
    for (; j + 4 <= b1; j += 4) {
      let at0 = j * dim;
      let at1 = at0 + dim;
      let at2 = at1 + dim;
      let at3 = at2 + dim;
      let s0 = 0;
      let s1 = 0;
      let s2 = 0;
      let s3 = 0;
      for (let d = atA; d < atA + dim; d++) {
        const value = x[d] as number;
        s0 += value * (y[at0++] as number);
        s1 += value * (y[at1++] as number);
        s2 += value * (y[at2++] as number);
        s3 += value * (y[at3++] as number);
      }
      const to = row + j - b0;
      out[to] = s0;
      out[to + 1] = s1;
      out[to + 2] = s2;
      out[to + 3] = s3;
    }
    for (; j < b1; j++) out[row + j - b0] = dot(a, i, b, j);
  }
}

/** One block of scores: rows [a0, a1) of the first matrix against rows [b0, b1) of the second. */
export interface ScoreBlock {
  readonly a0: number;
  readonly a1: number;
  readonly b0: number;
  readonly b1: number;
  /** [(a1 - a0), (b1 - b0)] row by row; reused for the next block. */
  readonly scores: Float64Array;
}

/**
 * Visits all N x M scores in blocks, so that memory stays at one block whatever N and M are.
 *
 * @throws ShapeError if the two have different dims.
 */
export function* scoreBlocks(a: Rows, b: Rows, blockRows = 256, blockColumns = 1024): Generator<ScoreBlock> {
  if (a.dim !== b.dim) {
    throw new ShapeError(
      `Embeddings of width ${a.dim} cannot be compared with embeddings of width ${b.dim}.`,
    );
  }
  const scores = new Float64Array(Math.min(blockRows, a.count) * Math.min(blockColumns, b.count));
  for (let a0 = 0; a0 < a.count; a0 += blockRows) {
    const a1 = Math.min(a0 + blockRows, a.count);
    for (let b0 = 0; b0 < b.count; b0 += blockColumns) {
      const b1 = Math.min(b0 + blockColumns, b.count);
      dotBlock(a, a0, a1, b, b0, b1, scores);
      yield { a0, a1, b0, b1, scores };
    }
  }
}

/** The k best columns of a row: indices and scores, best first; of equal scores the lower index first. */
export interface Ranking {
  readonly indices: number[];
  readonly scores: number[];
}

/** For each of the given rows of `queries`, its k best rows of `candidates`. */
export function topK(queries: Rows, candidates: Rows, k: number): Ranking[] {
  const rankings: Ranking[] = Array.from({ length: queries.count }, () => ({ indices: [], scores: [] }));
  for (const { a0, a1, b0, b1, scores } of scoreBlocks(queries, candidates)) {
    const width = b1 - b0;
    for (let i = a0; i < a1; i++) {
      const best = rankings[i] as Ranking;
      for (let j = b0; j < b1; j++) {
        const score = scores[(i - a0) * width + j - b0] as number;
        // Columns come in ascending order, so an equal score found later ranks below.
        if (best.scores.length === k && score <= (best.scores[k - 1] as number)) continue;
        let at = best.scores.length;
        while (at > 0 && score > (best.scores[at - 1] as number)) at--;
        best.scores.splice(at, 0, score);
        best.indices.splice(at, 0, j);
        if (best.scores.length > k) {
          best.scores.pop();
          best.indices.pop();
        }
      }
    }
  }
  return rankings;
}

/** Picks rows by index into new rows. */
export function takeRows(rows: Rows, indices: readonly number[]): Rows {
  const values = new Float32Array(indices.length * rows.dim);
  indices.forEach((index, at) => {
    values.set(rows.values.subarray(index * rows.dim, (index + 1) * rows.dim), at * rows.dim);
  });
  return { values, count: indices.length, dim: rows.dim };
}
