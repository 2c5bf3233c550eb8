import { brotliCompressSync, gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type Decompress,
  gunzip,
  prepareZstd,
  unbrotli,
  unlz4Block,
  unlz4Frame,
  unlz4Hadoop,
  unsnappy,
  unzstd,
} from '../../../../src/data/sources/codecs.js';
import { damaged, dice } from '../../../support/damage.js';

beforeAll(prepareZstd);

const text = Buffer.from('the cat sat on the mat, and the cat sat on the hat. '.repeat(40));
const hex = (bytes: string): Buffer => Buffer.from(bytes.replace(/\s/g, ''), 'hex');

// 'aaaa…' of 100 bytes, written by hand from the formats: a literal, then a match one back.
const block = hex('1f 61 0100 4b 50 6161616161');
const frame = Buffer.concat([hex('04224d18 40 40 c0'), hex('0b000000'), block, hex('00000000')]);
const hadoop = Buffer.concat([hex('00000064 0000000b'), block]);
const snappy = hex('64 00 61 fe 0100 8a 0100');
const a100 = Buffer.alloc(100, 0x61);

describe.each([
  ['gzip', gunzip, gzipSync(text), text],
  [
    'several gzip members',
    gunzip,
    Buffer.concat([gzipSync(text), gzipSync(text)]),
    Buffer.concat([text, text]),
  ],
  ['brotli', unbrotli, brotliCompressSync(text), text],
  ['an LZ4 block', unlz4Block, block, a100],
  ['an LZ4 frame', unlz4Frame, frame, a100],
  ["Hadoop's LZ4", unlz4Hadoop, hadoop, a100],
  ['a bare block where Hadoop frames them', unlz4Hadoop, block, a100],
  ['snappy', unsnappy, snappy, a100],
  ['Zstandard: a run', unzstd, hex('28b52ffd 20 64 230300 61'), a100],
  ['Zstandard: of no stated size', unzstd, hex('28b52ffd 00 00 230300 61'), a100],
  [
    'Zstandard: two frames and one to skip',
    unzstd,
    hex('28b52ffd 20 32 930100 61 502a4d18 01000000 ff 28b52ffd 20 32 930100 61'),
    a100,
  ],
] as [string, Decompress, Uint8Array, Uint8Array][])('%s', (_, decode, packed, plain) => {
  it('is undone', () => {
    expect(Buffer.from(decode(packed, plain.length))).toEqual(Buffer.from(plain));
  });

  it('is refused when it holds more or less than is said', () => {
    for (const length of [0, 1, plain.length - 1, plain.length + 1]) {
      expect(() => decode(packed, length), `${length}`).toThrow();
    }
  });

  it('ends when damaged', () => {
    for (let seed = 0; seed < 300; seed++) {
      const bad = damaged(packed, dice(seed));
      try {
        expect(decode(bad, plain.length)).toHaveLength(plain.length);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }
  });
});

describe('bombs', () => {
  it.each([
    ['gzip', gunzip, gzipSync(Buffer.alloc(50_000_000))],
    ['brotli', unbrotli, brotliCompressSync(Buffer.alloc(50_000_000))],
    [
      'Zstandard',
      unzstd,
      Buffer.concat([
        hex('28b52ffd a0 80f0fa02'),
        ...Array<Buffer>(381).fill(hex('020010 00')),
        hex('030010 00'),
      ]),
    ],
    [
      'snappy',
      unsnappy,
      Buffer.concat([hex('80e1eb17 00 00'), ...Array<Buffer>(700_000).fill(hex('fe0100'))]),
    ],
  ] as [string, Decompress, Uint8Array][])(
    'of %s take no more than they were said to hold',
    (_, decode, packed) => {
      const before = process.memoryUsage.rss();
      expect(() => decode(packed, 1000)).toThrow();
      expect(process.memoryUsage.rss() - before).toBeLessThan(40_000_000);
    },
  );
});
