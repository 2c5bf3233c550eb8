import { describe, expect, it } from 'vitest';
import {
  decodeFloats,
  encodeFloats,
  type FeatureDtype,
  toBfloat,
  toHalf,
} from '../../../../src/data/features/half.js';

function roundTrip(values: readonly number[], dtype: FeatureDtype): number[] {
  const bytes = new Uint8Array(values.length * 4);
  encodeFloats(Float32Array.from(values), dtype, bytes);
  const out = new Float32Array(values.length);
  decodeFloats(bytes, dtype, out);
  return [...out];
}

describe('toHalf', () => {
  it.each([
    [0, 0x0000],
    [-0, 0x8000],
    [1, 0x3c00],
    [-2, 0xc000],
    [1 / 3, 0x3555],
    [65_504, 0x7bff],
    [65_519.996, 0x7bff],
    [65_520, 0x7c00], // halfway to 65,536, which is even
    [Number.POSITIVE_INFINITY, 0x7c00],
    [Number.NEGATIVE_INFINITY, 0xfc00],
    [Number.NaN, 0x7e00],
    [2 ** -14, 0x0400], // the smallest normal number
    [2 ** -24, 0x0001], // the smallest of all
    [2 ** -25, 0x0000], // halfway to it, and 0 is even
    [1.5 * 2 ** -24, 0x0002],
    [2 ** -14 - 2 ** -26, 0x0400], // rounds up into the normal numbers
    [1 + 2 ** -11, 0x3c00], // halfway, down to even
    [1 + 3 * 2 ** -11, 0x3c02], // halfway, up to even
    [1 + 2 ** -11 + 2 ** -20, 0x3c01],
  ])('rounds %d to nearest, ties to even', (value, half) => {
    expect(toHalf(value)).toBe(half);
  });
});

describe('toBfloat', () => {
  it.each([
    [0, 0x0000],
    [-0, 0x8000],
    [1, 0x3f80],
    [-1 / 3, 0xbeab],
    [1 + 2 ** -8, 0x3f80], // halfway, down to even
    [1 + 3 * 2 ** -8, 0x3f82], // halfway, up to even
    [3.4e38, 0x7f80],
    [Number.NEGATIVE_INFINITY, 0xff80],
  ])('rounds %d to nearest, ties to even', (value, bits) => {
    expect(toBfloat(value)).toBe(bits);
  });

  it('keeps NaN', () => {
    expect(toBfloat(Number.NaN) & 0x7fc0).toBe(0x7fc0);
  });
});

describe('encodeFloats and decodeFloats', () => {
  it('give every half and every bfloat16 back', () => {
    const words = Uint16Array.from({ length: 65_536 }, (_, i) => i);
    for (const dtype of ['float16', 'bfloat16'] as const) {
      const values = new Float32Array(65_536);
      decodeFloats(new Uint8Array(words.buffer), dtype, values);
      const again = new Uint16Array(65_536);
      encodeFloats(values, dtype, new Uint8Array(again.buffer));
      const differ = [...words].filter((word, i) => again[i] !== word && !Number.isNaN(values[i]));
      expect(differ).toEqual([]);
    }
  });

  it('keep float32 as it is and lose no more than half a unit of the others', () => {
    const values = Array.from({ length: 500 }, (_, i) => Math.fround(Math.sin(i) * 10 ** ((i % 7) - 3)));
    expect(roundTrip(values, 'float32')).toEqual(values);
    for (const [dtype, unit] of [
      ['float16', 2 ** -11],
      ['bfloat16', 2 ** -8],
    ] as const) {
      for (const [i, found] of roundTrip(values, dtype).entries()) {
        const value = values[i] as number;
        expect(Math.abs(found - value)).toBeLessThanOrEqual(Math.max(Math.abs(value) * unit, 2 ** -25));
      }
    }
  });
});
