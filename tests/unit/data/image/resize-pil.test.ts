import { describe, expect, it } from 'vitest';
import type { Box } from '../../../../src/data/image/crop.js';
import type { Pixels } from '../../../../src/data/image/pixels.js';
import * as pil from '../../../../src/data/image/resize-pil.js';
import { KeyedRandom } from '../../../../src/rng.js';

function noise(width: number, height: number, channels: 3 | 4): Pixels {
  const random = new KeyedRandom('noise', width, height);
  const data = Uint8Array.from({ length: width * height * channels }, () => random.int(256));
  return { data, width, height, channels };
}

type Resize = typeof pil.resizeBicubic;

const resized =
  (resize: Resize) =>
  (source: Pixels, box: Box, width: number, height: number, window: Box): Uint8Array => {
    const out = new Uint8Array(window.width * window.height * source.channels);
    resize(source, box, width, height, window, out);
    return out;
  };
const resizeBicubic = resized(pil.resizeBicubic);
const resizeNearest = resized(pil.resizeNearest);

function copyBox(source: Pixels, box: Box): Uint8Array {
  const out = new Uint8Array(box.width * box.height * source.channels);
  pil.copyBox(source, box, out);
  return out;
}

const whole = ({ width, height }: { width: number; height: number }) => ({ left: 0, top: 0, width, height });

describe('resizeBicubic', () => {
  it('keeps a flat image flat, up and down', () => {
    for (const value of [0, 1, 128, 254, 255]) {
      const flat: Pixels = {
        data: new Uint8Array(20 * 10 * 3).fill(value),
        width: 20,
        height: 10,
        channels: 3,
      };
      for (const [w, h] of [
        [7, 3],
        [41, 33],
        [20, 3],
      ] as const) {
        const out = resizeBicubic(flat, whole(flat), w, h, whole({ width: w, height: h }));
        expect(out).toEqual(new Uint8Array(w * h * 3).fill(value));
      }
    }
  });

  it("weighs by Keys' kernel: an edge doubled in size", () => {
    const data = new Uint8Array([0, 0, 0, 255, 255, 255].flatMap((v) => [v, v, v]));
    const out = resizeBicubic(
      { data, width: 6, height: 1, channels: 3 },
      whole({ width: 6, height: 1 }),
      12,
      1,
      whole({ width: 12, height: 1 }),
    );
    // At phases 1/4 and 3/4 the kernel's weights are -9, 111, 29, -3 and their mirror, in 128ths.
    const half = (weights: number): number => Math.max(0, Math.min(255, Math.round((255 * weights) / 128)));
    expect([...out].filter((_, i) => i % 3 === 0)).toEqual([
      0,
      0,
      0,
      0,
      half(-9),
      half(26),
      half(102),
      half(137),
      255,
      255,
      255,
      255,
    ]);
  });

  it('computes in a window what it computes in the whole', () => {
    for (const channels of [3, 4] as const) {
      const source = noise(50, 40, channels);
      for (const [w, h] of [
        [23, 17],
        [50, 17],
        [23, 40],
        [80, 90],
      ] as const) {
        const full = resizeBicubic(source, whole(source), w, h, whole({ width: w, height: h }));
        const window = { left: 4, top: 3, width: 11, height: 9 };
        const part = resizeBicubic(source, whole(source), w, h, window);
        expect(part).toEqual(copyBox({ data: full, width: w, height: h, channels }, window));
      }
    }
  });

  it('sees nothing outside its box', () => {
    const source = noise(50, 40, 3);
    const box = { left: 5, top: 6, width: 30, height: 20 };
    const cut: Pixels = { data: copyBox(source, box), width: 30, height: 20, channels: 3 };
    const size = whole({ width: 16, height: 16 });
    expect(resizeBicubic(source, box, 16, 16, size)).toEqual(resizeBicubic(cut, whole(cut), 16, 16, size));
    expect(resizeNearest(source, box, 16, 16, size)).toEqual(resizeNearest(cut, whole(cut), 16, 16, size));
  });
});

describe('resizeNearest', () => {
  it('takes the pixel under the centre', () => {
    const data = new Uint8Array([10, 20, 30, 40].flatMap((v) => [v, v, v]));
    const row: Pixels = { data, width: 4, height: 1, channels: 3 };
    const reds = (width: number): number[] =>
      [...resizeNearest(row, whole(row), width, 1, whole({ width, height: 1 }))].filter(
        (_, i) => i % 3 === 0,
      );
    expect(reds(2)).toEqual([20, 40]);
    expect(reds(8)).toEqual([10, 10, 20, 20, 30, 30, 40, 40]);
    expect(reds(3)).toEqual([10, 30, 40]);
  });
});
