/** Unpacked copies of gzip files: made once, verified, bounded, and made anew where they are gone. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { open, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSource } from '../../../../src/data/datasets/open.js';
import { openLocalFile } from '../../../../src/data/storage/stored-file.js';
import { UnpackedCopies } from '../../../../src/data/storage/unpacked.js';
import { DataError } from '../../../../src/errors.js';
import { KeyedRandom } from '../../../../src/rng.js';
import { useCacheDirectory } from '../../../support/cache-directory.js';
import { MemoryFile } from '../../../support/memory-file.js';

const places = useCacheDirectory();
const at = (name: string): string => join(places.folder, name);
const folder = (): string => join(places.cache, 'unpacked');
const MIB = 2 ** 20;
const WHOLE = /^[0-9a-f]{32}-[0-9a-f]{32}$/;

const NUM_ROWS = 5000;
const lines = Array.from({ length: NUM_ROWS }, (_, i) =>
  JSON.stringify({ key: `k${i}`, alt: 'x'.repeat(i % 90) }),
);
const text = Buffer.from(lines.join('\n'));
const packed = gzipSync(text);

let copies: UnpackedCopies;
beforeEach(() => {
  copies = new UnpackedCopies(64 * MIB);
});
afterEach(async () => {
  await copies.close();
  await rm(folder(), { recursive: true, force: true });
});

/** Bytes that gzip does not shrink. */
function noise(length: number, seed: number): Buffer {
  const random = new KeyedRandom(seed, 'noise');
  const words = Uint32Array.from({ length: length / 4 }, () => random.uint32());
  return Buffer.from(words.buffer);
}

const names = async (): Promise<string[]> => (await readdir(folder())).sort();
const onlyCopy = async (): Promise<string> => join(folder(), (await names())[0] as string);

describe('an unpacked copy', () => {
  it('is made once, and anew when the file changed', async () => {
    const path = at('lines.jsonl.gz');
    await writeFile(path, packed);
    const source = await openSource(path);
    expect(await source.readRows([4321], ['key'])).toEqual([{ key: 'k4321' }]);
    const [name] = await names();
    const file = new MemoryFile(path, packed, (await openLocalFile(path)).version);
    expect((await copies.open(file)).size).toBe(text.length);
    expect(file.reads).toEqual([]);
    await source.close();
    await copies.close();
    await utimes(path, 1, 1);
    const again = await openSource(path);
    expect(again.numRows).toBe(NUM_ROWS);
    expect(await names()).toHaveLength(1);
    expect(await names()).not.toContain(name);
    await again.close();
  });

  it('is read anywhere as it was unpacked', async () => {
    const bytes = noise(300_000, 1);
    const copy = await copies.open(new MemoryFile('/noise.gz', gzipSync(bytes)));
    for (const [from, length] of [
      [0, 300_000],
      [0, 0],
      [65_535, 2],
      [131_072, 65_536],
      [299_999, 1],
      [70_000, 100_000],
    ] as const) {
      const read = await copy.read(from, length);
      expect(Buffer.compare(Buffer.from(read), bytes.subarray(from, from + length)), `${from}`).toBe(0);
    }
    await expect(copy.read(299_999, 2)).rejects.toThrow(/expected 300001 bytes, found 300000/);
    const empty = await copies.open(new MemoryFile('/empty.gz', gzipSync(Buffer.alloc(0))));
    expect(empty.size).toBe(0);
  });

  it('takes several members one after the other', async () => {
    const file = new MemoryFile('/two.gz', Buffer.concat([packed, gzipSync('\n{"key":"more"}')]));
    expect((await copies.open(file)).size).toBe(text.length + 15);
  });

  it('whose file is damaged or cut off is an error, and leaves nothing behind', async () => {
    for (let i = 0; i < 60; i++) {
      const place = Math.floor((packed.length * i) / 60);
      const flipped = Buffer.from(packed);
      flipped[place] = (flipped[place] as number) ^ 16;
      const damaged = copies.open(new MemoryFile(`/${i}.gz`, flipped));
      // Times, names and the like in the head may change.
      if (place > 10) {
        await expect(damaged, `byte ${place}`).rejects.toThrow(
          `/${i}.gz: the gzip file is cut off or damaged (`,
        );
        const cut = copies.open(new MemoryFile(`/${i}.gz`, packed.subarray(0, place)));
        await expect(cut).rejects.toThrow(DataError);
      } else await damaged.catch((error: unknown) => expect(error).toBeInstanceOf(DataError));
    }
    const after = await names();
    expect(after.length).toBeLessThan(11);
    expect(after.filter((name) => !WHOLE.test(name))).toEqual([]);
  });

  it('whose file cannot be read says so', async () => {
    const file = {
      path: '/gone.gz',
      size: 9,
      version: '1',
      read: () => Promise.reject(new DataError('/gone.gz: is gone.')),
    };
    await expect(copies.open(file)).rejects.toThrow(new DataError('/gone.gz: is gone.'));
  });

  it('of far more than text would shrink is refused', async () => {
    const bomb = gzipSync(Buffer.alloc(80 * MIB));
    await expect(new UnpackedCopies(1024 * MIB).open(new MemoryFile('/bomb.gz', bomb))).rejects.toThrow(
      /^\/bomb\.gz: unpacks from \d+ bytes to more than \d+; expected at most 200 times as many\./,
    );
  });
});

describe('a copy that is not what was written', () => {
  async function flip(path: string, place: number): Promise<void> {
    const file = await open(path, 'r+');
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, place);
    await file.write(Buffer.from([(byte[0] as number) ^ 1]), 0, 1, place);
    await file.close();
  }

  it('is found when it is read, and made anew', async () => {
    const file = new MemoryFile('/rot.gz', packed);
    const copy = await copies.open(file);
    await flip(await onlyCopy(), 100_000);
    const reads = file.reads.length;
    expect(Buffer.from(await copy.read(0, 10)).toString()).toBe(text.toString('utf8', 0, 10));
    expect(file.reads).toHaveLength(reads); // another piece is damaged
    const both = await Promise.all([copy.read(99_000, 2000), copy.read(100_000, 10)]);
    expect(Buffer.from(both[0]).equals(text.subarray(99_000, 101_000))).toBe(true);
    expect(Buffer.from(both[1]).equals(text.subarray(100_000, 100_010))).toBe(true);
    expect(file.reads.length).toBe(reads * 2);
  });

  it.each([
    ['its end is', (size: number) => size - 1],
    ['its checksums are', (size: number) => size - 70],
    ['its length is', (size: number) => size - 22],
  ])('is made anew at the next opening where %s damaged', async (_, place) => {
    await copies.open(new MemoryFile('/rot.gz', packed));
    const path = await onlyCopy();
    await flip(path, place((await stat(path)).size));
    const file = new MemoryFile('/rot.gz', packed);
    const other = new UnpackedCopies(64 * MIB);
    const copy = await other.open(file);
    expect(file.reads.length).toBeGreaterThan(0);
    expect(Buffer.from(await copy.read(0, text.length)).equals(text)).toBe(true);
    await other.close();
  });

  it('is cut off, or from before copies had checksums, is made anew', async () => {
    await copies.open(new MemoryFile('/rot.gz', packed));
    const path = await onlyCopy();
    for (const bytes of [text, (await readFile(path)).subarray(0, 1000), Buffer.alloc(0)]) {
      await writeFile(path, bytes);
      const other = new UnpackedCopies(64 * MIB);
      expect((await other.open(new MemoryFile('/rot.gz', packed))).size).toBe(text.length);
      await other.close();
    }
  });

  it('is gone is made anew, and only if the file is still what it was', async () => {
    const path = at('gone.jsonl.gz');
    await writeFile(path, packed);
    const copy = await copies.open(await openLocalFile(path));
    await rm(folder(), { recursive: true });
    expect(Buffer.from(await copy.read(5, 20)).equals(text.subarray(5, 25))).toBe(true);
    await rm(await onlyCopy());
    await writeFile(path, gzipSync('something else'));
    await expect(copy.read(0, 10)).rejects.toThrow(/gone\.jsonl\.gz: .*(changed|cut off)/);
  });
});

describe('the bound of copies', () => {
  const file = (i: number): MemoryFile => new MemoryFile(`/${i}.gz`, gzipSync(noise(600_000, i)));

  it('is held by giving up those used longest ago, not those in use', async () => {
    for (let i = 0; i < 3; i++) {
      const earlier = new UnpackedCopies(2 * MIB);
      await earlier.open(file(i));
      await earlier.close();
      const touched = new Date(Date.now() - 3_600_000 + i * 1000);
      const [made] = (await names()).filter((name) => !seen.has(name));
      seen.set(made as string, i);
      await utimes(join(folder(), made as string), touched, touched);
    }
    const small = new UnpackedCopies(2 * MIB);
    await small.open(file(0)); // used again, so that 1 is the oldest
    await small.open(file(3));
    const left = (await names()).map((name) => seen.get(name) ?? 3);
    expect(left.sort()).toEqual([0, 2, 3]);
    await small.close();
  });
  const seen = new Map<string, number>();

  it('is an error where all are in use, which says what to raise; what was there stays', async () => {
    const small = new UnpackedCopies(MIB);
    const first = await small.open(file(0));
    await expect(small.open(file(1))).rejects.toThrow(
      /^\/1\.gz: there is no room to unpack it: .* 1\.0 MiB are allowed\. Raise data\.storage\.unpackedMiB/,
    );
    expect(await names()).toHaveLength(1);
    expect((await first.read(0, 10)).length).toBe(10);
    await small.close();
    const next = new UnpackedCopies(MIB);
    expect((await next.open(file(1))).size).toBe(600_000);
    expect(await names()).toHaveLength(1);
    await next.close();
  });

  it('counts and clears what killed processes left', async () => {
    await copies.open(file(0));
    const stray = join(folder(), `${'a'.repeat(32)}-${'b'.repeat(32)}.1f2e3d4c`);
    const lock = join(folder(), `${'a'.repeat(32)}-${'b'.repeat(32)}.lock`);
    const fresh = join(folder(), `${'c'.repeat(32)}-${'b'.repeat(32)}.1f2e3d4c`);
    for (const path of [stray, lock, fresh]) await writeFile(path, 'unfinished');
    for (const path of [stray, lock]) await utimes(path, 1000, 1000);
    await copies.open(file(1));
    expect((await names()).filter((name) => !WHOLE.test(name))).toEqual([fresh.slice(folder().length + 1)]);
  });
});

describe('several processes', () => {
  it('make a copy once, and one killed in the midst of it does not keep the others from it', async () => {
    const path = at('big.gz');
    const bytes = noise(24 * MIB, 9);
    await writeFile(path, gzipSync(bytes, { level: 1 }));
    const child = (): ChildProcess =>
      fork(new URL('../../../support/unpack.mjs', import.meta.url), [path], {
        env: { ...process.env, CAPSTAN_CACHE: places.cache },
      });
    const first = child();
    const hasBegun = async (): Promise<boolean> =>
      (await readdir(folder()).catch(() => [])).some((name) => /\.[0-9a-f]{8}$/.test(name));
    while (!(await hasBegun())) await new Promise((resolve) => setTimeout(resolve, 1));
    first.kill('SIGKILL');
    await once(first, 'exit');
    const others = [child(), child()];
    const said = await Promise.all(
      others.map(async (each) => {
        const [message] = await once(each, 'message');
        await once(each, 'exit');
        return message as unknown;
      }),
    );
    expect(said).toEqual([bytes.length, bytes.length]);
    expect((await names()).filter((name) => !name.endsWith('.lock'))).toHaveLength(1);
  });
});
