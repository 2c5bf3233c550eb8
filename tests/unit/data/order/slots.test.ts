import { describe, expect, it } from 'vitest';
import { Slots } from '../../../../src/data/order/slots.js';

describe('Slots', () => {
  it('gives a failed slot the next position after those taken, in order of the slots, in rounds', () => {
    const slots = new Slots(4, 10, 100);
    expect(slots.pending.map(({ position }) => position)).toEqual([10, 11, 12, 13]);
    slots.settle([0, 2]);
    expect(slots.pending).toEqual([
      { slot: 0, position: 14 },
      { slot: 2, position: 15 },
    ]);
    slots.settle([0]);
    slots.settle([]);
    expect(slots.pending).toEqual([]);
    expect(slots.filled().map(({ position }) => position)).toEqual([16, 11, 15, 13]);
    expect(slots.next).toBe(17);
  });

  it('leaves slots empty where the epoch ends', () => {
    const slots = new Slots(4, 10, 13);
    expect(slots.pending).toHaveLength(3);
    slots.settle([1]);
    expect(slots.pending).toEqual([]);
    expect(slots.filled()).toEqual([
      { slot: 0, position: 10 },
      { slot: 2, position: 12 },
    ]);
    expect(slots.next).toBe(13);
  });
});
