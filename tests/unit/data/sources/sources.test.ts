import { copyFile, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  Binary,
  Field,
  List,
  RecordBatchStreamWriter,
  Struct,
  Table,
  tableFromArrays,
  Utf8,
  vectorFromArray,
} from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSource } from '../../../../src/data/datasets/open.js';
import type { Column, Row } from '../../../../src/data/schema.js';
import { BlockCache } from '../../../../src/data/sources/block-cache.js';
import { writeArrow, writeParquet } from '../../../../src/data/sources/writers.js';
import { ConfigError, DataError } from '../../../../src/errors.js';

const columns: Column[] = [
  { name: 'key', type: 'string' },
  { name: 'image', type: 'binary' },
  { name: 'alt', type: 'string' },
  { name: 'captions', type: 'list<string>' },
];

const rows: Row[] = Array.from({ length: 25 }, (_, i) => ({
  key: `row/${i}`,
  image: Uint8Array.from({ length: 3 + (i % 5) }, (_, j) => (i * 37 + j * 101) % 256), // not UTF-8
  alt: i % 4 === 1 ? null : i % 4 === 2 ? '' : `größe 😀 ${i}`,
  captions: Array.from({ length: i % 3 }, (_, j) => `caption ${i}.${j}`),
}));

let folder: string;
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'capstan-sources-'));
  await writeArrow(at('all.arrow'), columns, rows, 4);
  await writeParquet(at('all.parquet'), columns, rows, 4);
  for (const [format, write] of [
    ['arrow', writeArrow],
    ['parquet', writeParquet],
  ] as const) {
    await mkdir(at(format));
    await write(at(`${format}/train-00000.${format}`), columns, rows.slice(0, 10), 4);
    await write(at(`${format}/train-00001.${format}`), columns, rows.slice(10, 20), 4);
    await write(at(`${format}/val-00000.${format}`), columns, rows.slice(20), 4);
  }
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe.each(['arrow', 'parquet'] as const)('%s shards', (format) => {
  it('give back every value: text, bytes, nulls, empty text, lists', async () => {
    const source = await openSource(at(`all.${format}`));
    expect(source.numRows).toBe(25);
    expect(source.columns).toEqual(['key', 'image', 'alt', 'captions']);
    expect(
      await source.readRows(
        rows.map((_, i) => i),
        source.columns,
      ),
    ).toEqual(rows);
    expect(await source.readColumn('alt')).toEqual(rows.map((row) => row.alt));
    await source.close();
  });

  it('read rows in the order asked for, repeats included, and only the columns asked for', async () => {
    const source = await openSource(at(format), { split: 'train' });
    expect(source.numRows).toBe(20);
    const wanted = [19, 0, 10, 9, 10, 3];
    expect(await source.readRows(wanted, ['key'])).toEqual(wanted.map((i) => ({ key: `row/${i}` })));
    expect(await source.readRows([], ['key'])).toEqual([]);
  });

  it('select splits by the names of shards', async () => {
    expect((await openSource(at(format))).numRows).toBe(25);
    const val = await openSource(at(format), { split: 'val' });
    expect(await val.readColumn('key')).toEqual(['row/20', 'row/21', 'row/22', 'row/23', 'row/24']);
    await expect(openSource(at(format), { split: 'vla' })).rejects.toThrow(
      new ConfigError(
        `${at(format)}: cannot tell which rows are of split 'vla': there is no column 'split', and files are ` +
          "named for train, val. Choose one of these, add the column, or put the split's rows into a directory " +
          'as vla-00000.arrow or .parquet.',
      ),
    );
  });

  it('select splits by the column of that name: of one file, and of shards not named for splits', async () => {
    const write = format === 'arrow' ? writeArrow : writeParquet;
    const split: Column = { name: 'split', type: 'string' };
    const mixed = rows.map((row, i) => ({ ...row, split: i % 5 === 2 ? 'test' : 'train' }));
    await mkdir(at(`mixed-${format}`));
    // A file's name says less than its column.
    const paths = [at(`mixed-${format}`), at(`train-mixed.${format}`)];
    await write(paths[1] as string, [...columns, split], mixed, 4);
    await write(join(paths[0] as string, `a.${format}`), [...columns, split], mixed.slice(0, 9), 4);
    await write(join(paths[0] as string, `b.${format}`), [...columns, split], mixed.slice(9), 4);
    for (const path of paths) {
      const test = await openSource(path, { split: 'test' });
      const keys = ['row/2', 'row/7', 'row/12', 'row/17', 'row/22'];
      expect(test.numRows).toBe(5);
      expect(await test.readColumn('key')).toEqual(keys);
      expect(await test.readRows([4, 1], ['key', 'split'])).toEqual([
        { key: keys[4], split: 'test' },
        { key: keys[1], split: 'test' },
      ]);
      await expect(test.readRows([5], ['key'])).rejects.toThrow('there is no row 5; rows run from 0 to 4.');
      const train = await openSource(path, { split: 'train' });
      expect(train.numRows).toBe(20);
      expect(train.fingerprint).not.toBe(test.fingerprint);
      await expect(openSource(path, { split: 'val' })).rejects.toThrow(
        new ConfigError(`${path}: there is no split 'val'; present in column 'split' are train, test.`),
      );
      await test.close();
    }
  });

  it('take one file without that column for the split that it is named for, and for no other', async () => {
    const path = at(`${format}/val-00000.${format}`);
    expect((await openSource(path, { split: 'val' })).numRows).toBe(5);
    await expect(openSource(path, { split: 'train' })).rejects.toThrow(
      /cannot tell which rows are of split 'train'/,
    );
    await expect(openSource(path, { split: 'train' })).rejects.toThrow(ConfigError);
  });

  it('refuse a column that is not there, naming the nearest', async () => {
    const source = await openSource(at(`all.${format}`));
    const expected = new ConfigError(
      `${at(`all.${format}`)}: there is no column 'caption'; present are key, image, alt, captions. The nearest is 'captions'.`,
    );
    await expect(source.readRows([0], ['key', 'caption'])).rejects.toThrow(expected);
    await expect(source.readColumn('caption')).rejects.toThrow(expected);
  });

  it('refuse a row out of range', async () => {
    const source = await openSource(at(`all.${format}`));
    for (const row of [-1, 25, 0.5]) await expect(source.readRows([row], ['key'])).rejects.toThrow(DataError);
  });

  it('refuse a shard cut off anywhere', async () => {
    const whole = await readFile(at(`all.${format}`));
    const cut = at(`cut.${format}`);
    const lengths = [0, 3, 8, 11, 100, Math.floor(whole.length / 2), whole.length - 9, whole.length - 1];
    for (const length of lengths) {
      await copyFile(at(`all.${format}`), cut);
      await truncate(cut, length);
      await expect(openSource(cut), `${length} bytes`).rejects.toThrow(DataError);
    }
    await expect(openSource(cut)).rejects.toThrow(
      /cut\.\w+: the shard is cut off or damaged: expected .* found /,
    );
  });

  it('refuse another kind of file', async () => {
    await writeFile(at(`text.${format}`), 'these are not the bytes of a shard');
    await expect(openSource(at(`text.${format}`))).rejects.toThrow(
      /is not an? \w+ file: expected .* found "thes/,
    );
  });

  it('refuse a set without rows', async () => {
    const write = format === 'arrow' ? writeArrow : writeParquet;
    await write(at(`none.${format}`), columns, [], 4);
    await expect(openSource(at(`none.${format}`))).rejects.toThrow(/the data set has no rows/);
  });

  it('have a fingerprint of names, sizes and counts', async () => {
    const { fingerprint } = await openSource(at(format));
    expect(fingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect((await openSource(at(format))).fingerprint).toBe(fingerprint);
    expect((await openSource(at(format), { split: 'train' })).fingerprint).not.toBe(fingerprint);
  });
});

describe('Arrow streams', () => {
  it("are read with dictionaries and with images as structs, as Hugging Face's shards are", async () => {
    const words = vectorFromArray(['a', 'b', 'a', 'c', null]); // a dictionary column
    const table = tableFromArrays({ n: Int32Array.of(1, 2, 3, 4, 5) });
    const image = vectorFromArray(
      [1, 2, 3, 4, 5].map((n) => ({ bytes: Uint8Array.of(n, 255), path: `${n}.jpg` })),
      new Struct([new Field('bytes', new Binary()), new Field('path', new Utf8())]),
    );
    const whole = new Table({ n: table.getChild('n')!, words, image });
    await writeFile(at('stream.arrow'), RecordBatchStreamWriter.writeAll(whole).toUint8Array(true));
    const source = await openSource(at('stream.arrow'));
    expect(await source.readRows([3, 0, 4], ['n', 'words', 'image'])).toEqual([
      { n: 4, words: 'c', image: Uint8Array.of(4, 255) },
      { n: 1, words: 'a', image: Uint8Array.of(1, 255) },
      { n: 5, words: null, image: Uint8Array.of(5, 255) },
    ]);
  });
});

describe('nested values', () => {
  it('keep their nulls', async () => {
    const type = new List(new Field('item', new Utf8(), true));
    const captions = vectorFromArray([['a', null, 'b'], [null], [], null], type);
    await writeFile(
      at('holes.arrow'),
      RecordBatchStreamWriter.writeAll(new Table({ captions })).toUint8Array(true),
    );
    const expected = [['a', null, 'b'], [null], [], null];
    expect(await (await openSource(at('holes.arrow'))).readColumn('captions')).toEqual(expected);
  });

  it('are plain objects', async () => {
    const turn = new Struct([new Field('from', new Utf8(), true), new Field('value', new Utf8(), true)]);
    const type = new List(new Field('item', turn, true));
    const turns = [
      { from: 'human', value: '<image>' },
      { from: 'gpt', value: 'A cat.' },
    ];
    await writeFile(
      at('talk.arrow'),
      RecordBatchStreamWriter.writeAll(
        new Table({ turns: vectorFromArray([turns, null], type) }),
      ).toUint8Array(true),
    );
    expect(await (await openSource(at('talk.arrow'))).readColumn('turns')).toEqual([turns, null]);
  });
});

describe('openSource', () => {
  it('says what is wrong with the path', async () => {
    await expect(openSource(at('nowhere'))).rejects.toThrow(/there is no such data set\. Build/);
    await writeFile(at('table.xls'), 'a,b');
    await expect(openSource(at('table.xls'))).rejects.toThrow(
      /no known ending; expected one of \.arrow, \.parquet, \.tar/,
    );
    await mkdir(at('empty'));
    await expect(openSource(at('empty'))).rejects.toThrow(/holds no shards/);
    await expect(openSource(at('arrow'), { format: 'parquet' })).rejects.toThrow(
      /holds no parquet shards, only arrow/,
    );
  });
});

describe('BlockCache', () => {
  it('shares reads, forgets the longest unused beyond its bytes, and does not keep failures', async () => {
    const cache = new BlockCache(10);
    const reads: string[] = [];
    const get = (key: string): Promise<string> =>
      cache.get(key, 4, async () => {
        reads.push(key);
        return key;
      });
    await Promise.all([get('a'), get('a'), get('b')]);
    await get('a');
    await get('c'); // b is the longest unused
    await get('a');
    await get('b');
    expect(reads).toEqual(['a', 'b', 'c', 'b']);
    await expect(cache.get('d', 1, () => Promise.reject(new DataError('no')))).rejects.toThrow('no');
    expect(await cache.get('d', 1, async () => 'again')).toBe('again');
  });
});
