import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FAULT, type Row } from '../../../../src/data/schema.js';
import { BlockCache } from '../../../../src/data/sources/block-cache.js';
import { openCsvShard } from '../../../../src/data/sources/csv.js';
import { useCacheDirectory } from '../../../support/cache-directory.js';
import { MemoryFile } from '../../../support/memory-file.js';

useCacheDirectory();

let numFiles = 0;
async function read(text: string | Uint8Array): Promise<Row[]> {
  const shard = await openCsvShard(
    new MemoryFile(`/${numFiles++}.csv`, Buffer.from(text)),
    new BlockCache(1 << 24),
  );
  return shard.readRows([...Array(shard.numRows).keys()], shard.columns);
}

describe('separated values', () => {
  it('come back whatever they hold', async () => {
    const cell = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r', 'é', ' '), maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(cell, cell), { maxLength: 8 }),
        fc.constantFrom('\n', '\r\n', '\r'),
        fc.boolean(),
        async (table, lineEnd, ends) => {
          const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
          const lines = [['x', 'y'], ...table].map((row) => row.map(quoted).join(','));
          const rows = await read(lines.join(lineEnd) + (ends ? lineEnd : ''));
          expect(rows).toEqual(table.map(([x, y]) => ({ x, y })));
        },
      ),
      { seed: 1, numRuns: 300 },
    );
  });

  it('with another number of fields, or not UTF-8, are a fault of their row', async () => {
    const rows = await read(
      Buffer.concat([Buffer.from('a,b\n1,2\n3\n4,5,6\n'), Buffer.of(0xe9), Buffer.from(',7\n8,9')]),
    );
    expect(rows.map((row) => row[FAULT] ?? `${row.a} ${row.b}`)).toEqual([
      '1 2',
      'The row has 1 fields; expected 2.',
      'The row has 3 fields; expected 2.',
      'The row is not UTF-8.',
      '8 9',
    ]);
  });

  it.each([
    ['', /expected a head that names the columns, found 0 bytes without one/],
    ['a,a\n1,2', /its first row names the column 'a' twice/],
    ['a,b\n1,"2\n3,4\n', /is cut off or damaged: the quoted field that begins at byte 6 is not closed/],
    [Buffer.of(0xff, 0x2c, 0x61), /its first row cannot be the names of columns: It is not UTF-8\./],
    [Array(5000).fill('').join(','), /more than 4096 different names/],
  ])('%j are an error', async (text, expected) => {
    await expect(read(text)).rejects.toThrow(expected);
    await expect(read(text)).rejects.toThrow(/^\/\d+\.csv: /);
  });
});
