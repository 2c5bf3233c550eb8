/** Parquet and Arrow files of many kinds against the values of pyarrow or DuckDB (tools/golden/make_columnar.py). */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ReadScope } from '../../src/data/free-memory.js';
import type { Value } from '../../src/data/schema.js';
import { openArrowShard } from '../../src/data/sources/arrow.js';
import { BlockCache } from '../../src/data/sources/block-cache.js';
import { openParquetShard } from '../../src/data/sources/parquet.js';
import type { Shard } from '../../src/data/sources/source.js';
import { openLocalFile } from '../../src/data/storage/stored-file.js';
import { DataError } from '../../src/errors.js';

const folder = fileURLToPath(new URL('data/columnar/', import.meta.url));
const filesIn = (name: string): string[] =>
  readdirSync(join(folder, name)).filter((each) => /\.(arrow|parquet)$/.test(each));

async function open(name: string): Promise<Shard> {
  const file = await openLocalFile(join(folder, name));
  const cache = new BlockCache(1 << 26);
  return name.endsWith('.arrow') ? openArrowShard(file, cache) : openParquetShard(file, cache);
}

function isRepeated(value: string | Uint8Array): boolean {
  if (typeof value === 'string') return value === (value[0] as string).repeat(value.length);
  return Buffer.compare(value, Buffer.alloc(value.length, value[0])) === 0;
}

/** A value in the generator's notation. */
function written(value: Value): unknown {
  if (typeof value === 'bigint') return { $bigint: String(value) };
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) return { $float: String(value) };
    return value === 0 ? 0 : value; // JSON has no -0
  }
  if (value instanceof Uint8Array || typeof value === 'string') {
    if (value.length > 1000 && isRepeated(value)) return { $repeat: [value[0], value.length] };
  }
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('base64') };
  if (Array.isArray(value)) return value.map(written);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, written(each)]));
}

const names = filesIn('.');

it('finds the files', () => {
  expect(names.length).toBeGreaterThan(100);
});

describe.each(names)('%s', (name) => {
  const expected = JSON.parse(readFileSync(join(folder, `${name.split('.')[0]}.json`), 'utf8')) as Record<
    string,
    unknown[]
  >;

  it('reads equal to the values of the other reader, column by column', async () => {
    const shard = await open(name);
    expect(shard.columns.toSorted()).toEqual(Object.keys(expected).sort());
    for (const [column, values] of Object.entries(expected)) {
      expect(shard.numRows, column).toBe(values.length);
      expect((await shard.readColumn(column)).map(written), column).toEqual(values);
    }
  });

  it('reads rows in any order', async () => {
    const shard = await open(name);
    const order = Array.from({ length: shard.numRows }, (_, i) => (i * 7 + 3) % shard.numRows);
    const rows = await shard.readRows(order.slice(0, 40), shard.columns);
    for (const [i, row] of rows.entries()) {
      for (const column of shard.columns) {
        expect(written(row[column] as Value), `${column} ${order[i]}`).toEqual(
          expected[column]?.[order[i] as number],
        );
      }
    }
  });
});

describe.each(names)('%s, slice by slice', (name) => {
  it('reads the same into memory that is freed behind each slice', async () => {
    const expected = JSON.parse(readFileSync(join(folder, `${name.split('.')[0]}.json`), 'utf8')) as Record<
      string,
      unknown[]
    >;
    const shard = await open(name);
    const numRows = Math.min(shard.numRows, 60);
    for (let from = 0; from < numRows; from += 7) {
      const scope = new ReadScope();
      const indices = Array.from({ length: Math.min(7, numRows - from) }, (_, i) => from + i);
      const rows = await shard.readRows(indices, shard.columns, scope);
      for (const [i, row] of rows.entries()) {
        for (const column of shard.columns) {
          expect(written(row[column] as Value), `${column} ${from + i}`).toEqual(
            expected[column]?.[from + i],
          );
        }
      }
      scope.free();
    }
  });
});

describe.each(filesIn('refused'))('refused/%s', (name) => {
  it('is refused with the file, and what is in it', async () => {
    const read = async (): Promise<unknown> => (await open(`refused/${name}`)).readColumn('secret');
    await expect(read()).rejects.toThrow(DataError);
    await expect(read()).rejects.toThrow(join(folder, 'refused', name));
    const reason = { 'list-view': /'odd' is of type ListView/, 'run-end': /'odd' is of type RunEndEncoded/ }[
      name.split('.')[0] as string
    ];
    await expect(read()).rejects.toThrow(reason ?? /encrypted/);
  });
});
