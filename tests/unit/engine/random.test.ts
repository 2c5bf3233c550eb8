import { describe, expect, it } from 'vitest';
import {
  compile,
  type Fusion,
  foldIn,
  randomKey,
  randomNormal,
  randomUniform,
} from '../../../src/engine/index.js';
import { EngineError, ShapeError } from '../../../src/errors.js';
import { tf } from '../../support/engine.js';
import { alive, leaveNothing } from '../../support/engine-scope.js';
import { expectClose } from '../../support/gradients.js';

const own = leaveNothing();

const draws = { randomUniform, randomNormal };
const values = (t: tf.Tensor): number[] => [...t.dataSync()];

describe.each(Object.entries(draws))('%s', (name, draw) => {
  it('is a function of its key and shape', () => {
    const numbers = values(draw(randomKey(1), [3, 4]));
    expect(values(draw(randomKey(1), [3, 4]))).toEqual(numbers);
    expect(values(draw(randomKey(1, 0), [12]))).toEqual(numbers);
    expect(draw(randomKey(1), [3, 4])).toMatchObject({ shape: [3, 4], dtype: 'float32' });
    for (const key of [randomKey(2), randomKey(1, 1), randomKey(0, 1), randomKey(-1)]) {
      expect(values(draw(key, [3, 4])).filter((x) => numbers.includes(x))).toEqual([]);
    }
  });

  it.each<Fusion>(['none', 'clusters', 'whole'])('gives the same compiled (%s)', (fusion) => {
    const f = own(compile((key: tf.Tensor) => draw(key, [5, 3]), { fusion }));
    const constantKey = own(compile(() => draw(randomKey(7), [5, 3]), { fusion }));
    const eager = values(draw(randomKey(7), [5, 3]));
    // XLA's quantile function of the normal distribution is not TensorFlow's to the last bit.
    const tolerance = name === 'randomNormal' ? 1e-6 : 0;
    expectClose(values(f(randomKey(7))), eager, tolerance, 'key as an argument');
    expectClose(values(constantKey()), eager, tolerance, 'key as a constant');
    expect(values(f(randomKey(8)))).not.toEqual(values(f(randomKey(7))));
  });

  it('draws scalars and nothing', () => {
    expect(values(draw(randomKey(1), []))).toHaveLength(1);
    expect(values(draw(randomKey(1), [0, 3]))).toEqual([]);
  });

  it.each<[found: string, key: () => tf.Tensor]>([
    ['int32[3]', () => tf.zeros([3], 'int32')],
    ['int32[1, 2]', () => tf.zeros([1, 2], 'int32')],
    ['int32[]', () => tf.scalar(1, 'int32')],
    ['float32[2]', () => tf.zeros([2])],
  ])('refuses a key that is %s', (found, key) => {
    const wrong = key();
    const before = alive();
    for (const use of [() => draw(wrong, [2]), () => foldIn(wrong, 1)]) {
      expect(use).toThrow(ShapeError);
      expect(use).toThrow(`a random key is int32[2], found ${found}`);
    }
    expect(alive()).toEqual(before);
  });

  it('leaves nothing when TensorFlow refuses the shape', () => {
    const key = randomKey(1);
    draw(key, [1]).dispose();
    const before = alive();
    expect(() => draw(key, [-1])).toThrow(EngineError);
    expect(alive()).toEqual(before);
  });
});

/** Sample mean of f over the draws. */
const mean = (numbers: number[], f: (x: number) => number): number =>
  numbers.reduce((sum, x) => sum + f(x), 0) / numbers.length;

// The bounds are five standard errors of each moment over 40,000 draws: sqrt(variance of f / 40,000).
const n = 40_000;
const bound = (variance: number): number => 5 * Math.sqrt(variance / n);

it('uniform draws fill [0, 1) evenly', () => {
  const u = values(randomUniform(randomKey(3), [n]));
  expect(Math.min(...u)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...u)).toBeLessThan(1);
  expect(Math.abs(mean(u, (x) => x) - 1 / 2)).toBeLessThan(bound(1 / 12));
  expect(Math.abs(mean(u, (x) => x * x) - 1 / 3)).toBeLessThan(bound(4 / 45));
  // Neighbours are independent.
  expect(
    Math.abs(
      mean(
        u.slice(1).map((x, i) => (x - 0.5) * (u[i]! - 0.5)),
        (x) => x,
      ),
    ),
  ).toBeLessThan(bound(1 / 144));
});

it('normal draws have the moments of the normal distribution', () => {
  const z = values(randomNormal(randomKey(3), [n]));
  expect(Math.abs(mean(z, (x) => x))).toBeLessThan(bound(1));
  expect(Math.abs(mean(z, (x) => x ** 2) - 1)).toBeLessThan(bound(2));
  expect(Math.abs(mean(z, (x) => x ** 3))).toBeLessThan(bound(15));
  expect(Math.abs(mean(z, (x) => x ** 4) - 3)).toBeLessThan(bound(96));
});

describe('foldIn', () => {
  it.each<Fusion>(['none', 'clusters', 'whole'])(
    '(%s) makes a key, the same from a number and from a tensor, eager and compiled',
    (fusion) => {
      const key = randomKey(5);
      const folded = foldIn(key, -11);
      expect(folded).toMatchObject({ shape: [2], dtype: 'int32' });
      expect(values(foldIn(key, tf.scalar(-11, 'int32')))).toEqual(values(folded));
      const f = own(
        compile((k: tf.Tensor, step: tf.Tensor) => [foldIn(k, step), foldIn(k, -11)], { fusion }),
      );
      for (const again of f(key, tf.scalar(-11, 'int32'))) expect(values(again)).toEqual(values(folded));
    },
  );

  it('is no draw of the same key', () => {
    const folded = values(foldIn(randomKey(5), 0));
    // Uniform draws are the low 24 bits of the same generator.
    const drawn = values(randomUniform(randomKey(5), [64])).map((u) => u * 2 ** 24);
    for (const word of folded) expect(drawn).not.toContain(word & 0xffffff);
  });

  it('gives different keys for different numbers and keys, in any order', () => {
    const data = [0, 1, 2, 3, -1, 1000, 2 ** 31 - 1];
    const keys = [randomKey(0), randomKey(1), randomKey(0, 1), foldIn(randomKey(0), 1)];
    const all = keys.flatMap((key) => data.map((d) => values(foldIn(key, d)).join()));
    expect(new Set(all).size).toBe(all.length);
    const twice = (a: number, b: number): string => values(foldIn(foldIn(randomKey(0), a), b)).join();
    expect(twice(1, 2)).not.toBe(twice(2, 1));
  });

  it('keeps draws of neighbouring steps apart', () => {
    const key = randomKey(0);
    const steps = Array.from({ length: 50 }, (_, step) => values(randomUniform(foldIn(key, step), [20])));
    const flat = steps.flat();
    expect(new Set(flat).size).toBeGreaterThan(flat.length - 3);
    // Across the steps, too, the draws are uniform.
    const average = mean(
      steps.map(([first]) => first!),
      (x) => x,
    );
    expect(Math.abs(average - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / steps.length));
  });

  it.each<[found: string, data: () => tf.Tensor]>([
    ['float32[]', () => tf.scalar(1)],
    ['int32[2]', () => tf.zeros([2], 'int32')],
  ])('refuses data that is %s', (found, data) => {
    expect(() => foldIn(randomKey(0), data())).toThrow(ShapeError);
    expect(() => foldIn(randomKey(0), data())).toThrow(`int32[], found ${found}`);
  });

  it('leaves nothing but the key', () => {
    const key = randomKey(1);
    foldIn(key, 1).dispose();
    const before = alive();
    foldIn(key, 2).dispose();
    expect(alive()).toEqual(before);
  });
});
