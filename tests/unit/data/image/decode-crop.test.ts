import { readFileSync } from 'node:fs';
import sharp, { type JpegOptions, type Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { type Box, randomResizedCropBox } from '../../../../src/data/image/crop.js';
import { DEFAULT_MAX_PIXELS, decodeImage } from '../../../../src/data/image/decode.js';
import { decodeForCrop } from '../../../../src/data/image/decode-crop.js';
import { decodeJpeg } from '../../../../src/data/image/jpeg.js';
import { cropPixels } from '../../../../src/data/image/transforms.js';
import { KeyedRandom } from '../../../../src/rng.js';

const SIZE = 24;

/** A photograph's like: edges, colours, and fine noise. */
function picture(width: number, height: number): Sharp {
  const random = new KeyedRandom('picture', width, height);
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      const edge = (x >> 4) % 2 === (y >> 5) % 2 ? 90 : 0;
      data[at] = edge + (x * 150) / width + random.int(8);
      data[at + 1] = edge + (y * 150) / height + random.int(8);
      data[at + 2] = 200 - edge + random.int(8);
    }
  }
  return sharp(data, { raw: { width, height, channels: 3 } });
}

/** Nothing so fine that shrinking would change it. */
function waves(width: number, height: number): Sharp {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    return 128 + 60 * Math.sin(x / 11 + (i % 3)) + 60 * Math.sin(y / 9);
  });
  return sharp(data, { raw: { width, height, channels: 3 } });
}

async function cropped(bytes: Uint8Array, box: Box, scaledDecode: boolean, exif = true): Promise<Uint8Array> {
  const out = new Uint8Array(SIZE * SIZE * 3);
  const { image, drawn } = await decodeForCrop(bytes, SIZE, () => ({ box }), { scaledDecode, exif });
  cropPixels(image, drawn.box, SIZE, out);
  return out;
}

async function croppedOfWhole(bytes: Uint8Array, box: Box): Promise<Uint8Array> {
  const out = new Uint8Array(SIZE * SIZE * 3);
  cropPixels(await decodeImage(bytes, { exif: true }), box, SIZE, out);
  return out;
}

const kinds: [string, JpegOptions & { gray?: boolean }][] = [
  ['4:2:0', {}],
  ['4:4:4', { chromaSubsampling: '4:4:4' }],
  ['progressive', { progressive: true }],
  ['grey', { gray: true }],
  ['by mozjpeg', { mozjpeg: true }],
];

describe('a part of a JPEG', () => {
  it.each(kinds)('has the pixels of the whole, whichever way up: %s', async (_, { gray, ...options }) => {
    for (let orientation = 1; orientation <= 8; orientation++) {
      const image = picture(163, 118).withMetadata({ orientation });
      const bytes = await (gray ? image.toColourspace('b-w') : image).jpeg(options).toBuffer();
      const [width, height] = orientation < 5 ? [163, 118] : [118, 163];
      const random = new KeyedRandom('boxes', orientation);
      for (let trial = 0; trial < 6; trial++) {
        const box = randomResizedCropBox(width, height, random, [0.02, 1]);
        const expected = await croppedOfWhole(bytes, box);
        expect(Buffer.compare(await cropped(bytes, box, false), expected), JSON.stringify(box)).toBe(0);
      }
    }
  });

  it('is decoded without what is left, right and above, where that is much', async () => {
    const bytes = await picture(640, 480).jpeg().toBuffer();
    const partOf = (box: Box) => decodeJpeg(bytes, DEFAULT_MAX_PIXELS, undefined, () => ({ box, shrink: 1 }));
    expect(partOf({ left: 300, top: 200, width: 100, height: 100 })).toMatchObject({
      ...{ left: 272, top: 200, width: 144, height: 280, shrink: 1 },
    });
    expect(partOf({ left: 10, top: 5, width: 620, height: 470 })).toMatchObject({
      left: 0,
      width: 640,
      height: 480,
    });
  });

  it('is refused where the whole is, though the damage be elsewhere', async () => {
    const whole = await picture(160, 120).jpeg({ quality: 60 }).toBuffer();
    const box = { left: 40, top: 0, width: 30, height: 20 };
    const random = new KeyedRandom('damage');
    let [refused, same] = [0, 0];
    for (let trial = 0; trial < 300; trial++) {
      let bytes = Buffer.from(whole);
      for (let i = random.int(3); i >= 0; i--) bytes[random.int(bytes.length)] = random.int(256);
      if (random.int(4) === 0) bytes = bytes.subarray(0, random.int(bytes.length));
      const settled = await Promise.allSettled([cropped(bytes, box, false), croppedOfWhole(bytes, box)]);
      const [part, expected] = settled.map((each) => (each.status === 'fulfilled' ? each.value : 'refused'));
      expect(part).toEqual(expected);
      if (part === 'refused') refused++;
      else same++;
    }
    expect(Math.min(refused, same)).toBeGreaterThan(30);
  });

  it('cut off at any byte is refused', async () => {
    const bytes = readFileSync(new URL('../../../golden/data/odd-images/progressive.jpg', import.meta.url));
    const box = { left: 4, top: 2, width: 20, height: 10 };
    await expect(cropped(bytes, box, false)).resolves.toBeDefined();
    for (let end = 0; end < bytes.length; end += 7) {
      for (const scaled of [false, true]) {
        await expect(cropped(bytes.subarray(0, end), box, scaled), `${end}`).rejects.toThrow(/image/);
      }
    }
  });
});

describe('scaled decoding', () => {
  it('takes the smallest size of which the crop has as many pixels as are wanted', async () => {
    const bytes = await picture(400, 300).jpeg().toBuffer();
    const sizeOf = async (side: number): Promise<number> => {
      const box = { left: 0, top: 0, width: side, height: side };
      const { image, drawn } = await decodeForCrop(bytes, SIZE, () => ({ box }), { scaledDecode: true });
      expect(image.width).toBeLessThanOrEqual(400);
      return drawn.box.width;
    };
    expect(await sizeOf(8 * SIZE)).toBe(SIZE);
    expect(await sizeOf(8 * SIZE - 1)).toBe((8 * SIZE - 1) / 4);
    expect(await sizeOf(2 * SIZE)).toBe(SIZE);
    expect(await sizeOf(2 * SIZE - 1)).toBe(2 * SIZE - 1);
  });

  it('looks like the whole, in place, whichever way up', async () => {
    for (let orientation = 1; orientation <= 8; orientation++) {
      const bytes = await waves(331, 277).withMetadata({ orientation }).jpeg({ quality: 95 }).toBuffer();
      const [width, height] = orientation < 5 ? [331, 277] : [277, 331];
      const random = new KeyedRandom('boxes', orientation);
      for (let trial = 0; trial < 4; trial++) {
        const box = randomResizedCropBox(width, height, random, [0.2, 1]);
        const [expected, got] = [await croppedOfWhole(bytes, box), await cropped(bytes, box, true)];
        const sum = got.reduce((total, byte, i) => total + Math.abs(byte - (expected[i] as number)), 0);
        // It is 0.4 to 0.9; half a pixel of the result off it would be 5 or more.
        expect(sum / got.length).toBeLessThan(2);
      }
    }
  });

  it('leaves other formats as they are', async () => {
    const bytes = await picture(300, 200).png().toBuffer();
    const box = { left: 3, top: 4, width: 250, height: 180 };
    expect(await cropped(bytes, box, true)).toEqual(await croppedOfWhole(bytes, box));
  });
});
