import { describe, expect, it } from 'vitest';
import { WindowOrder } from '../../../../src/data/order/window-order.js';

const order = (change: Partial<ConstructorParameters<typeof WindowOrder>[0]> = {}): WindowOrder =>
  new WindowOrder({ seed: 1, source: 0, shardRows: [1000], window: 1000, shuffle: true, ...change });

const rowsOf = (of: WindowOrder, epoch = 0): number[] =>
  Array.from({ length: of.numRows }, (_, position) => of.rowAt(epoch, position));

const all = (numRows: number): number[] => Array.from({ length: numRows }, (_, row) => row);
const sorted = (rows: readonly number[]): number[] => [...rows].sort((a, b) => a - b);

describe('WindowOrder', () => {
  it('is a permutation that depends on seed, source and epoch', () => {
    const rows = rowsOf(order());
    expect(sorted(rows)).toEqual(all(1000));
    expect(rowsOf(order())).toEqual(rows);
    expect(rowsOf(order(), 1)).not.toEqual(rows);
    expect(rowsOf(order({ seed: 2 }))).not.toEqual(rows);
    expect(rowsOf(order({ source: 1 }))).not.toEqual(rows);
  });

  it('never changes, or saved positions would lose their meaning', () => {
    expect(rowsOf(order({ seed: 0, shardRows: [3, 4, 1], window: 4 }))).toEqual([3, 4, 5, 7, 6, 2, 1, 0]);
  });

  it('visits the windows of the permuted shards one after the other, whatever was asked before', () => {
    const shardRows = [70, 1, 130, 0, 60];
    const windowed = order({ shardRows, window: 50 });
    const rows = rowsOf(windowed);
    expect(sorted(rows)).toEqual(all(261));
    const backwards = all(261).reverse();
    expect(backwards.map((position) => windowed.rowAt(0, position))).toEqual([...rows].reverse());
    // Each window holds neighbours: of the shards, at most three meet in one.
    const shardOf = (row: number) => [70, 71, 201, 201, 261].findIndex((end) => row < end);
    const sizes: number[] = [];
    for (let start = 0, end = 0; start < 261; start = end) {
      end = windowed.windowOf(start).end;
      expect(windowed.windowOf(end - 1)).toEqual({ start, end });
      sizes.push(end - start);
      const held = sorted(rows.slice(start, end));
      const runs = held.filter((row, i) => i === 0 || row !== (held[i - 1] as number) + 1).length;
      expect(runs).toBeLessThanOrEqual(3);
    }
    expect(sizes).toEqual([4, 7, 13, 25, 50, 50, 50, 50, 12]); // the first ones are small, for an early first batch
    const firstShards = new Set(Array.from({ length: 40 }, (_, epoch) => shardOf(windowed.rowAt(epoch, 0))));
    expect(firstShards.size).toBeGreaterThan(2);
  });

  it('leaves the rows as they are stored where nothing is shuffled', () => {
    expect(rowsOf(order({ shardRows: [5, 5], shuffle: false }), 3)).toEqual(all(10));
  });

  it('puts each row at each place equally often, of one shard or of several', () => {
    for (const shardRows of [[5], [1, 1, 1, 1, 1]]) {
      const counts = new Float64Array(25);
      const numOrders = 5000;
      const permuted = order({ shardRows, window: 5 });
      for (let epoch = 0; epoch < numOrders; epoch++) {
        for (const [place, row] of rowsOf(permuted, epoch).entries()) {
          const cell = place * 5 + row;
          counts[cell] = (counts[cell] as number) + 1;
        }
      }
      const sigma = Math.sqrt(numOrders * 0.2 * 0.8);
      for (const count of counts) expect(Math.abs(count - numOrders / 5)).toBeLessThan(4.5 * sigma);
    }
  });

  it('takes the memory of a window, not of a billion rows', () => {
    const huge = order({ shardRows: new Array<number>(1000).fill(1_000_000), window: 1000 });
    const rows = [0, 999_999_999, 123_456_789].map((position) => huge.rowAt(7, position));
    expect(rows.every((row) => row >= 0 && row < 1e9)).toBe(true);
    expect(huge.windowOf(999_999_999)).toEqual({ start: 999_999_938, end: 1e9 });
  });
});
