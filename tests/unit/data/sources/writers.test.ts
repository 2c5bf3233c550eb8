import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Column, Row } from '../../../../src/data/schema.js';
import { openArrowShard } from '../../../../src/data/sources/arrow.js';
import { BlockCache } from '../../../../src/data/sources/block-cache.js';
import { openParquetShard } from '../../../../src/data/sources/parquet.js';
import type { Shard } from '../../../../src/data/sources/source.js';
import {
  openArrowWriter,
  openParquetWriter,
  type ShardWriter,
} from '../../../../src/data/sources/writers.js';
import { openLocalFile } from '../../../../src/data/storage/stored-file.js';
import { DataError } from '../../../../src/errors.js';

const turn: Column['type'] = {
  struct: [
    { name: 'from', type: 'string' },
    { name: 'value', type: 'string' },
  ],
};

const columns: Column[] = [
  { name: 'key', type: 'int64' },
  { name: 'picture', type: 'image' },
  { name: 'noise', type: 'binary' },
  { name: 'alt', type: 'string' },
  { name: 'captions', type: 'list<string>' },
  { name: 'turns', type: { list: turn } },
  {
    name: 'size',
    type: {
      struct: [
        { name: 'width', type: 'int64' },
        { name: 'ratio', type: 'float64' },
      ],
    },
  },
  { name: 'boxes', type: { list: { list: 'float64' } } },
  { name: 'nsfw', type: 'bool' },
];

const rows: Row[] = Array.from({ length: 23 }, (_, i) => ({
  key: i === 0 ? 2n ** 63n - 1n : BigInt(i) - 5n,
  picture:
    i % 5 === 0
      ? null
      : i % 5 === 1
        ? `${i}.jpg`
        : Uint8Array.from({ length: 400 + i }, (_, j) => (i * j) % 256),
  noise: i % 3 === 0 ? null : Uint8Array.of(255, i, 0),
  alt: i % 4 === 1 ? null : i % 4 === 2 ? '' : `größe 😀 ${i}`,
  captions:
    i % 7 === 3 ? null : Array.from({ length: i % 3 }, (_, j) => (j === 1 ? null : `caption ${i}.${j}`)),
  turns:
    i % 6 === 2
      ? null
      : Array.from({ length: i % 4 }, (_, j) =>
          j === 2 ? null : { from: 'human', value: j === 1 ? null : 'hi' },
        ),
  size: i % 5 === 4 ? null : { width: BigInt(i), ratio: i % 5 === 3 ? null : i / 7 },
  boxes: i % 4 === 0 ? [] : [[0.5, null, i], [], null],
  nsfw: i % 3 === 1 ? null : i % 2 === 0,
}));

const formats = {
  arrow: { open: openArrowShard, write: openArrowWriter },
  parquet: { open: openParquetShard, write: openParquetWriter },
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'capstan-writers-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.each(['arrow', 'parquet'] as const)('a writer of %s', (format) => {
  const { open, write } = formats[format];
  const path = (name: string): string => join(folder, `${name}.${format}`);
  const opened = async (name: string): Promise<Shard> =>
    open(await openLocalFile(path(name)), new BlockCache(1 << 24));

  it('keeps every value, its nulls and empty lists, written piece by piece', async () => {
    const writer = await write(path('all'), columns, 5);
    for (let i = 0; i < rows.length; i += 3) await writer.write(rows.slice(i, i + 3));
    expect(writer.numRows).toBe(23);
    await writer.close();
    const shard = await opened('all');
    expect(shard.columns).toEqual(columns.map(({ name }) => name));
    expect(await shard.readRows([...rows.keys()], shard.columns)).toEqual(rows);
  });

  it('shows nothing at its path before it is closed, and leaves nothing when given up', async () => {
    const writer = await write(path('later'), columns, 5);
    await writer.write(rows);
    const listed = async (): Promise<string[]> =>
      (await readdir(folder)).filter((name) => name.startsWith(`later.${format}`));
    expect(await listed()).toEqual([expect.stringMatching(/\.part$/)]);
    await writer.abort();
    expect(await listed()).toEqual([]);
    const whole = await write(path('later'), columns, 5);
    await whole.write(rows);
    await whole.close();
    expect(await listed()).toEqual([`later.${format}`]);
  });

  it('writes no rows', async () => {
    await (await write(path('none'), columns, 5)).close();
    const shard = await opened('none');
    expect([shard.numRows, shard.columns.length]).toEqual([0, columns.length]);
  });

  it.each([
    [{ alt: 7 }, "row 1: column 'alt' expected text, found number 7"],
    [{ key: 1.5 }, "row 1: column 'key' expected a whole number of 64 bits, found number 1.5"],
    [{ key: 2n ** 63n }, "column 'key' expected a whole number of 64 bits"],
    [{ captions: ['a', 3] }, "column 'captions[1]' expected text, found number 3"],
    [{ turns: [{ from: true }] }, "column 'turns[0].from' expected text, found boolean true"],
    [{ picture: 3 }, "column 'picture' expected bytes or a path, found number 3"],
    [{ size: 'large' }, "column 'size' expected a struct, found text"],
  ] as [Row, string][])('refuses %o', async (bad, text) => {
    const writer: ShardWriter = await write(path('bad'), columns, 5);
    const written = writer.write([rows[1] as Row, bad]);
    await expect(written).rejects.toThrow(text);
    await expect(written).rejects.toThrow(DataError);
    await writer.abort();
  });

  it('says when it cannot write', async () => {
    await expect(write(join(folder, 'nowhere', 'x'), columns, 5)).rejects.toThrow(
      /nowhere\/x: cannot be written \(ENOENT/,
    );
  });

  it('reads only the pages and buffers of large values that it needs', async () => {
    const images = Array.from({ length: 200 }, (_, i): Row => {
      return { key: i, image: new Uint8Array(100_000 + i).fill(i), alt: `alt ${i}` };
    });
    const writer = await write(
      path('large'),
      [
        { name: 'key', type: 'int64' },
        { name: 'image', type: 'image' },
        { name: 'alt', type: 'string' },
      ],
      400,
    );
    await writer.write(images);
    await writer.close();
    const file = await openLocalFile(path('large'));
    expect(file.size).toBeGreaterThan(20_000_000);
    let numBytes = 0;
    const counted = {
      path: file.path,
      size: file.size,
      version: file.version,
      read: (offset: number, length: number) => {
        numBytes += length;
        return file.read(offset, length);
      },
    };
    const shard = await open(counted, new BlockCache(1 << 28));
    expect(await shard.readColumn('key')).toEqual(images.map((_, i) => BigInt(i)));
    expect(await shard.readColumn('alt')).toEqual(images.map(({ alt }) => alt));
    expect(numBytes).toBeLessThan(200_000);
    const wanted = [150, 3, 151, 3, 199];
    const found = await shard.readRows(wanted, ['image', 'key']);
    for (const [at, i] of wanted.entries()) {
      expect(found[at]?.key).toBe(BigInt(i));
      // Not toEqual, which takes its time over so many bytes.
      expect(Buffer.compare(found[at]?.image as Uint8Array, images[i]?.image as Uint8Array)).toBe(0);
    }
    expect(numBytes).toBeLessThan(format === 'arrow' ? 700_000 : 5_000_000);
    expect((await shard.readColumn('image')).map((value) => (value as Uint8Array)[7])).toEqual(
      images.map((_, i) => i),
    );
  });
});
