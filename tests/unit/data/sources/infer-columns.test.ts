import { describe, expect, it } from 'vitest';
import type { Row, Value } from '../../../../src/data/schema.js';
import { ColumnGuess, fitValue, toJson } from '../../../../src/data/sources/infer-columns.js';

const guess = (...values: readonly Value[]) =>
  ColumnGuess.of(
    ['x'],
    values.map((x): Row => ({ x })),
  );
const typeOf = (...values: readonly Value[]) => guess(...values).columns[0]?.type;

describe('ColumnGuess', () => {
  it.each([
    [['a', null], 'string'],
    [[true, false], 'bool'],
    [[1, 2n], 'int64'],
    [[1, 2.5], 'float64'],
    [[2n ** 63n], 'string'],
    [[null, null], 'string'],
    [[1, 'a'], 'string'],
    [[new Uint8Array(2)], 'binary'],
    [[['a'], []], { list: 'string' }],
    [['a', ['b']], { list: 'string' }],
    [[[[1], [2.5]]], { list: { list: 'float64' } }],
    [
      [{ a: 1 }, { b: 'x' }],
      {
        struct: [
          { name: 'a', type: 'int64' },
          { name: 'b', type: 'string' },
        ],
      },
    ],
    [[{}], 'string'],
    [[{ a: 1 }, 'text'], 'string'],
    [[Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, i]))], 'string'],
    [[[], [1.5]], { list: 'float64' }],
    [[{ a: null }, { a: [true] }], { struct: [{ name: 'a', type: { list: 'bool' } }] }],
  ] as [Value[], unknown][])('types %#', (values, type) => {
    expect(typeOf(...values)).toEqual(type);
  });

  it('takes types that are known', () => {
    expect(ColumnGuess.of(['x'], [{ x: 1 }], { x: 'string' }).columns).toEqual([
      { name: 'x', type: 'string' },
    ]);
  });

  it.each([
    [[1], [2.5], 'float64'],
    [['a'], [['b']], { list: 'string' }],
    // Where nothing is known of one side, the other tells.
    [[null], [3], 'int64'],
    [[[]], [[3]], { list: 'int64' }],
    [[[3]], [[]], { list: 'int64' }],
  ] as [Value[], Value[], unknown][])('widens by other rows %#', (one, other, type) => {
    expect(guess(...one).with(guess(...other)).columns[0]?.type).toEqual(type);
  });
});

describe('fitValue', () => {
  it.each([
    [null, 'string', null],
    [5, 'string', '5'],
    [{ a: 2n ** 60n, b: [1n] }, 'string', '{"a":"1152921504606846976","b":[1]}'],
    [3n, 'float64', 3],
    ['a', { list: 'string' }, ['a']],
    [
      { a: 1 },
      {
        struct: [
          { name: 'a', type: 'float64' },
          { name: 'b', type: 'string' },
        ],
      },
      { a: 1, b: null },
    ],
  ] as [Value, Parameters<typeof fitValue>[1], Value][])('fits %#', (value, type, expected) => {
    expect(fitValue(value, type)).toEqual(expected);
  });

  it('writes bytes in JSON as base64', () => expect(toJson([new Uint8Array([1, 2])])).toBe('["AQI="]'));
});
