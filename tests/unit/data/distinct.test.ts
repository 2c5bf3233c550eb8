import { describe, expect, it } from 'vitest';
import { DistinctCounter, textHash } from '../../../src/data/distinct.js';

describe('DistinctCounter', () => {
  it('is exact up to 65,536 values', () => {
    const counter = new DistinctCounter();
    for (let i = 0; i < 65_536; i++) for (const value of [i * 2 ** 30, i * 2 ** 30]) counter.add(value);
    expect([counter.count(), counter.exact]).toEqual([65_536, true]);
    counter.add(1);
    expect(counter.exact).toBe(false);
  });

  it.each([
    ['numbers that follow each other', (i: number) => i],
    ['pairs of tokens', (i: number) => (i % 49_408) * 2 ** 26 + Math.floor(i / 49_408)],
    ['texts', (i: number) => textHash(`a photo number ${i}`)],
  ])('estimates more of them, %s, within 3 %', (_, value) => {
    for (const distinct of [100_000, 1_000_000]) {
      const counter = new DistinctCounter();
      for (let i = 0; i < distinct; i++) counter.add(value(i));
      for (let i = 0; i < 50_000; i++) counter.add(value(i));
      expect(Math.abs(counter.count() / distinct - 1)).toBeLessThan(0.03); // nearly four standard errors
    }
  });
});

describe('textHash', () => {
  it('tells a million texts apart', () => {
    const hashes = new Set<number>();
    for (let i = 0; i < 1_000_000; i++) hashes.add(textHash(`${i} a`));
    expect(hashes.size).toBeGreaterThan(999_990);
    expect(Math.max(...[...hashes].slice(0, 1000))).toBeLessThan(2 ** 53);
  });
});
