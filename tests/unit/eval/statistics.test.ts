import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../../src/errors.js';
import {
  clusterBootstrap,
  mean,
  quantile,
  recallChance,
  sampleDeviation,
  wilsonInterval,
} from '../../../src/eval/statistics.js';

describe('wilsonInterval', () => {
  it('gives the published interval of 10 in 100', () => {
    const { low, high } = wilsonInterval(10, 100);
    expect(low).toBeCloseTo(0.05522914, 7);
    expect(high).toBeCloseTo(0.17436566, 7);
  });

  it('keeps its ends inside [0, 1] and still has width there', () => {
    expect(wilsonInterval(0, 20).low).toBe(0);
    expect(wilsonInterval(0, 20).high).toBeCloseTo(0.16113, 4);
    expect(wilsonInterval(20, 20).high).toBe(1);
    expect(wilsonInterval(20, 20).low).toBeCloseTo(0.83887, 4);
  });

  it('refuses more successes than trials, and no trials', () => {
    expect(() => wilsonInterval(3, 2)).toThrow(ConfigError);
    expect(() => wilsonInterval(0, 0)).toThrow(/at least one trial/);
  });
});

describe('recallChance', () => {
  it('is k / n for one right answer', () => {
    expect(recallChance(1000, 1, 1)).toBeCloseTo(0.001, 12);
    expect(recallChance(1000, 1, 10)).toBeCloseTo(0.01, 12);
  });

  it('is 1 - C(n - p, k) / C(n, k) for several', () => {
    // C(5, 2) = 10 ways to draw two wrong ones of 8 with 3 right; C(8, 2) = 28.
    expect(recallChance(8, 3, 2)).toBeCloseTo(1 - 10 / 28, 12);
    expect(recallChance(4, 2, 3)).toBe(1);
    expect(recallChance(3, 1, 5)).toBe(1);
  });
});

describe('clusterBootstrap', () => {
  it('has no width when all clusters agree and the same draws for the same seed', () => {
    expect(clusterBootstrap([2, 2, 2], [4, 4, 4], 0)).toEqual({ low: 0.5, high: 0.5 });
    const values = Array.from({ length: 50 }, (_, i) => i % 2);
    const ones = values.map(() => 1);
    expect(clusterBootstrap(values, ones, 3)).toEqual(clusterBootstrap(values, ones, 3));
  });

  it('is about two standard errors either side of a mean of many', () => {
    const values = Array.from({ length: 400 }, (_, i) => (i % 4 === 0 ? 1 : 0));
    const { low, high } = clusterBootstrap(
      values,
      values.map(() => 1),
      1,
    );
    const standardError = Math.sqrt((0.25 * 0.75) / 400);
    expect(low).toBeCloseTo(0.25 - 1.96 * standardError, 1.7);
    expect(high).toBeCloseTo(0.25 + 1.96 * standardError, 1.7);
  });

  it('is wider for captions that succeed or fail with their image', () => {
    const together = clusterBootstrap(
      Array.from({ length: 40 }, (_, i) => (i % 2) * 5),
      new Array(40).fill(5),
      0,
    );
    const apart = clusterBootstrap(
      Array.from({ length: 200 }, (_, i) => i % 2),
      new Array(200).fill(1),
      0,
    );
    expect(together.high - together.low).toBeGreaterThan(1.5 * (apart.high - apart.low));
  });
});

describe('quantile, mean, sampleDeviation', () => {
  it('interpolate and divide as NumPy with ddof=1 does', () => {
    expect(quantile([1, 2, 3, 4], 0.5)).toBe(2.5);
    expect(quantile([1, 2, 3, 4], 0.25)).toBe(1.75);
    expect(mean([1, 2, 6])).toBe(3);
    expect(sampleDeviation([2, 4, 4, 4, 5, 5, 7, 9])).toBeCloseTo(2.13809, 5);
    expect(sampleDeviation([7, 7])).toBe(0);
    expect(sampleDeviation([7])).toBeNull();
  });
});
