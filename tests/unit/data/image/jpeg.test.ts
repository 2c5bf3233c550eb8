import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import sharp, { type JpegOptions, type Sharp } from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_MAX_PIXELS, decodeImage } from '../../../../src/data/image/decode.js';
import { decodeJpeg } from '../../../../src/data/image/jpeg.js';
import { KeyedRandom } from '../../../../src/rng.js';

const fixture = (name: string): Buffer =>
  readFileSync(new URL(`../../../golden/data/transforms/${name}`, import.meta.url));

/** What libvips alone makes of it, or its complaint. */
async function byLibvips(
  bytes: Uint8Array,
): Promise<{ data: Buffer; width: number; height: number } | string> {
  try {
    const options = { ignoreIcc: true, failOn: 'error', limitInputPixels: DEFAULT_MAX_PIXELS } as const;
    const image = sharp(bytes, options).raw({ depth: 'uchar' });
    const { data, info } = await image.toBuffer({ resolveWithObject: true });
    return { data, width: info.width, height: info.height };
  } catch (error) {
    return (error as Error).message;
  }
}

function noise(width: number, height: number): Sharp {
  const random = new KeyedRandom('jpeg', width, height);
  const data = Uint8Array.from({ length: width * height * 3 }, () => random.int(256));
  return sharp(data, { raw: { width, height, channels: 3 } });
}

describe('decodeJpeg', () => {
  const kinds: [string, JpegOptions][] = [
    ['baseline', {}],
    ['progressive', { progressive: true }],
    ['of the worst quality', { quality: 1 }],
    ['of the best quality', { quality: 100 }],
    ['with whole chroma', { chromaSubsampling: '4:4:4' }],
    ['by mozjpeg', { mozjpeg: true }],
  ];
  it.each(kinds)('gives the pixels of libvips: %s', async (_, options) => {
    for (const [width, height] of [
      [1, 1],
      [7, 33],
      [64, 48],
      [131, 97],
    ] as const) {
      for (const image of [noise(width, height), noise(width, height).toColourspace('b-w')]) {
        const bytes = await image.jpeg(options).toBuffer();
        const decoded = decodeJpeg(bytes, width * height);
        expect(decoded).toMatchObject({ width, height, channels: 3 });
        const expected = await byLibvips(bytes);
        expect(Buffer.compare(decoded?.data as Uint8Array, (expected as { data: Buffer }).data)).toBe(0);
      }
    }
  });

  it('leaves to libvips what is not ordinary', async () => {
    const bytes = fixture('photo-420.jpg');
    const { width, height } = decodeJpeg(bytes, DEFAULT_MAX_PIXELS) ?? { width: 0, height: 0 };
    expect(decodeJpeg(bytes, width * height)).toBeDefined();
    expect(decodeJpeg(bytes, width * height - 1)).toBeUndefined();
    expect(decodeJpeg(bytes.subarray(0, bytes.length - 40), DEFAULT_MAX_PIXELS)).toBeUndefined();
    expect(decodeJpeg(bytes.subarray(0, 20), DEFAULT_MAX_PIXELS)).toBeUndefined();
    expect(decodeJpeg(fixture('photo-cmyk.jpg'), DEFAULT_MAX_PIXELS)).toBeUndefined();
    expect(decodeJpeg(fixture('noise.png'), DEFAULT_MAX_PIXELS)).toBeUndefined();
  });

  it('reads what lies within a larger buffer', () => {
    const bytes = fixture('photo-420.jpg');
    const padded = new Uint8Array(bytes.length + 100).fill(255);
    padded.set(bytes, 37);
    expect(decodeJpeg(padded.subarray(37, 37 + bytes.length), DEFAULT_MAX_PIXELS)).toEqual(
      decodeJpeg(bytes, DEFAULT_MAX_PIXELS),
    );
  });

  it('does not follow a header to a size that the file does not have', async () => {
    const bytes = Buffer.from(fixture('photo-420.jpg'));
    const frame = bytes.indexOf(Buffer.from([0xff, 0xc0]));
    bytes.writeUInt16BE(65_000, frame + 5);
    bytes.writeUInt16BE(65_000, frame + 7);
    expect(decodeJpeg(bytes, DEFAULT_MAX_PIXELS)).toBeUndefined();
    await expect(decodeImage(bytes)).rejects.toThrow(/more than 178,956,970 pixels/);
  });

  it('limits the number of scans', async () => {
    const bytes = await noise(8, 8).jpeg({ progressive: true }).toBuffer();
    const lastScan = bytes.lastIndexOf(Buffer.from([0xff, 0xda]));
    const scan = bytes.subarray(lastScan, bytes.length - 2);
    const many = Buffer.concat([
      bytes.subarray(0, lastScan),
      ...Array(200).fill(scan),
      Buffer.from([0xff, 0xd9]),
    ]);
    expect(decodeJpeg(bytes, DEFAULT_MAX_PIXELS)).toBeDefined();
    expect(decodeJpeg(many, DEFAULT_MAX_PIXELS)).toBeUndefined();
  });
});

describe('damaged JPEGs', () => {
  const seeds: Buffer[] = [];
  beforeAll(async () => {
    for (const name of ['photo-420.jpg', 'photo-gray.jpg', 'photo-icc.jpg']) seeds.push(fixture(name));
    seeds.push(await noise(40, 30).jpeg({ progressive: true }).toBuffer());
  });

  it('are refused, or decoded, as libvips alone would', async () => {
    const random = new KeyedRandom('damage');
    let decodedHere = 0;
    let refused = 0;
    for (let trial = 0; trial < 400; trial++) {
      let bytes = Buffer.from(seeds[trial % seeds.length] as Buffer);
      const last = random.int(2) === 0 ? bytes.length : 700;
      for (let i = random.int(3); i >= 0; i--)
        bytes[random.int(Math.min(last, bytes.length))] = random.int(256);
      if (random.int(8) === 0) bytes = bytes.subarray(0, random.int(bytes.length));
      const decoded = decodeJpeg(bytes, DEFAULT_MAX_PIXELS);
      if (decoded === undefined) {
        refused++;
        continue;
      }
      decodedHere++;
      const expected = await byLibvips(bytes);
      expect(expected).not.toBeTypeOf('string');
      expect(Buffer.compare(decoded.data, (expected as { data: Buffer }).data)).toBe(0);
    }
    expect(Math.min(decodedHere, refused)).toBeGreaterThan(50);
  });
});

describe('a thread that decodes', () => {
  it('can be ended at any time, and others go on', async () => {
    const script = `
      const { parentPort, workerData } = require('node:worker_threads');
      import(workerData.module).then(({ decodeJpeg }) => {
        const decode = () => decodeJpeg(workerData.bytes, 1e6).width;
        parentPort.postMessage(decode());
        setInterval(decode, 0);
      });`;
    const module = new URL('../../../../dist/data/image/jpeg.js', import.meta.url).href;
    const bytes = fixture('photo-420.jpg');
    for (let round = 0; round < 3; round++) {
      const workers = [0, 1].map(() => new Worker(script, { eval: true, workerData: { module, bytes } }));
      const widths = workers.map((worker) => new Promise((resolve) => worker.once('message', resolve)));
      expect(await Promise.all(widths)).toEqual([130, 130]);
      await Promise.all(workers.map((worker) => worker.terminate()));
      expect(decodeJpeg(bytes, DEFAULT_MAX_PIXELS)?.width).toBe(130);
    }
  });
});
