import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { type ImagePolicy, storeImage } from '../../../../src/data/download/store-image.js';
import { picture } from '../../../support/image-server.js';

const policy: ImagePolicy = {
  size: 20,
  resizeMode: 'no',
  onlyIfBigger: false,
  encode: undefined,
  quality: 95,
  skipReencode: false,
  minSize: 0,
  maxAspectRatio: Number.POSITIVE_INFINITY,
  maxPixels: 1_000_000,
};
const jpg = { ...policy, encode: 'jpg' } as const;

const pixelAt = async (bytes: Uint8Array, x: number, y: number): Promise<number[]> => {
  const { data, info } = await sharp(bytes).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const at = (y * info.width + x) * info.channels;
  return [...data.subarray(at, at + info.channels)];
};

describe('storeImage', () => {
  it.each(['jpeg', 'png', 'webp', 'gif'] as const)('keeps the bytes of a %s as they came', async (format) => {
    const bytes = await picture(5, { format });
    const stored = await storeImage(bytes, policy);
    expect(stored.bytes).toBe(bytes);
    expect(stored).toMatchObject({
      extension: format === 'jpeg' ? 'jpg' : format,
      width: 40,
      height: 30,
      originalWidth: 40,
      originalHeight: 30,
    });
  });

  // The sizes that img2dataset 1.47 gives for the same picture of 40 x 30.
  it.each([
    ['no', false, 20, 40, 30],
    ['keep-ratio', false, 20, 27, 20],
    ['keep-ratio-largest', false, 20, 20, 15],
    ['center-crop', false, 20, 20, 20],
    ['border', false, 20, 20, 20],
    ['keep-ratio', false, 60, 80, 60],
    ['keep-ratio-largest', false, 60, 60, 45],
    ['border', false, 60, 60, 60],
    ['keep-ratio', true, 60, 40, 30],
    ['center-crop', true, 60, 40, 30],
    ['border', true, 60, 40, 30],
    ['keep-ratio-largest', true, 35, 35, 26],
  ] as const)(
    'brings to size: %s, only if bigger %s, %i pixels',
    async (resizeMode, onlyIfBigger, size, width, height) => {
      const stored = await storeImage(await picture(1), { ...jpg, resizeMode, onlyIfBigger, size });
      const metadata = await sharp(stored.bytes).metadata();
      expect([metadata.width, metadata.height, stored.width, stored.height]).toEqual([
        width,
        height,
        width,
        height,
      ]);
      expect([stored.originalWidth, stored.originalHeight]).toEqual([40, 30]);
    },
  );

  it('crops the middle, and fills up with white', async () => {
    // Red, green and blue thirds side by side.
    const raw = Buffer.alloc(60 * 20 * 3);
    for (let i = 0; i < 60 * 20; i++) raw[i * 3 + Math.floor((i % 60) / 20)] = 255;
    const bytes = await sharp(raw, { raw: { width: 60, height: 20, channels: 3 } })
      .png()
      .toBuffer();
    const png = { ...policy, encode: 'png' } as const;
    const cropped = await storeImage(bytes, { ...png, resizeMode: 'center-crop' });
    expect(await pixelAt(cropped.bytes, 10, 10)).toEqual([0, 255, 0]);
    const filled = await storeImage(bytes, { ...png, resizeMode: 'border', size: 60 });
    expect(await pixelAt(filled.bytes, 30, 2)).toEqual([255, 255, 255]);
    expect(await pixelAt(filled.bytes, 10, 30)).toEqual([255, 0, 0]);
  });

  it('turns an image upright by its EXIF orientation when it encodes it anew, and leaves it when it does not', async () => {
    const raw = await sharp({ create: { width: 40, height: 20, channels: 3, background: 'black' } })
      .composite([
        { input: { create: { width: 20, height: 20, channels: 3, background: 'white' } }, left: 0, top: 0 },
      ])
      .jpeg()
      .withMetadata({ orientation: 6 })
      .toBuffer();
    const kept = await storeImage(raw, policy);
    expect([kept.width, kept.height]).toEqual([40, 20]);
    const turned = await storeImage(raw, { ...jpg, resizeMode: 'keep-ratio', size: 10 });
    expect([turned.width, turned.height, turned.originalWidth, turned.originalHeight]).toEqual([
      10, 20, 40, 20,
    ]);
    // What was on the left is on top.
    expect((await pixelAt(turned.bytes, 5, 3))[0]).toBeGreaterThan(240);
    expect((await pixelAt(turned.bytes, 5, 17))[0]).toBeLessThan(15);
    expect((await sharp(turned.bytes).metadata()).orientation).toBeUndefined();
  });

  it('puts what is transparent on white', async () => {
    const clear = await sharp({ create: { width: 8, height: 8, channels: 4, background: '#ff000000' } })
      .png()
      .toBuffer();
    const stored = await storeImage(clear, { ...policy, encode: 'png', skipReencode: true });
    expect(await pixelAt(stored.bytes, 4, 4)).toEqual([255, 255, 255]);
    expect((await sharp(stored.bytes).metadata()).hasAlpha).toBe(false);
  });

  it('encodes anew what is in the format already, unless told to skip that', async () => {
    const bytes = await picture(2);
    expect((await storeImage(bytes, jpg)).bytes).not.toBe(bytes);
    expect((await storeImage(bytes, { ...jpg, skipReencode: true })).bytes).toBe(bytes);
    const small = {
      ...jpg,
      skipReencode: true,
      resizeMode: 'keep-ratio',
      onlyIfBigger: true,
      size: 50,
    } as const;
    expect((await storeImage(bytes, small)).bytes).toBe(bytes);
    const webp = await storeImage(bytes, { ...policy, encode: 'webp', skipReencode: true });
    expect([webp.extension, (await sharp(webp.bytes).metadata()).format]).toEqual(['webp', 'webp']);
  });

  it.each([
    ['too-small', { minSize: 31 }],
    ['aspect-ratio', { maxAspectRatio: 1.3 }],
    ['too-many-pixels', { maxPixels: 1199 }],
  ] as const)('refuses by bounds: %s', async (reason, bounds) => {
    const bytes = await picture(1);
    await expect(storeImage(bytes, { ...policy, ...bounds })).rejects.toMatchObject({
      reason,
      message: '40 x 30 pixels',
    });
  });

  it('keeps what is just within bounds', async () => {
    const bounds = { minSize: 30, maxAspectRatio: 4 / 3, maxPixels: 1200 };
    expect((await storeImage(await picture(1), { ...policy, ...bounds })).width).toBe(40);
  });

  it('refuses a pixel bomb by its header', async () => {
    const bomb = await picture(1, { format: 'png' });
    bomb.writeUInt32BE(60_000, 16);
    bomb.writeUInt32BE(60_000, 20);
    await expect(storeImage(bomb, policy)).rejects.toMatchObject({
      reason: expect.stringMatching(/too-many-pixels|not-an-image/),
    });
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['a page', Buffer.from('<!doctype html><title>Not found</title>')],
    ['a drawing', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')],
    [
      'a JPEG that ends after its first bytes',
      Buffer.from('ffd8ffe000104a46494600010100000100010000', 'hex'),
    ],
  ])('refuses %s', async (_, bytes) => {
    await expect(storeImage(bytes, policy)).rejects.toMatchObject({ reason: 'not-an-image' });
  });

  it('refuses a damaged image where it is decoded', async () => {
    const bytes = await picture(1, { width: 300, height: 300 });
    const cut = bytes.subarray(0, bytes.length - 200);
    await expect(storeImage(cut, { ...jpg, resizeMode: 'border' })).rejects.toMatchObject({
      reason: 'not-an-image',
    });
  });
});
