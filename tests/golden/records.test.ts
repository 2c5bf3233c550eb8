/** Files of JSON, separated values and tar read as Python's json, csv and webdataset read them. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openSource } from '../../src/data/datasets/open.js';
import type { Row, Value } from '../../src/data/schema.js';
import { useCacheDirectory } from '../support/cache-directory.js';

const data = join(import.meta.dirname, 'data');
const { files } = JSON.parse(await readFile(join(data, 'records.json'), 'utf8')) as {
  files: Record<string, Record<string, unknown>[]>;
};

useCacheDirectory();

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
  // The second source reads by the index that the first one kept.
  for (const _ of ['scanned', 'kept']) {
    const source = await openSource(join(data, 'records', name));
    expect(new Set(source.columns)).toEqual(columns);
    expect(await source.readRows([...rows.keys()], source.columns)).toEqual(expected);
    const reversed = [...rows.keys()].reverse();
    expect(await source.readRows(reversed, source.columns)).toEqual(expected.toReversed());
    for (const column of columns) {
      expect(await source.readColumn(column)).toEqual(expected.map((row) => row[column]));
    }
    await source.close();
  }
});
