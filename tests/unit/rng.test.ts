import { describe, expect, it } from 'vitest';
import { hash64, KeyedRandom, uniform } from '../../src/rng.js';

const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

describe('hash64', () => {
  it('is stable: a changed value would change every run', () => {
    // MurmurHash3 x86_128 of the encoded parts, from an independent implementation.
    expect(hash64('seed', 1, 2n)).toBe(4615483175154354798n);
    expect(hash64()).toBe(0n);
  });

  it('tells apart parts, their order, their types and where they are cut', () => {
    const hashes = [
      hash64('ab', 'c'),
      hash64('a', 'bc'),
      hash64('abc'),
      hash64('c', 'ab'),
      hash64('1'),
      hash64(1),
      hash64(1n),
      hash64(''),
      hash64('', ''),
      hash64(1.5),
      hash64(-1),
      hash64('é'),
      hash64('e\u0301'),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
    expect(hash64(-0)).toBe(hash64(0));
    expect(() => hash64('x', Number.NaN)).toThrow(/NaN/);
  });

  it('flips half of the bits when one bit of the key changes', () => {
    const flips: number[] = [];
    for (let key = 0; key < 2000; key++) {
      const changed = hash64(key) ^ hash64(key ^ 1);
      flips.push([...changed.toString(2)].filter((bit) => bit === '1').length);
    }
    expect(mean(flips)).toBeGreaterThan(31.5);
    expect(mean(flips)).toBeLessThan(32.5);
  });

  it('takes keys longer than its scratch buffer', () => {
    expect(hash64('x'.repeat(10_000))).not.toBe(hash64(`${'x'.repeat(9_999)}y`));
  });
});

describe('uniform', () => {
  it('is in [0, 1), even, and a function of its key', () => {
    const draws = Array.from({ length: 20_000 }, (_, i) => uniform(7, 'caption', i));
    expect(Math.min(...draws)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...draws)).toBeLessThan(1);
    expect(mean(draws)).toBeCloseTo(0.5, 2);
    const bins = new Array<number>(10).fill(0);
    for (const draw of draws) bins[Math.floor(draw * 10)]!++;
    // Chi-squared with 9 degrees of freedom: 27.9 is the 0.1% point.
    expect(bins.reduce((sum, n) => sum + (n - 2000) ** 2 / 2000, 0)).toBeLessThan(27.9);
    expect(uniform(7, 'caption', 5)).toBe(draws[5]);
  });
});

describe('KeyedRandom', () => {
  it('repeats for a key and differs for another, whatever is drawn between', () => {
    const first = new KeyedRandom('a', 1);
    const drawn = [first.uniform(), first.uniform()];
    uniform('something else');
    const again = new KeyedRandom('a', 1);
    expect([again.uniform(), again.uniform()]).toEqual(drawn);
    expect(new KeyedRandom('a', 2).uniform()).not.toBe(drawn[0]);
  });

  it('follows xoshiro128**', () => {
    // From an independent implementation, its state being the hash of the key.
    const stream = new KeyedRandom('state');
    const values = Array.from({ length: 4 }, () => stream.uint32());
    expect(values).toEqual([2743344011, 2742008211, 454598378, 3750780042]);
  });

  it('int is even over its range and refuses others', () => {
    const random = new KeyedRandom('int');
    const counts = new Array<number>(6).fill(0);
    for (let i = 0; i < 12_000; i++) counts[random.int(6)]!++;
    expect(counts.reduce((sum, n) => sum + (n - 2000) ** 2 / 2000, 0)).toBeLessThan(20.5);
    expect(random.int(1)).toBe(0);
    expect(random.int(2 ** 32)).toBeLessThan(2 ** 32);
    for (const n of [0, -1, 1.5, 2 ** 33, Number.NaN])
      expect(() => random.int(n)).toThrow(/integer from 1 to 2\^32/);
  });

  it('normal has mean 0, variance 1, kurtosis 3', () => {
    const random = new KeyedRandom('normal');
    const draws = Array.from({ length: 40_000 }, () => random.normal());
    const variance = mean(draws.map((x) => x * x));
    expect(Math.abs(mean(draws))).toBeLessThan(0.02);
    expect(Math.abs(variance - 1)).toBeLessThan(0.03);
    expect(Math.abs(mean(draws.map((x) => x ** 4)) / variance ** 2 - 3)).toBeLessThan(0.15);
  });

  it('shuffle is a permutation, in place, and every order is as likely', () => {
    const random = new KeyedRandom('shuffle');
    const array = [1, 2, 3, 4, 5];
    expect(random.shuffle(array)).toBe(array);
    expect([...array].sort()).toEqual([1, 2, 3, 4, 5]);
    const orders = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const order = random.shuffle(['a', 'b', 'c']).join('');
      orders.set(order, (orders.get(order) ?? 0) + 1);
    }
    expect(orders.size).toBe(6);
    for (const count of orders.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});
