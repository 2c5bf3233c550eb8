import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { decodeImage } from '../../../../src/data/image/decode.js';
import { readImageHeader } from '../../../../src/data/image/header.js';
import { PixelRoom } from '../../../../src/data/image/pixels.js';
import { evalTransform, trainTransform } from '../../../../src/data/image/transforms.js';
import { DataError } from '../../../../src/errors.js';
import { KeyedRandom } from '../../../../src/rng.js';

const fixture = (name: string): Buffer =>
  readFileSync(new URL(`../../../golden/data/transforms/${name}`, import.meta.url));

describe('readImageHeader', () => {
  it.each([
    ['gradient.png', 'png', 'rgb', false],
    ['rgba.png', 'png', 'rgb', true],
    ['la.png', 'png', 'rgb', true],
    ['rgb-trns.png', 'png', 'rgb', false],
    ['palette-alpha.png', 'png', 'indexed', false],
    ['bilevel.png', 'png', 'indexed', false],
    ['photo-420.jpg', 'jpeg', 'rgb', false],
    ['photo-gray.jpg', 'jpeg', 'rgb', false],
    ['photo-cmyk.jpg', 'jpeg', 'cmyk', false],
    ['photo-icc.jpg', 'jpeg', 'rgb', false],
    ['photo.webp', 'webp', 'rgb', true],
    ['still.gif', 'gif', 'indexed', false],
  ])('%s', (name, format, mode, alphaChannel) => {
    expect(readImageHeader(fixture(name))).toEqual({ format, mode, alphaChannel });
  });

  it('knows TIFF and AVIF, and nothing else', async () => {
    const raw = sharp({ create: { width: 4, height: 4, channels: 3, background: 'red' } });
    expect(readImageHeader(await raw.clone().tiff().toBuffer())?.format).toBe('tiff');
    expect(readImageHeader(await raw.clone().avif().toBuffer())?.format).toBe('avif');
    expect(readImageHeader(Buffer.from('<html><body>404 not found'))).toBeUndefined();
    expect(readImageHeader(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'))).toBeUndefined();
    expect(readImageHeader(new Uint8Array(3))).toBeUndefined();
  });

  it('ends on a damaged JPEG', () => {
    expect(readImageHeader(Uint8Array.from([0xff, 0xd8, 0xff, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0, 0]))?.mode).toBe(
      'rgb',
    );
    expect(readImageHeader(new Uint8Array(64).fill(0xff).fill(0xd8, 1, 2))?.mode).toBe('rgb');
  });
});

describe('decodeImage', () => {
  it('does not turn a photograph by its EXIF orientation', async () => {
    const image = await decodeImage(fixture('photo-exif-6.jpg'));
    expect([image.width, image.height, image.channels]).toEqual([130, 98, 3]);
  });

  it('keeps the upper 8 of 16 bits, in colour and grey', async () => {
    const values = [0, 255, 256, 0x1234, 0x8000, 0xfeff, 0xff00, 0xffff];
    const raw = Uint16Array.from(values.flatMap((v) => [v, v, v]));
    const image = sharp(raw, { raw: { width: 8, height: 1, channels: 3 } });
    for (const [space, bytes] of [
      ['rgb16', await image.clone().toColourspace('rgb16').png().toBuffer()],
      ['grey16', await image.clone().toColourspace('grey16').png().toBuffer()],
    ] as const) {
      expect(bytes[24], space).toBe(16);
      const decoded = await decodeImage(bytes);
      expect(decoded.channels).toBe(3);
      expect([...decoded.data].filter((_, i) => i % 3 === 1)).toEqual(values.map((v) => v >> 8));
    }
  });

  it('takes the first picture of an animation', async () => {
    const frames = await Promise.all(
      ['#ff0000', '#0000ff'].map((background) =>
        sharp({ create: { width: 16, height: 12, channels: 3, background } })
          .png()
          .toBuffer(),
      ),
    );
    const animation = sharp(frames, { join: { animated: true } });
    for (const bytes of [
      await animation.clone().gif().toBuffer(),
      await animation.clone().webp({ lossless: true }).toBuffer(),
    ]) {
      expect((await sharp(bytes).metadata()).pages).toBe(2);
      const { width, height, data } = await decodeImage(bytes);
      expect([width, height, ...data.subarray(0, 3)]).toEqual([16, 12, 255, 0, 0]);
    }
  });

  it('puts a photograph where it is told, and a second one in the same place', async () => {
    const room = new PixelRoom();
    const [first, second] = [fixture('photo-420.jpg'), fixture('photo-gray.jpg')];
    const expected = await decodeImage(second);
    const before = await decodeImage(first, { room });
    expect(before).toEqual(await decodeImage(first));
    const after = await decodeImage(second, { room });
    expect(after).toEqual(expected);
    expect(after.data.buffer).toBe(before.data.buffer);
  });

  it.each([
    ['an empty file', new Uint8Array(0), /^The image is empty \(0 bytes\)\.$/],
    [
      'a web page',
      Buffer.from('<html>not found</html>'),
      /^The image is no JPEG, .* file: found 22 bytes that begin "<html>not fo"\.$/,
    ],
    [
      'a cut-off JPEG',
      fixture('photo-420.jpg').subarray(0, 1500),
      /^The image is a jpeg file that cannot be decoded/,
    ],
    [
      'a cut-off PNG',
      fixture('noise.png').subarray(0, 900),
      /^The image is a png file that cannot be decoded/,
    ],
    [
      'a PNG header alone',
      fixture('noise.png').subarray(0, 33),
      /^The image is a png file that cannot be decoded/,
    ],
  ])('refuses %s', async (_, bytes, message) => {
    const promise = decodeImage(bytes);
    await expect(promise).rejects.toThrow(DataError);
    await expect(promise).rejects.toThrow(message);
  });

  it('refuses a bomb before decoding it', async () => {
    await expect(decodeImage(fixture('noise.png'), { maxPixels: 97 * 61 - 1 })).rejects.toThrow(
      /^The image has more than 5,916 pixels; it may be a decompression bomb\.$/,
    );
    expect((await decodeImage(fixture('noise.png'), { maxPixels: 97 * 61 })).width).toBe(97);
    const bomb = Buffer.from(fixture('noise.png'));
    bomb.writeUInt32BE(60_000, 16);
    bomb.writeUInt32BE(60_000, 20);
    await expect(decodeImage(bomb)).rejects.toThrow(DataError);
  });
});

describe('the transforms', () => {
  it('train is a function of the key, and of the size that is asked for', async () => {
    const bytes = fixture('photo-420.jpg');
    const once = await trainTransform(bytes, 32, new KeyedRandom('a'));
    expect(once).toHaveLength(32 * 32 * 3);
    expect(await trainTransform(bytes, 32, new KeyedRandom('a'))).toEqual(once);
    expect(await trainTransform(bytes, 32, new KeyedRandom('b'))).not.toEqual(once);
  });

  it('train keeps as much of the area as it is told to', async () => {
    const bytes = fixture('photo-420.jpg');
    const crop = (cropScale: [number, number]) =>
      trainTransform(bytes, 32, new KeyedRandom('a'), { cropScale });
    expect(await crop([0.9, 1])).toEqual(await trainTransform(bytes, 32, new KeyedRandom('a')));
    expect(await crop([0.2, 0.3])).not.toEqual(await crop([0.9, 1]));
  });

  it('train mirrors as often as it is told to, and keeps the crop', async () => {
    const bytes = fixture('photo-420.jpg');
    const size = 9; // odd: the column in the middle stays
    const draw = (key: number, flip: number) =>
      trainTransform(bytes, size, new KeyedRandom('a', key), { flip });
    let mirrored = 0;
    for (let key = 0; key < 200; key++) {
      const plain = await draw(key, 0);
      const always = await draw(key, 1);
      for (let at = 0; at < plain.length; at++) {
        const [row, column, channel] = [Math.floor(at / (3 * size)), Math.floor(at / 3) % size, at % 3];
        expect(always[(row * size + size - 1 - column) * 3 + channel]).toBe(plain[at]);
      }
      const some = await draw(key, 0.3);
      expect([plain, always]).toContainEqual(some);
      if (Buffer.compare(some, always) === 0) mirrored++;
    }
    // 60 expected, with a deviation of 6.5.
    expect(Math.abs(mirrored - 60)).toBeLessThan(25);
  });

  it('train looks like eval: the crop moves it by little', async () => {
    const bytes = fixture('gradient.png');
    const evaluated = await evalTransform(bytes, 32);
    const trained = await trainTransform(bytes, 32, new KeyedRandom(1));
    const mean = (a: Uint8Array): number => a.reduce((sum, v) => sum + v, 0) / a.length;
    expect(Math.abs(mean(evaluated) - mean(trained))).toBeLessThan(8);
  });

  it('weights colours by alpha, and what is fully transparent turns black', async () => {
    // White and opaque left, red and transparent right: no red may bleed.
    const data = Buffer.from(
      Array.from({ length: 16 * 16 }, (_, i) => (i % 16 < 8 ? [255, 255, 255, 255] : [255, 0, 0, 0])).flat(),
    );
    const png = await sharp(data, { raw: { width: 16, height: 16, channels: 4 } })
      .png()
      .toBuffer();
    const out = await evalTransform(png, 8);
    for (let i = 0; i < out.length; i += 3) expect(out[i]).toBe(out[i + 1]);
    expect([...out.subarray(21, 24)]).toEqual([0, 0, 0]);
    expect([...out.subarray(0, 3)]).toEqual([255, 255, 255]);
  });
});
