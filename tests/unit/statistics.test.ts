import { describe, expect, it } from 'vitest';
import { median } from '../../src/statistics.js';

describe('median', () => {
  it('takes the middle, or the mean of the two middle ones, whatever the order', () => {
    const values = [9, 1, 5];
    expect(median(values)).toBe(5);
    expect(values).toEqual([9, 1, 5]);
    expect(median([4, 1, 2, 100])).toBe(3);
    expect(median([10, 9])).toBe(9.5);
    expect(() => median([])).toThrow(RangeError);
  });
});
