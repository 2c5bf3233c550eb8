import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ConvertOptions, convertDataset } from '../../../../src/data/convert/convert.js';
import { TypeGuess } from '../../../../src/data/convert/infer-types.js';
import { safeName } from '../../../../src/data/convert/record-names.js';
import { openSource } from '../../../../src/data/datasets/open.js';
import { ConfigError, DataError } from '../../../../src/errors.js';
import { useCacheDirectory } from '../../../support/cache-directory.js';

const places = useCacheDirectory();
const at = (name: string): string => join(places.folder, name);

async function lines(name: string, rows: readonly unknown[]): Promise<string> {
  await writeFile(
    at(name),
    rows.map((row) => `${typeof row === 'string' ? row : JSON.stringify(row)}\n`).join(''),
  );
  return at(name);
}

const numbered = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ key: `k${i}`, alt: `a ${i}` }));

describe('safeName', () => {
  it.each([
    ['noto/1f600', true, 'noto/1f600'],
    ['noto/1f600', false, 'noto%2F1f600'],
    ['a.b', true, 'a%2Eb'],
    ['../x', true, '%2E%2E/x'],
    ['/etc', true, '%2Fetc'],
    ['größe', false, 'gr%C3%B6%C3%9Fe'],
    ['\ud800', false, '%EF%BF%BD'],
  ])('%j becomes a name', (key, folders, name) => {
    expect(safeName(key, folders)).toBe(name);
  });

  it('hashes a long key', () => {
    expect(safeName('x'.repeat(300), false)).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe('TypeGuess', () => {
  const typeOf = (...values: Parameters<TypeGuess['add']>[0][]) => {
    const guess = new TypeGuess('c');
    for (const value of values) guess.add(value, 'row');
    return guess.finish().type;
  };

  it.each([
    [[null, null], 'string'],
    [[1, null, 2], 'int64'],
    [[1, 2.5], 'float64'],
    [[-0], 'float64'],
    [[3n], 'int64'],
    [[[null], [true]], { list: 'bool' }],
    [[new Uint8Array(1)], 'binary'],
    [
      [{ a: 1 }, { b: 'x' }],
      {
        struct: [
          { name: 'a', type: 'int64' },
          { name: 'b', type: 'string' },
        ],
      },
    ],
  ] as const)('%s', (values, type) => {
    expect(typeOf(...(values as unknown as Parameters<TypeGuess['add']>[0][]))).toEqual(type);
  });

  it('refuses several types, naming the column and both', () => {
    expect(() => typeOf('a', 1)).toThrow(/row: column 'c' has text in rows before and a number here/);
    expect(() => typeOf({})).toThrow(/only objects without fields/);
  });
});

describe('convertDataset', () => {
  const options = (path: string, out: string): ConvertOptions => ({
    ...{ paths: [path], to: 'jsonl', out: at(out), shardRows: 10 },
  });

  /** Ends behind so many rows, which leaves whole shards. */
  async function endedAfter(rows: number, given: ConvertOptions): Promise<void> {
    const stop = new AbortController();
    const onProgress: ConvertOptions['onProgress'] = (progress) => {
      if (progress.rows === rows) stop.abort();
    };
    const result = await convertDataset({ ...given, signal: stop.signal, onProgress });
    expect(result).toMatchObject({ finished: false, directory: `${given.out}.partial` });
  }

  it('goes on behind the last whole shard', async () => {
    const given = options(await lines('train-on.jsonl', numbered(35)), 'on');
    await endedAfter(25, given);
    const kept: number[] = [];
    const result = await convertDataset({ ...given, onResume: (...found) => kept.push(...found) });
    expect(kept).toEqual([2, 20]);
    expect(result).toMatchObject({ finished: true, rows: 35, shards: 4, splits: { train: 35 } });
    const source = await openSource(at('on'), { split: 'train' });
    expect(await source.readColumn('alt')).toEqual(numbered(35).map(({ alt }) => alt));
    await source.close();
  });

  it('writes anew what is no longer whole', async () => {
    const given = options(await lines('train-cut.jsonl', numbered(35)), 'cut');
    await endedAfter(25, given);
    await truncate(at('cut.partial/train-00001.jsonl'), 5);
    const kept: number[] = [];
    await convertDataset({ ...given, onResume: (...found) => kept.push(...found) });
    expect(kept).toEqual([1, 10]);
    expect((await readFile(at('cut/train-00001.jsonl'), 'utf8')).split('\n')).toHaveLength(11);
  });

  it('refuses to go on with another source or other options, and says which', async () => {
    const path = await lines('train-other.jsonl', numbered(35));
    const given = options(path, 'other');
    await endedAfter(25, given);
    const other = convertDataset({ ...given, shardRows: 11 });
    await expect(other).rejects.toThrow(DataError);
    await expect(other).rejects.toThrow('--shard-rows was 10, is 11');
    await lines('train-other.jsonl', numbered(34));
    await expect(convertDataset(given)).rejects.toThrow(
      /the source .*train-other.jsonl changed \(.*35 rows, it has 34\)/,
    );
  });

  it('leaves out faulty rows within the limit, and names them', async () => {
    const rows = [...numbered(9), '{"key": "broken"', { alt: 'without a key' }];
    const path = await lines('train-faulty.jsonl', rows);
    const given = { ...options(path, 'faulty'), to: 'webdataset', shardRows: 100 } as const;
    await expect(convertDataset(given)).rejects.toThrow(
      /faulty rows: 1, more than the 0 of 11 that --max-skip-ratio/,
    );
    const result = await convertDataset({ ...given, maxSkipRatio: 0.2 });
    expect(result).toMatchObject({ rows: 9, numSkipped: 2 });
    expect(result.skipped.map(({ row, key }) => [row, key])).toEqual([
      [9, null],
      [10, null],
    ]);
    const stats = JSON.parse(await readFile(at('faulty/convert_stats.json'), 'utf8'));
    expect(stats.skipped).toEqual(result.skipped);
  });

  it('gives rows of one key names of their own, and both the key', async () => {
    const path = await lines('train-twice.jsonl', [...numbered(2), { key: 'k0', alt: 'again' }]);
    await convertDataset({ ...options(path, 'twice'), to: 'webdataset' });
    const source = await openSource(at('twice'));
    expect(await source.readColumn('key')).toEqual(['k0', 'k1', 'k0']);
    expect(await source.readColumn('__key__')).toEqual(['k0', 'k1', 'k0~2']);
    await source.close();
  });

  it('permutes all rows by the seed and loses none', async () => {
    const path = await lines('train-order.jsonl', numbered(50));
    const keysOf = async (shuffle: number) => {
      await rm(at('order'), { recursive: true, force: true });
      await convertDataset({ ...options(path, 'order'), shuffle });
      const source = await openSource(at('order'));
      const keys = (await source.readColumn('key')).map(String);
      await source.close();
      return keys;
    };
    const first = await keysOf(1);
    expect(await keysOf(1)).toEqual(first);
    expect(await keysOf(2)).not.toEqual(first);
    expect([...first].sort()).toEqual(
      numbered(50)
        .map(({ key }) => key)
        .sort(),
    );
  });

  it('keeps splits of the column split, each in shards of its own', async () => {
    const rows = numbered(12).map((row, i) => ({ ...row, split: i % 3 === 0 ? 'val' : 'train' }));
    const result = await convertDataset({
      ...options(await lines('mixed.jsonl', rows), 'splits'),
      to: 'csv',
    });
    expect(result.splits).toEqual({ train: 8, val: 4 });
    const source = await openSource(at('splits'), { split: 'val' });
    expect(await source.readColumn('key')).toEqual(['k0', 'k3', 'k6', 'k9']);
    await source.close();
  });

  it('overwrites nothing that it did not write', async () => {
    const path = await lines('train-safe.jsonl', numbered(3));
    await writeFile(at('precious'), 'years of work');
    await expect(convertDataset(options(path, 'precious'))).rejects.toThrow(ConfigError);
    await expect(convertDataset({ ...options(path, 'x'), out: places.folder })).rejects.toThrow(
      /which holds .*, a source/,
    );
  });
});
