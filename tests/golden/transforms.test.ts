import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { Box } from '../../src/data/image/crop.js';
import { decodeImage } from '../../src/data/image/decode.js';
import { cropPixels, evalTransform } from '../../src/data/image/transforms.js';

interface EvalCase {
  kind: 'eval';
  file: string;
  size: number;
  mode: string;
  /** [channel, y, x, value] of open_clip's normalised tensor. */
  normalised: [number, number, number, number][];
  offset: number;
}
interface CropCase {
  kind: 'crop';
  file: string;
  size: number;
  box: Box;
  offset: number;
}

const data = new URL('./data/', import.meta.url);
const { cases } = JSON.parse(readFileSync(new URL('transforms.json', data), 'utf8')) as {
  cases: (EvalCase | CropCase)[];
};
const outputs = gunzipSync(readFileSync(new URL('transforms.bin.gz', data)));
const file = (name: string): Uint8Array => readFileSync(new URL(`transforms/${name}`, data));
const expected = (c: EvalCase | CropCase): Uint8Array =>
  outputs.subarray(c.offset, c.offset + c.size * c.size * 3);

const CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073];
const CLIP_STD = [0.26862954, 0.26130258, 0.27577711];

const evalCases = cases.filter((c) => c.kind === 'eval');
const cropCases = cases.filter((c) => c.kind === 'crop');

describe("open_clip 3.3.0's evaluation transform", () => {
  it('covers the modes of Pillow that files come in', () => {
    expect(new Set(evalCases.map((c) => c.mode))).toEqual(
      new Set(['1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'CMYK']),
    );
  });

  it.each(evalCases)('$file at $size: every byte equal', async (c) => {
    const got = await evalTransform(file(c.file), c.size);
    expect(Buffer.compare(got, expected(c))).toBe(0);
    for (const [channel, y, x, value] of c.normalised) {
      const byte = got[(y * c.size + x) * 3 + channel] as number;
      const normalised = (byte / 255 - (CLIP_MEAN[channel] as number)) / (CLIP_STD[channel] as number);
      expect(Math.abs(normalised - value)).toBeLessThan(1e-6);
    }
  });
});

describe("torchvision's resized_crop", () => {
  it.each(cropCases)('$file, $box: every byte equal', async (c) => {
    const got = new Uint8Array(c.size * c.size * 3);
    cropPixels(await decodeImage(file(c.file)), c.box, c.size, got);
    expect(Buffer.compare(got, expected(c))).toBe(0);
  });
});
