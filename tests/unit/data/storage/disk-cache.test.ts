import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type BlockKey, DiskCache, fileKey } from '../../../../src/data/storage/disk-cache.js';
import { keptBlocks } from '../../../support/kept-blocks.js';
import { noise } from '../../../support/wheel-index.js';

const NUM_PARTS = 64;
let directory: string;
let warnings: string[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'capstan-cache-'));
  warnings = [];
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function open(maxBytes = 1 << 24, at = directory): DiskCache {
  return new DiskCache(at, maxBytes, (text) => warnings.push(text));
}

function keyOf(index: number, bytes = 1000): BlockKey {
  return { file: fileKey('http://server/file', 'v1'), index, bytes };
}

function block(index: number, bytes = 1000): Uint8Array<ArrayBuffer> {
  return new Uint8Array(noise(bytes, index + 1));
}

describe('the disk cache', () => {
  it('gives back what was put into it, to another instance too', async () => {
    await open().put(keyOf(3), block(3));
    const again = open();
    expect(await again.get(keyOf(3))).toEqual(block(3));
    expect(await again.get(keyOf(4))).toBeUndefined();
    expect(await again.get({ ...keyOf(3), file: fileKey('http://server/file', 'v2') })).toBeUndefined();
    expect(again.stats).toEqual({ hits: 1, misses: 2, damaged: 0, evicted: 0 });
  });

  it.each<[string, (path: string) => void]>([
    [
      'has a flipped bit',
      (path) => {
        const bytes = readFileSync(path);
        bytes[500] = (bytes[500] as number) ^ 4;
        writeFileSync(path, bytes);
      },
    ],
    ['is cut off', (path) => truncateSync(path, 700)],
    ['is empty', (path) => truncateSync(path, 0)],
    ['is longer', (path) => writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.alloc(1)]))],
  ])('drops a block that %s, counts it, and takes it anew', async (_what, damage) => {
    const cache = open();
    await cache.put(keyOf(0), block(0));
    damage(keptBlocks(directory)[0] as string);
    expect(await cache.get(keyOf(0))).toBeUndefined();
    expect(cache.stats.damaged).toBe(1);
    expect(keptBlocks(directory)).toEqual([]);
    await cache.put(keyOf(0), block(0));
    expect(await cache.get(keyOf(0))).toEqual(block(0));
  });

  it('does not take one block for another of the same length', async () => {
    const cache = open();
    await cache.put(keyOf(0), block(0));
    await cache.put(keyOf(NUM_PARTS), block(NUM_PARTS));
    const [first, second] = keptBlocks(directory) as [string, string];
    renameSync(first, second);
    const found = await Promise.all([cache.get(keyOf(0)), cache.get(keyOf(NUM_PARTS))]);
    expect(found).toEqual([undefined, undefined]);
    expect(cache.stats.damaged).toBe(1);
  });

  it('stays within its bound, and gives up what was used longest ago', async () => {
    const cache = open(NUM_PARTS * 10_000);
    for (let i = 0; i < 9; i++) {
      await cache.put(keyOf(i * NUM_PARTS), block(i));
      const path = keptBlocks(directory).find((file) => file.includes(`-${i * NUM_PARTS}-`)) as string;
      utimesSync(path, i + 1, i + 1);
    }
    expect(await cache.get(keyOf(0))).toBeDefined();
    await cache.put(keyOf(9 * NUM_PARTS), block(9));
    expect(cache.stats.evicted).toBe(2);
    expect(await cache.get(keyOf(0))).toBeDefined();
    expect(await cache.get(keyOf(NUM_PARTS))).toBeUndefined();
    expect(await cache.get(keyOf(2 * NUM_PARTS))).toBeUndefined();
    for (let i = 0; i < 400; i++) await cache.put(keyOf(i), block(i));
    expect(bytesIn(directory)).toBeLessThanOrEqual(NUM_PARTS * 10_000);
  });

  it('holds the bound when many blocks are put at once, and by two instances', async () => {
    const caches = [open(NUM_PARTS * 5000), open(NUM_PARTS * 5000)];
    await Promise.all(
      Array.from({ length: 1200 }, (_, i) => (caches[i % 2] as DiskCache).put(keyOf(i), block(i))),
    );
    expect(bytesIn(directory)).toBeLessThanOrEqual(NUM_PARTS * 5000);
    expect(keptBlocks(directory).length).toBeGreaterThan(NUM_PARTS);
    expect(warnings).toEqual([]);
  });

  it.runIf(process.platform === 'linux')(
    'works on without a disk that can be written, and says so once',
    async () => {
      // A folder cannot be made below a file, whoever asks.
      writeFileSync(join(directory, 'file'), '');
      const cache = open(1 << 24, join(directory, 'file', 'cache'));
      await Promise.all([0, 1, 2].map((i) => cache.put(keyOf(i), block(i))));
      await cache.put(keyOf(3), block(3));
      expect(await cache.get(keyOf(0))).toBeUndefined();
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toMatch(/cannot be written \(ENOTDIR.*fetched without it.*cacheDir/);
    },
  );

  it('goes on when somebody empties it', async () => {
    const cache = open();
    await cache.put(keyOf(0), block(0));
    rmSync(directory, { recursive: true });
    expect(await cache.get(keyOf(0))).toBeUndefined();
    await cache.put(keyOf(0), block(0));
    expect(await cache.get(keyOf(0))).toEqual(block(0));
  });
});

describe('processes that share a cache', () => {
  const script = fileURLToPath(new URL('../../../support/fill-cache.mjs', import.meta.url));
  const start = (): ChildProcess => fork(script, [directory, `${NUM_PARTS * 20_000}`], { execArgv: [] });

  it('may be killed at any moment: what is there is whole, within the bound, and goes on being used', async () => {
    for (let round = 0; round < 6; round++) {
      const children = [start(), start()];
      await Promise.all(children.map((child) => once(child, 'message')));
      await delay(10 + round * 23);
      for (const child of children) child.kill('SIGKILL');
      await Promise.all(children.map((child) => once(child, 'exit')));
    }
    const cache = open(NUM_PARTS * 20_000);
    const kept = keptBlocks(directory);
    expect(kept.length).toBeGreaterThan(0);
    for (const path of kept) {
      const index = Number(/-(\d+)-1000$/.exec(path)?.[1]);
      expect(await cache.get(keyOf(index))).toEqual(block(index));
    }
    expect(cache.stats.damaged).toBe(0);
    expect(kept.reduce((sum, path) => sum + statSync(path).size, 0)).toBeLessThanOrEqual(NUM_PARTS * 20_000);
  });
});

function bytesIn(cacheDir: string): number {
  return keptBlocks(cacheDir).reduce((sum, path) => sum + statSync(path).size, 0);
}
