/** The order in which an epoch visits the rows of a source. */
import { KeyedRandom } from '../rng.js';

/**
 * A permutation of 0 … numRows - 1, a pure function of its arguments: what a loader visits first, second, …
 * Four bytes a row, so a source of 100 million rows takes 400 MB.
 */
export function epochOrder(seed: number, epoch: number, numRows: number): Uint32Array {
  const order = rowOrder(numRows);
  const random = new KeyedRandom(seed, 'order', epoch);
  for (let i = numRows - 1; i > 0; i--) {
    const j = random.int(i + 1);
    const held = order[i] as number;
    order[i] = order[j] as number;
    order[j] = held;
  }
  return order;
}

/** The rows as they are stored. */
export function rowOrder(numRows: number): Uint32Array {
  return Uint32Array.from({ length: numRows }, (_, row) => row);
}
