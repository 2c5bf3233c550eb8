import { describe, expect, it } from 'vitest';
import { ReadScope } from '../../../../src/data/free-memory.js';
import type { Column, Row } from '../../../../src/data/schema.js';
import { BlockCache } from '../../../../src/data/sources/block-cache.js';
import { openParquetShard } from '../../../../src/data/sources/parquet.js';
import { type ParquetCompression, parquetEncoder } from '../../../../src/data/sources/parquet-encoder.js';
import { MemoryFile } from '../../../support/memory-file.js';

const columns: Column[] = [
  { name: 'key', type: 'string' },
  { name: 'image', type: 'image' },
  { name: 'alt', type: 'string' },
];
const NUM_ROWS = 100;

/** Rows of which the images make pages of their own if they are large. */
function rowsOf(imageBytes: number): Row[] {
  return Array.from({ length: NUM_ROWS }, (_, i) => ({
    key: `k${i}`,
    image: new Uint8Array(imageBytes).fill(i),
    alt: i % 5 === 0 ? null : `the caption ${i % 7}, with an umlaut: ü`,
  }));
}

async function fileOf(rows: readonly Row[], compression: ParquetCompression): Promise<MemoryFile> {
  const encoder = await parquetEncoder(columns, compression);
  const parts = [...encoder.group(rows.slice(0, 60)), ...encoder.group(rows.slice(60)), ...encoder.end()];
  return new MemoryFile('/data/a.parquet', Buffer.concat(parts));
}

/** Reads all rows in order, some at a time, each into a scope. */
async function readSlices(file: MemoryFile, expected: readonly Row[]): Promise<Uint8Array[]> {
  const shard = await openParquetShard(file, new BlockCache(1 << 28));
  file.reads.length = 0;
  const images: Uint8Array[] = [];
  for (let from = 0; from < NUM_ROWS; from += 16) {
    const scope = new ReadScope();
    const indices = Array.from({ length: Math.min(16, NUM_ROWS - from) }, (_, i) => from + i);
    const rows = await shard.readRows(indices, ['key', 'image', 'alt'], scope);
    for (const [i, row] of rows.entries()) {
      const { image, ...others } = expected[from + i] as Row;
      const found = row.image as Uint8Array;
      expect(Buffer.compare(found, image as Uint8Array)).toBe(0);
      expect({ key: row.key, alt: row.alt }).toEqual(others);
      images.push(found);
    }
    scope.free();
  }
  return images;
}

describe.each([
  ['small images, row group by row group', 1000],
  ['large images, page by page', 300_000],
] as const)('%s', (_, imageBytes) => {
  const rows = rowsOf(imageBytes);

  it.each(['none', 'snappy', 'zstd', 'gzip'] as const)(
    'are read once, with text by %s',
    async (compression) => {
      const file = await fileOf(rows, compression);
      await readSlices(file, rows);
      const starts = file.reads.map(([offset, length]) => `${offset} ${length}`);
      expect(starts.length).toBeGreaterThan(5);
      expect(new Set(starts).size).toBe(starts.length);
    },
  );

  it('are gone when the scope is freed, but for what a later slice shares', async () => {
    const images = await readSlices(await fileOf(rows, 'snappy'), rows);
    const numFreed = images.filter(({ length }) => length === 0).length;
    if (imageBytes === 300_000) expect(numFreed).toBeGreaterThan(NUM_ROWS / 2);
    expect(images.every(({ length }) => length === 0 || length === imageBytes)).toBe(true);
  });

  it('are copies without a scope', async () => {
    const shard = await openParquetShard(await fileOf(rows, 'snappy'), new BlockCache(1 << 28));
    const [row] = await shard.readRows([59], ['image']);
    expect(((row as Row).image as Uint8Array).buffer.byteLength).toBe(imageBytes);
  });
});

it('says in words of the file that a field of the footer is missing or has no number', async () => {
  const rows = rowsOf(10);
  const whole = (await fileOf(rows, 'none')).bytes;
  const footer =
    whole.length - 8 - new DataView(whole.buffer, whole.byteOffset).getUint32(whole.length - 8, true);
  for (let at = footer; at < whole.length - 8; at++) {
    const bytes = Uint8Array.from(whole);
    bytes[at] = (bytes[at] as number) ^ 0x10; // the number of a field, where it is its head
    const text = await openParquetShard(
      new MemoryFile('/data/a.parquet', bytes),
      new BlockCache(1 << 20),
    ).then(
      () => '',
      (error: Error) => error.message,
    );
    expect(text).not.toMatch(/NaN|undefined|Cannot read|BigInt|is not a function/);
  }
});
