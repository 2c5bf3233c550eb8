/** Files of JSON, separated values and tar read as Python's json, csv and webdataset read them. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { formatOf, openShard } from '../../src/data/datasets/shard-format.js';
import type { Row, ShardFormat, Value } from '../../src/data/schema.js';
import { BlockCache } from '../../src/data/sources/block-cache.js';
import { Storage } from '../../src/data/storage/storage.js';
import { openLocalFile } from '../../src/data/storage/stored-file.js';
import { useCacheDirectory } from '../support/cache-directory.js';

const data = join(import.meta.dirname, 'data');
const { files } = JSON.parse(await readFile(join(data, 'records.json'), 'utf8')) as {
  files: Record<string, Record<string, unknown>[]>;
};

useCacheDirectory();
const storage = new Storage();

/** Bytes are written as an object with their base 64. */
function expectedValue(value: unknown): Value {
  const bytes = (value as { $bytes?: string } | null | undefined)?.$bytes;
  return bytes === undefined ? ((value ?? null) as Value) : new Uint8Array(Buffer.from(bytes, 'base64'));
}

it.each(Object.keys(files))('%s', async (name) => {
  const rows = files[name] as Record<string, unknown>[];
  const columns = new Set(rows.flatMap((row) => Object.keys(row)));
  const expected = rows.map(
    (row): Row => Object.fromEntries([...columns].map((column) => [column, expectedValue(row[column])])),
  );
  // The second shard reads by the index that the first one kept.
  for (const _ of ['scanned', 'kept']) {
    const file = await openLocalFile(join(data, 'records', name));
    const shard = await openShard(file, formatOf(name) as ShardFormat, new BlockCache(1 << 20), storage);
    expect(new Set(shard.columns)).toEqual(columns);
    expect(await shard.readRows([...rows.keys()], shard.columns)).toEqual(expected);
    const reversed = [...rows.keys()].reverse();
    expect(await shard.readRows(reversed, shard.columns)).toEqual(expected.toReversed());
    for (const column of columns) {
      expect(await shard.readColumn(column)).toEqual(expected.map((row) => row[column]));
    }
  }
});
