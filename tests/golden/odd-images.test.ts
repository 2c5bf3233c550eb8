import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { evalTransform } from '../../src/data/image/transforms.js';
import { DataError } from '../../src/errors.js';

interface Case {
  file: string;
  /** Whether ImageOps.exif_transpose came first. */
  oriented: boolean;
  /** What Pillow says of a file that it refuses. */
  error?: string;
  offset: number;
}

const SIZE = 32;
const data = new URL('./data/', import.meta.url);
const { cases } = JSON.parse(readFileSync(new URL('odd-images.json', data), 'utf8')) as { cases: Case[] };
const outputs = gunzipSync(readFileSync(new URL('odd-images.bin.gz', data)));
const decode = ({ file, oriented }: Case): Promise<Uint8Array> =>
  evalTransform(readFileSync(new URL(`odd-images/${file}`, data)), SIZE, { exif: oriented });

/** Mean absolute difference of the bytes to Pillow's. */
async function difference(c: Case): Promise<number> {
  const expected = outputs.subarray(c.offset, c.offset + SIZE * SIZE * 3);
  const got = await decode(c);
  return got.reduce((sum, byte, i) => sum + Math.abs(byte - (expected[i] as number)), 0) / got.length;
}

/** Files that are read otherwise than by Pillow, as docs/data.md says: by how many levels at most, on average. */
const DEVIATIONS: Readonly<Record<string, { oriented: number; asIs: number }>> = {
  'gray-16.png': { oriented: 255, asIs: 255 }, // Pillow clips 16-bit grey to white
  'gray-16.tif': { oriented: 255, asIs: 255 },
  'float.tif': { oriented: 0.5, asIs: 0.5 }, // rounded here, cut off there
  'picture.avif': { oriented: 4, asIs: 4 }, // colours are interpolated otherwise
  'exif-6.avif': { oriented: 4, asIs: 255 }, // always upright here
};

const refused = cases.filter(({ error }) => error !== undefined);
const deviating = cases.filter(({ file }) => file in DEVIATIONS);
const equal = cases.filter((c) => !refused.includes(c) && !deviating.includes(c));

describe('images of unusual kinds', () => {
  it.each(equal)('$file, oriented $oriented: every byte as by Pillow', async (c) => {
    expect(await difference(c)).toBe(0);
  });

  it.each(deviating)('$file, oriented $oriented: a known deviation', async (c) => {
    const limits = DEVIATIONS[c.file] as { oriented: number; asIs: number };
    const found = await difference(c);
    expect(found).toBeGreaterThan(0); // or else it is none any more
    expect(found).toBeLessThanOrEqual(c.oriented ? limits.oriented : limits.asIs);
  });

  it.each(refused)('$file, oriented $oriented: refused as by Pillow', async (c) => {
    await expect(decode(c)).rejects.toThrow(DataError);
  });

  it('shows the eight orientations apart', async () => {
    const upright = await Promise.all(
      [1, 2, 3, 4, 5, 6, 7, 8].map((n) => decode({ file: `exif-${n}.jpg`, oriented: true, offset: 0 })),
    );
    expect(new Set(upright.map((pixels) => Buffer.from(pixels).toString('base64'))).size).toBe(8);
  });
});
