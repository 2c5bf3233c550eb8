import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Pixels } from '../../../../src/data/image/pixels.js';
import { resizeBicubic } from '../../../../src/data/image/resize-pil.js';
import { KeyedRandom } from '../../../../src/rng.js';

/** A row of samples, `step` apart, resized by the formula of resize-pil.ts, one sum after the other. */
function resizeRow(row: readonly number[], outSize: number): number[] {
  const scale = row.length / outSize;
  const filterScale = Math.max(scale, 1);
  const support = 2 * filterScale;
  const keys = (x: number): number => {
    const t = Math.abs(x);
    if (t < 1) return (1.5 * t - 2.5) * t * t + 1;
    return t < 2 ? (((t - 5) * t + 8) * t - 4) * -0.5 : 0;
  };
  return Array.from({ length: outSize }, (_, i) => {
    const center = (i + 0.5) * scale;
    const from = Math.max(0, Math.trunc(center - support + 0.5));
    const used = row.slice(from, Math.min(row.length, Math.trunc(center + support + 0.5)));
    const exact = used.map((_, j) => keys((j + from - center + 0.5) * (1 / filterScale)));
    const sum = exact.reduce((a, b) => a + b, 0);
    const total = used.reduce((acc, value, j) => {
      const weight = ((exact[j] as number) / sum) * 2 ** 22;
      return acc + value * Math.trunc(weight + (weight < 0 ? -0.5 : 0.5));
    }, 2 ** 21);
    return Math.max(0, Math.min(255, Math.floor(total / 2 ** 22)));
  });
}

type Plane = number[][];
const transpose = (plane: Plane): Plane =>
  (plane[0] as number[]).map((_, x) => plane.map((row) => row[x] as number));
const across = (plane: Plane, width: number): Plane =>
  width === plane[0]?.length ? plane : plane.map((row) => resizeRow(row, width));
const down = (plane: Plane, height: number): Plane => transpose(across(transpose(plane), height));

function reference({ data, width, height, channels }: Pixels, newWidth: number, newHeight: number): number[] {
  const planes = Array.from({ length: channels }, (_, c) => {
    const plane = Array.from({ length: height }, (_, y) =>
      Array.from({ length: width }, (_, x) => data[(y * width + x) * channels + c] as number),
    );
    const verticalFirst = newHeight < height && height - newHeight > 2 * (width - newWidth);
    return verticalFirst
      ? across(down(plane, newHeight), newWidth)
      : down(across(plane, newWidth), newHeight);
  });
  return Array.from({ length: newHeight * newWidth }, (_, i) =>
    planes.map((plane) => plane[Math.floor(i / newWidth)]?.[i % newWidth] as number),
  ).flat();
}

describe('the vectorised passes', () => {
  it('give what one sum after the other gives, at any size, with 3 channels and 4', () => {
    const side = fc.oneof(
      { weight: 4, arbitrary: fc.integer({ min: 1, max: 70 }) },
      fc.integer({ min: 1, max: 400 }),
    );
    const outSide = fc.integer({ min: 1, max: 60 });
    fc.assert(
      fc.property(
        ...[side, side, outSide, outSide, fc.constantFrom(3, 4), fc.boolean(), fc.nat()],
        (width, height, newWidth, newHeight, channels, hardEdges, seed) => {
          const random = new KeyedRandom('passes', seed);
          const data = Uint8Array.from({ length: width * height * channels }, () =>
            hardEdges ? 255 * random.int(2) : random.int(256),
          );
          const source: Pixels = { data, width, height, channels: channels as 3 | 4 };
          const whole = { left: 0, top: 0, width, height };
          const window = { left: 0, top: 0, width: newWidth, height: newHeight };
          const out = new Uint8Array(newWidth * newHeight * channels);
          resizeBicubic(source, whole, newWidth, newHeight, window, out);
          expect([...out]).toEqual(reference(source, newWidth, newHeight));
        },
      ),
      { seed: 7, numRuns: 150 },
    );
  });

  it('do the same after an image for which they needed much memory', () => {
    const large: Pixels = {
      data: new Uint8Array(9000 * 3000 * 3).fill(77),
      width: 9000,
      height: 3000,
      channels: 3,
    };
    const window = { left: 0, top: 0, width: 8, height: 8 };
    const shrink = (): Uint8Array => {
      const out = new Uint8Array(8 * 8 * 3);
      resizeBicubic(large, { left: 0, top: 0, width: 9000, height: 3000 }, 8, 8, window, out);
      return out;
    };
    expect(shrink()).toEqual(new Uint8Array(8 * 8 * 3).fill(77));
    expect(shrink()).toEqual(new Uint8Array(8 * 8 * 3).fill(77));
  });
});
