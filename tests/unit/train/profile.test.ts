import { describe, expect, it } from 'vitest';
import type { OpTiming } from '../../../src/engine/index.js';
import { sharesOf } from '../../../src/train/profile.js';

const timing = (op: string, durationUs: number, bytes = 0, flops = 0): OpTiming => ({
  op,
  contents: '',
  startUs: 0,
  durationUs,
  bytes,
  flops,
  outputs: ['float32[2]'],
});

describe('sharesOf', () => {
  const timings = [
    timing('Sum', 1000, 5e6),
    timing('MatMul', 2000, 2e6, 4e9),
    timing('Sum', 500, 1e6),
    timing('MatMul', 4000, 4e6, 2e9),
    timing('Tanh', 2500),
  ];

  it('adds up what is named alike, most time first', () => {
    expect(sharesOf(timings, ({ op }) => ({ op }))).toEqual([
      {
        op: 'MatMul',
        output: '',
        count: 2,
        milliseconds: 6,
        share: 0.6,
        gigabytesPerSecond: 1,
        gigaflopsPerSecond: 1000,
      },
      {
        op: 'Tanh',
        output: '',
        count: 1,
        milliseconds: 2.5,
        share: 0.25,
        gigabytesPerSecond: 0,
        gigaflopsPerSecond: 0,
      },
      {
        op: 'Sum',
        output: '',
        count: 2,
        milliseconds: 1.5,
        share: 0.15,
        gigabytesPerSecond: 4,
        gigaflopsPerSecond: 0,
      },
    ]);
  });

  it('keeps results apart where they are given', () => {
    const shares = sharesOf(timings, ({ op, durationUs }) => ({
      op,
      output: durationUs > 999 ? 'long' : 'short',
    }));
    expect(shares.map(({ op, output, count }) => [op, output, count])).toEqual([
      ['MatMul', 'long', 2],
      ['Tanh', 'long', 1],
      ['Sum', 'long', 1],
      ['Sum', 'short', 1],
    ]);
  });

  it('of nothing is nothing', () => {
    expect(sharesOf([], ({ op }) => ({ op }))).toEqual([]);
  });
});
