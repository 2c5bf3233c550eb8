import { once } from 'node:events';
import { totalmem } from 'node:os';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { checkCacheBytes, DecodedCache } from '../../../src/data/decoded-cache.js';
import type { DecodedImage } from '../../../src/data/image/decode.js';
import { ConfigError } from '../../../src/errors.js';

/** What the table takes, and the facts before an image's pixels. */
const tableBytes = (numRows: number): number => 8 * (2 + numRows);
const FACT_BYTES = 20;

function allocate(bytes: number, numRows: number): DecodedCache {
  const cache = DecodedCache.allocate(bytes, numRows);
  if (cache === undefined) throw new Error(`no cache for ${bytes} bytes`);
  return cache;
}

/** An image of one colour, with three channels. */
function plain(value: number, width: number, height: number): DecodedImage {
  const data = new Uint8Array(width * height * 3).fill(value);
  return { data, width, height, channels: 3, mode: 'rgb', hasAlpha: false };
}

const keptOf = (cache: DecodedCache, numRows: number): number[] =>
  [...Array(numRows).keys()].filter((row) => cache.has(row));

describe('DecodedCache', () => {
  it('gives back each image as it was put, to whoever has its memory', () => {
    const cache = allocate(10_000, 4);
    const images: DecodedImage[] = [
      plain(7, 5, 3),
      { ...plain(0, 1, 1), mode: 'indexed' },
      { data: Uint8Array.of(1, 2, 3, 4), width: 1, height: 1, channels: 4, mode: 'rgb', hasAlpha: true },
      { data: Uint8Array.of(5, 6, 7, 8), width: 1, height: 1, channels: 4, mode: 'cmyk', hasAlpha: false },
    ];
    for (const row of [2, 0, 3, 1]) {
      expect(cache.has(row)).toBe(false);
      expect(cache.get(row)).toBeUndefined();
      cache.put(row, images[row] as DecodedImage);
    }
    const shared = new DecodedCache(cache.memory);
    for (const [row, image] of images.entries()) {
      expect(shared.has(row)).toBe(true);
      expect(shared.get(row)).toEqual(image);
    }
  });

  it('keeps what fits, to the last byte, and after what does not fit what does', () => {
    const size = FACT_BYTES + 300;
    const cache = allocate(tableBytes(5) + 2 * size, 5);
    cache.put(0, plain(1, 100, 100)); // larger than the whole cache
    cache.put(1, plain(2, 10, 10));
    cache.put(2, plain(3, 10, 11)); // larger than what is left
    cache.put(3, plain(4, 10, 10));
    cache.put(4, plain(5, 1, 1));
    expect(keptOf(cache, 5)).toEqual([1, 3]);
    expect(cache.get(1)?.data).toEqual(plain(2, 10, 10).data);
    expect(cache.get(3)?.data).toEqual(plain(4, 10, 10).data);
  });

  it('keeps a row once', () => {
    const cache = allocate(tableBytes(2) + 2 * (FACT_BYTES + 300), 2);
    cache.put(0, plain(1, 10, 10));
    cache.put(0, plain(2, 10, 10));
    cache.put(1, plain(3, 10, 10));
    expect([0, 1].map((row) => cache.get(row)?.data[0])).toEqual([1, 3]);
  });

  it('takes the memory it is given and no more, and none if it is too little', () => {
    expect(allocate(5000, 10).memory.byteLength).toBe(5000);
    for (const bytes of [0, 1, tableBytes(10)]) expect(DecodedCache.allocate(bytes, 10)).toBeUndefined();
  });

  // No array of Node 20's is longer than 4 GiB. The system gives memory only where it is written to.
  it.skipIf(totalmem() < 8 * 2 ** 30)('may be larger than one array', () => {
    const cache = allocate(5 * 2 ** 30, 3);
    cache.put(1, plain(9, 4, 4));
    expect(cache.get(1)).toEqual(plain(9, 4, 4));
  });

  it('refuses more than there is', () => {
    const message =
      /^data\.cacheMiB asks for 1,073,741,824 MiB, but this machine gives [\d,]+ MiB of memory\. /;
    expect(() => DecodedCache.allocate(2 ** 50, 3)).toThrow(message);
    expect(() => checkCacheBytes(2 ** 50)).toThrow(ConfigError);
    checkCacheBytes(2 ** 20);
  });

  it('is filled by several threads at a time without loss of an image or of room', async () => {
    const [numRows, numThreads] = [3000, 3];
    // Of 6 to 25 pixels, so that images begin at all sorts of places; there is room for each once and no more.
    const widths = Array.from({ length: numRows }, (_, row) => 6 + (row % 20));
    const sizes = widths.map((width) => FACT_BYTES + Math.ceil((width * 3) / 4) * 4);
    const cache = allocate(tableBytes(numRows) + sizes.reduce((sum, size) => sum + size), numRows);
    const start = new Int32Array(new SharedArrayBuffer(4));
    const script = `
      const { parentPort, workerData } = require('node:worker_threads');
      const { memory, start, widths, mark, modulePath } = workerData;
      import(modulePath).then(({ DecodedCache }) => {
        const cache = new DecodedCache(memory);
        Atomics.add(start, 0, 1);
        while (Atomics.load(start, 0) < ${numThreads}); // all begin at once
        const pause = new Int32Array(new SharedArrayBuffer(4));
        for (const [row, width] of widths.entries()) {
          if (row % 500 === 0) Atomics.wait(pause, 0, 0, 2); // a busy machine may run one thread to its end otherwise
          const data = new Uint8Array(width * 3).fill(mark);
          cache.put(row, { data, width, height: 1, channels: 3, mode: 'rgb', hasAlpha: false });
        }
        parentPort.postMessage('done');
      });`;
    const modulePath = new URL('../../../dist/data/decoded-cache.js', import.meta.url).href;
    const workers = Array.from({ length: numThreads }, (_, i) => {
      const workerData = { memory: cache.memory, start, widths, mark: i + 1, modulePath };
      return new Worker(script, { eval: true, workerData });
    });
    await Promise.all(workers.map((worker) => once(worker, 'message')));
    await Promise.all(workers.map((worker) => worker.terminate()));

    const marks = new Set<number>();
    for (const [row, width] of widths.entries()) {
      const data = cache.get(row)?.data;
      expect(data, `row ${row}`).toEqual(new Uint8Array(width * 3).fill(data?.[0] as number));
      marks.add(data?.[0] as number);
    }
    expect(marks.size).toBeGreaterThan(1); // threads that did not meet would show nothing
  });
});
