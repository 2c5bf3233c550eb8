import { afterEach, describe, expect, it } from 'vitest';
import { clipMergesPath } from '../../../src/assets/index.js';
import type { Chunk } from '../../../src/data/decode-chunk.js';
import { WorkerPool } from '../../../src/data/worker-pool.js';
import { DataError } from '../../../src/errors.js';
import { noiseImages } from '../../support/memory-source.js';

const pools: WorkerPool[] = [];
const settings = {
  ...({ transform: 'eval', augmentation: {}, exif: false, scaledDecode: false } as const),
  ...{ imageSize: 8, contextLength: 8, seed: 0 },
};

afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close()));
});

async function start(numWorkers: number, mergesPath?: string): Promise<WorkerPool> {
  const tokenizer = { kind: 'clip', path: mergesPath ?? (await clipMergesPath()) } as const;
  const pool = new WorkerPool(numWorkers, { settings, tokenizer });
  pools.push(pool);
  return pool;
}

async function chunk(): Promise<Chunk> {
  const [image] = (await noiseImages(1)) as [Uint8Array];
  const bytes = new Uint8Array(image.length + 3);
  bytes.set(image);
  return {
    epoch: 0,
    keys: ['good', 'bad'],
    texts: ['a cat', 'a dog'],
    bytes,
    offsets: [0, image.length, image.length + 3],
    rows: [0, 1],
  };
}

describe('WorkerPool', () => {
  it('decodes what it can and says why of the rest', async () => {
    const decoded = await (await start(1)).decode(await chunk());
    expect(decoded.failures).toEqual([null, expect.stringContaining('The image is no JPEG, PNG')]);
    expect(decoded.pixels.subarray(0, 192).some((value) => value > 0)).toBe(true);
    expect(decoded.pixels.subarray(192).every((value) => value === 0)).toBe(true);
    expect([...decoded.tokens]).toEqual([
      49406, 320, 2368, 49407, 0, 0, 0, 0, 49406, 320, 1929, 49407, 0, 0, 0, 0,
    ]);
    expect([...decoded.numTokens]).toEqual([4, 4]);
  });

  it('rejects the work under way and all that comes later when a worker stops', async () => {
    const pool = await start(2);
    await pool.decode(await chunk());
    const broken = { ...(await chunk()), epoch: Number.NaN, texts: null as unknown as string[] };
    await expect(pool.decode(broken)).rejects.toThrow(
      /A decoding worker stopped: .+ Resume from the last checkpoint/,
    );
    const later = pool.decode(await chunk());
    await expect(later).rejects.toThrow(DataError);
    await expect(later).rejects.toThrow('A decoding worker stopped');
  });

  it('says so when the tokenizer cannot be read', async () => {
    const pool = await start(1, 'no/such/merges.gz');
    await expect(pool.decode(await chunk())).rejects.toThrow(/A decoding worker stopped: ENOENT.*merges\.gz/);
  });

  it('closes with work under way and leaves no thread', async () => {
    const pool = await start(2);
    const work = await Promise.all(Array.from({ length: 9 }, chunk));
    const settled = Promise.allSettled(work.map((part) => pool.decode(part)));
    await pool.close();
    for (const result of await settled) expect(result.status).toBe('rejected');
    await expect(pool.decode(await chunk())).rejects.toThrow('The loader was closed.');
    expect(pool.threadIds).toEqual([-1, -1]);
  });
});
