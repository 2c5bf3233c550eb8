import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ImageFormat } from '../../../../src/data/image/header.js';
import { readImageHeader } from '../../../../src/data/image/header.js';
import {
  inverse,
  type Orientation,
  orient,
  orientBox,
  readOrientation,
} from '../../../../src/data/image/orientation.js';
import { KeyedRandom } from '../../../../src/rng.js';

const all: readonly Orientation[] = [1, 2, 3, 4, 5, 6, 7, 8];
const fixture = (name: string): Buffer =>
  readFileSync(new URL(`../../../golden/data/odd-images/${name}`, import.meta.url));

describe('readOrientation', () => {
  it.each([
    ['exif-1.jpg', 1],
    ['exif-8.jpg', 8],
    ['exif-big-endian.jpg', 3],
    ['exif-0.jpg', 1],
    ['exif-9.jpg', 1],
    ['exif-6.png', 6],
    ['exif-6.webp', 6],
    ['orientation-6.tif', 6],
    ['rgb.jpg', 1],
    ['alpha.webp', 1],
  ] as const)('of %s is %i', (name, orientation) => {
    const bytes = fixture(name);
    expect(readOrientation(bytes, readImageHeader(bytes)?.format as ImageFormat)).toBe(orientation);
  });

  it('finds some or none in damaged files, and ends', () => {
    const random = new KeyedRandom('damage');
    for (const name of ['exif-6.jpg', 'exif-6.png', 'exif-6.webp', 'orientation-6.tif']) {
      const whole = fixture(name);
      const format = readImageHeader(whole)?.format as ImageFormat;
      for (let trial = 0; trial < 300; trial++) {
        const bytes = Buffer.from(
          whole.subarray(0, random.int(4) === 0 ? random.int(whole.length) : whole.length),
        );
        for (let i = random.int(4); i >= 0 && bytes.length > 0; i--)
          bytes[random.int(Math.min(120, bytes.length))] = random.int(256);
        expect(all).toContain(readOrientation(bytes, format));
      }
    }
  });
});

describe('orient', () => {
  const data = Uint8Array.from({ length: 3 * 2 * 3 }, (_, i) => i);
  const image = { data, width: 3, height: 2, channels: 3 } as const;

  it('is undone by the inverse', () => {
    for (const orientation of all) {
      expect(orient(orient(image, orientation), inverse(orientation))).toEqual(image);
    }
  });

  it('turns right by 6: the lower left corner comes to the upper left', () => {
    const { width, height, data: turned } = orient(image, 6);
    expect([width, height]).toEqual([2, 3]);
    expect([...turned.subarray(0, 3)]).toEqual([...data.subarray(9, 12)]);
  });

  it('moves boxes as pixels', () => {
    const box = { left: 1, top: 0, width: 2, height: 1 };
    const marked = new Uint8Array(18);
    for (let x = 1; x < 3; x++) marked.fill(1, x * 3, x * 3 + 3);
    for (const orientation of all) {
      const turned = orient({ ...image, data: marked }, orientation);
      const { left, top, width, height } = orientBox(box, 3, 2, orientation);
      expect(width * height).toBe(2);
      for (let y = 0; y < turned.height; y++) {
        for (let x = 0; x < turned.width; x++) {
          const inside = x >= left && x < left + width && y >= top && y < top + height;
          expect(turned.data[(y * turned.width + x) * 3]).toBe(inside ? 1 : 0);
        }
      }
    }
  });
});
