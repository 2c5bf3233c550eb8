import { describe, expect, it } from 'vitest';
import { epochOrder, rowOrder } from '../../../src/data/order.js';

describe('epochOrder', () => {
  it('is a permutation that depends on the seed and the epoch only', () => {
    const order = epochOrder(1, 0, 1000);
    expect([...order].sort((a, b) => a - b)).toEqual([...rowOrder(1000)]);
    expect(epochOrder(1, 0, 1000)).toEqual(order);
    expect(epochOrder(1, 1, 1000)).not.toEqual(order);
    expect(epochOrder(2, 0, 1000)).not.toEqual(order);
  });

  it('never changes, or saved positions would lose their meaning', () => {
    expect([...epochOrder(0, 0, 8)]).toEqual([4, 0, 3, 6, 1, 5, 2, 7]);
  });

  it('puts each row at each place equally often', () => {
    const counts = new Float64Array(25);
    const numOrders = 5000;
    for (let epoch = 0; epoch < numOrders; epoch++) {
      for (const [place, row] of epochOrder(3, epoch, 5).entries()) {
        const cell = place * 5 + row;
        counts[cell] = (counts[cell] as number) + 1;
      }
    }
    const sigma = Math.sqrt(numOrders * 0.2 * 0.8);
    for (const count of counts) expect(Math.abs(count - numOrders / 5)).toBeLessThan(4.5 * sigma);
  });

  it('of no or one row is trivial', () => {
    expect(epochOrder(0, 0, 0)).toHaveLength(0);
    expect([...epochOrder(0, 0, 1)]).toEqual([0]);
  });
});
