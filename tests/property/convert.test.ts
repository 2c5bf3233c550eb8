/** Any rows, converted to any format and back, are the rows that they were. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { convertDataset } from '../../src/data/convert/convert.js';
import { targetFormats } from '../../src/data/convert/formats.js';
import { csvText } from '../../src/data/convert/record-shards.js';
import { openSource } from '../../src/data/datasets/open.js';
import type { Column, Row, Value } from '../../src/data/schema.js';
import { writeArrow } from '../../src/data/sources/writers.js';
import { useCacheDirectory } from '../support/cache-directory.js';
import { noiseImages } from '../support/memory-source.js';

const places = useCacheDirectory();
const images = await noiseImages(4);

const columns: Column[] = [
  { name: 'key', type: 'string' },
  { name: 'image', type: 'image' },
  { name: 'alt', type: 'string' },
  { name: 'captions', type: 'list<string>' },
  { name: 'size', type: 'int64' },
  { name: 'score', type: 'float64' },
  { name: 'safe', type: 'bool' },
  {
    name: 'boxes',
    type: {
      list: {
        struct: [
          { name: 'name', type: 'string' },
          { name: 'corners', type: { list: 'float64' } },
        ],
      },
    },
  },
];

const text = fc.string({ unit: 'grapheme', maxLength: 12 });
const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(value, { nil: null });
/** A fraction, so that the column is one of fractions. */
const fraction = fc.integer({ min: -1000, max: 1000 }).map((n) => n + 0.5);

const rowsArbitrary: fc.Arbitrary<Row[]> = fc
  .uniqueArray(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 9 }), { minLength: 1, maxLength: 9 })
  .chain((keys) =>
    fc.tuple(
      ...keys.map((key) =>
        fc.record({
          key: fc.constant(key),
          image: optional(fc.constantFrom(...images)),
          alt: optional(text),
          captions: optional(fc.array(text, { minLength: 1, maxLength: 3 })),
          size: optional(fc.maxSafeInteger().map(BigInt)),
          score: optional(fraction),
          safe: optional(fc.boolean()),
          boxes: optional(
            fc.array(
              optional(
                fc.record({ name: optional(text), corners: optional(fc.array(fraction, { maxLength: 2 })) }),
              ),
              { maxLength: 2 },
            ),
          ),
        }),
      ),
    ),
  );

/** Whole numbers are bigints where the format knows 64 bits, numbers elsewhere. */
function plain(value: Value): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(plain);
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each)]));
  }
  return value;
}

async function rowsOf(path: string): Promise<unknown[]> {
  const source = await openSource(path);
  try {
    const names = columns.map(({ name }) => name).filter((name) => source.columns.includes(name));
    const rows = await source.readRows([...Array(source.numRows).keys()], names);
    // A column of nothing but nulls may be gone from JSON's point of view, and none is of an image that no row has.
    return rows.map((row) => Object.fromEntries(columns.map(({ name }) => [name, plain(row[name] ?? null)])));
  } finally {
    await source.close();
  }
}

/** As separated values hold a row: all is text, but for captions, which are a list again. */
function asCsv(row: Row): Record<string, unknown> {
  return Object.fromEntries(
    columns.map(({ name }) => {
      const value = row[name] ?? null;
      if (name === 'image' && value instanceof Uint8Array) return [name, plain(value)];
      const field = csvText(value, name);
      if (name === 'captions') return [name, Array.isArray(value) ? value : [field]];
      return [name, field];
    }),
  );
}

it.each(targetFormats)('%s and back', async (to) => {
  let run = 0;
  await fc.assert(
    fc.asyncProperty(rowsArbitrary, fc.integer({ min: 1, max: 4 }), async (rows, shardRows) => {
      const folder = join(places.folder, `${to}-${run++}`);
      await writeArrow(join(places.folder, 'train-0.arrow'), columns, rows, 3);
      const convert = (path: string, format: typeof to, out: string) =>
        convertDataset({ paths: [path], to: format, out, shardRows, maxSkipRatio: 0 });
      const { rows: count } = await convert(join(places.folder, 'train-0.arrow'), to, `${folder}-there`);
      expect(count).toBe(rows.length);
      const there = await rowsOf(`${folder}-there`);
      if (to === 'csv' && rows.some(({ image }) => image !== null)) {
        const expected = rows.map(asCsv).map((row) => (row.image === '' ? { ...row, image: null } : row));
        // A row without an image names a file of no name, and cannot be used.
        const usable = expected.map((row) => row.image !== null);
        expect(there.filter((_, i) => usable[i])).toEqual(expected.filter((_, i) => usable[i]));
      } else if (to !== 'csv') {
        expect(there).toEqual(rows.map(plain));
        await convert(`${folder}-there`, 'arrow', `${folder}-back`);
        expect(await rowsOf(`${folder}-back`)).toEqual(rows.map(plain));
      }
      for (const end of ['there', 'back']) await rm(`${folder}-${end}`, { recursive: true, force: true });
    }),
    { numRuns: 12, endOnFailure: true },
  );
});
