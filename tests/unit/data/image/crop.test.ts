import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evalGeometry, randomResizedCropBox, roundHalfEven } from '../../../../src/data/image/crop.js';
import { KeyedRandom } from '../../../../src/rng.js';

describe('roundHalfEven', () => {
  it.each([
    [0.5, 0],
    [1.5, 2],
    [2.5, 2],
    [-0.5, 0],
    [-1.5, -2],
    [2.4999, 2],
    [2.5001, 3],
    [7, 7],
  ])('%d to %d', (x, rounded) => {
    expect(roundHalfEven(x)).toBe(rounded);
  });
});

describe('evalGeometry', () => {
  it.each([
    // width, height, size, new width, new height, left, top
    [640, 480, 224, 298, 224, 37, 0],
    [480, 640, 224, 224, 298, 0, 37],
    [66, 64, 32, 33, 32, 0, 0], // an offset of 0.5 goes to 0
    [70, 64, 32, 35, 32, 2, 0], // 1.5 to 2
    [74, 64, 32, 37, 32, 2, 0], // 2.5 to 2
    [7, 5, 32, 44, 32, 6, 0],
    [1, 1, 32, 32, 32, 0, 0],
    [1000, 1, 32, 32000, 32, 15984, 0],
  ])('%d x %d to %d', (width, height, size, newWidth, newHeight, left, top) => {
    expect(evalGeometry(width, height, size)).toEqual({
      width: newWidth,
      height: newHeight,
      window: { left, top, width: size, height: size },
    });
  });
});

describe('randomResizedCropBox', () => {
  const dimension = fc.integer({ min: 1, max: 3000 });

  it('lies in the image, and is a function of the key', () => {
    fc.assert(
      fc.property(dimension, dimension, fc.nat(), (width, height, key) => {
        const box = randomResizedCropBox(width, height, new KeyedRandom(key));
        expect(box.left).toBeGreaterThanOrEqual(0);
        expect(box.top).toBeGreaterThanOrEqual(0);
        expect(box.width).toBeGreaterThan(0);
        expect(box.height).toBeGreaterThan(0);
        expect(box.left + box.width).toBeLessThanOrEqual(width);
        expect(box.top + box.height).toBeLessThanOrEqual(height);
        expect(randomResizedCropBox(width, height, new KeyedRandom(key))).toEqual(box);
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  it('keeps 0.9 to 1 of the area and an aspect ratio of 3/4 to 4/3', () => {
    for (let key = 0; key < 500; key++) {
      const box = randomResizedCropBox(1000, 900, new KeyedRandom(key));
      const share = (box.width * box.height) / 900_000;
      expect(share).toBeGreaterThan(0.898);
      expect(share).toBeLessThanOrEqual(1);
      expect(box.width / box.height).toBeGreaterThan(0.749);
      expect(box.width / box.height).toBeLessThan(1.335);
    }
  });

  it('keeps the share of the area that it is told to', () => {
    for (let key = 0; key < 200; key++) {
      const box = randomResizedCropBox(1000, 900, new KeyedRandom(key), [0.2, 0.3]);
      const share = (box.width * box.height) / 900_000;
      expect(share).toBeGreaterThan(0.198);
      expect(share).toBeLessThan(0.302);
    }
  });

  it('falls back to the central box of an allowed ratio', () => {
    expect(randomResizedCropBox(1000, 100, new KeyedRandom(1))).toEqual({
      left: 433,
      top: 0,
      width: 133,
      height: 100,
    });
    expect(randomResizedCropBox(100, 1000, new KeyedRandom(1))).toEqual({
      left: 0,
      top: 433,
      width: 100,
      height: 133,
    });
  });
});
