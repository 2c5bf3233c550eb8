/** What readers of JSON, separated values and tar have in common: the index, its cache, reads. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openSource } from '../../../../src/data/datasets/open.js';
import { FAULT } from '../../../../src/data/schema.js';
import { BlockCache } from '../../../../src/data/sources/block-cache.js';
import { openJsonShard } from '../../../../src/data/sources/json.js';
import { decodeIndex, encodeIndex } from '../../../../src/data/sources/records/index-store.js';
import { GroupBuilder, groupOf, groupRows } from '../../../../src/data/sources/records/record-index.js';
import { ConfigError } from '../../../../src/errors.js';
import { useCacheDirectory } from '../../../support/cache-directory.js';
import { MemoryFile } from '../../../support/memory-file.js';
import { tarArchive } from '../../../support/tar.js';

const places = useCacheDirectory();
const at = (name: string): string => join(places.folder, name);
const open = (file: MemoryFile) => openJsonShard(file, new BlockCache(1 << 24), 'jsonl');

const NUM_ROWS = 5000;
const lines = Array.from({ length: NUM_ROWS }, (_, i) =>
  JSON.stringify({ key: `k${i}`, alt: 'x'.repeat(i % 90) }),
);
const text = Buffer.from(lines.join('\n'));

describe('a record index', () => {
  it('holds neighbours as groups, and a record longer than a group as one of its own', () => {
    const builder = new GroupBuilder(100);
    for (const [start, end] of [
      [0, 60],
      [61, 100],
      [101, 130],
      [140, 500],
      [500, 510],
    ] as const)
      builder.add(start, end);
    const index = builder.finish(['a'], '');
    expect([...index.offsets]).toEqual([0, 101, 140, 500]);
    expect([...index.lengths]).toEqual([100, 29, 360, 10]);
    expect([...index.firstRows]).toEqual([0, 2, 3, 4]);
    expect([0, 1, 2, 3, 4].map((row) => groupOf(index, row))).toEqual([0, 0, 1, 2, 3]);
    expect([0, 1, 2, 3].map((group) => groupRows(index, group))).toEqual([2, 1, 1, 1]);
  });

  it('comes back from its bytes, and not from damaged ones or as that of another file', () => {
    const builder = new GroupBuilder(4);
    for (let i = 0; i < 7; i++) builder.add(i * 3e9, i * 3e9 + 5);
    const index = builder.finish(['ä', 'b'], 'lines');
    const bytes = Buffer.from(encodeIndex(index, 'id'));
    expect(decodeIndex(bytes, 'id')).toEqual(index);
    expect(decodeIndex(bytes, 'other')).toBeUndefined();
    for (let i = 0; i < bytes.length; i++) {
      const flipped = Buffer.from(bytes);
      flipped[i] = (flipped[i] as number) ^ 4;
      expect(decodeIndex(flipped, 'id')).toBeUndefined();
      expect(decodeIndex(bytes.subarray(0, i), 'id')).toBeUndefined();
    }
  });

  it('is kept: a file is scanned once, and again when it, its path or the kept index changed', async () => {
    const scans = async (path: string, version: string): Promise<boolean> => {
      const file = new MemoryFile(path, text, version);
      expect((await open(file)).numRows).toBe(NUM_ROWS);
      return file.reads.length > 0;
    };
    expect(await scans('/a.jsonl', '1')).toBe(true);
    expect(await scans('/a.jsonl', '1')).toBe(false);
    expect(await scans('/a.jsonl', '2')).toBe(true);
    expect(await scans('/b.jsonl', '2')).toBe(true);
    const folder = join(places.cache, 'indexes');
    const kept = await readdir(folder);
    expect(kept).toHaveLength(3); // and nothing temporary
    for (const name of kept)
      await writeFile(join(folder, name), (await readFile(join(folder, name))).subarray(9));
    expect(await scans('/a.jsonl', '1')).toBe(true);
    expect(await scans('/a.jsonl', '1')).toBe(false);
  });

  it('is done without where it cannot be kept', async () => {
    await writeFile(at('file'), '');
    process.env.CAPSTAN_CACHE = at('file');
    try {
      expect((await open(new MemoryFile('/c.jsonl', text))).numRows).toBe(NUM_ROWS);
    } finally {
      process.env.CAPSTAN_CACHE = places.cache;
    }
  });
});

describe('rows of records', () => {
  it('are read by few large reads where they are neighbours, and not again while they are cached', async () => {
    const shard = await open(new MemoryFile('/reads.jsonl', text));
    const file = new MemoryFile('/reads.jsonl', text);
    const again = await open(file);
    const all = [...Array(NUM_ROWS).keys()];
    const rows = await again.readRows(all, ['key', 'alt']);
    expect(rows).toEqual(lines.map((line) => JSON.parse(line)));
    expect(file.reads).toHaveLength(1);
    await again.readRows(all.toReversed(), ['alt']);
    expect(file.reads).toHaveLength(1);
    const [few, far] = [new MemoryFile('/reads.jsonl', text), [4000, 0, 1, 2]];
    const third = await open(few);
    expect(await third.readRows(far, ['key'])).toEqual(far.map((row) => ({ key: `k${row}` })));
    expect(few.reads).toHaveLength(2);
    expect(few.reads.every(([, length]) => length < 70_000)).toBe(true);
    expect(await shard.readColumn('key')).toEqual(all.map((row) => `k${row}`));
  });

  it('of a file that was written to since are an error', async () => {
    const shard = await open(new MemoryFile('/changed.jsonl', text));
    const file = new MemoryFile('/changed.jsonl', Buffer.from(text));
    const changed = await open(file);
    file.bytes[lines[0]!.length] = 0x20;
    await expect(changed.readRows([0], ['key'])).rejects.toThrow(
      /^\/changed\.jsonl: was changed since it was indexed: from byte 0, expected \d+ rows, found \d+\. Open it again/,
    );
    expect(await shard.readRows([0], ['key'])).toEqual([{ key: 'k0' }]);
  });
});

describe('openSource', () => {
  it('chooses by ending, whatever its case, and by format in a directory of several', async () => {
    const folder = at('several');
    await mkdir(folder);
    const tar = tarArchive({ name: 'a.txt', data: 'of the tar' });
    await writeFile(join(folder, '00000.tar'), tar);
    await writeFile(join(folder, '00001.TAR'), tarArchive({ name: 'b.txt', data: 'second' }));
    await writeFile(join(folder, '00000_stats.json'), '{"count": 1}');
    await writeFile(join(folder, 'dataset_info.json'), '{}');
    await writeFile(join(folder, 'train-0.csv'), 'key,alt\nc,of the csv\n');
    await writeFile(join(folder, 'train-1.csv.gz'), gzipSync('key,alt\nd,packed\n'));
    await writeFile(join(folder, 'val.tsv'), 'key\talt\ne\tof, the tsv\n');
    await writeFile(join(folder, 'notes.txt'), 'no data');
    expect(await (await openSource(folder)).readColumn('txt')).toEqual(['of the tar', 'second']);
    const train = await openSource(folder, { format: 'csv', split: 'train' });
    expect(await train.readColumn('alt')).toEqual(['of the csv', 'packed']);
    const val = await openSource(folder, { format: 'csv', split: 'val' });
    expect(await val.readColumn('alt')).toEqual(['of, the tsv']);
    await expect(openSource(folder, { format: 'json' })).rejects.toThrow(
      new ConfigError(`${folder}: holds no json shards, only webdataset, csv.`),
    );
  });

  it('takes patterns: in order of braces, or of names', async () => {
    const folder = at('patterns');
    await mkdir(folder);
    for (const name of ['00', '01', '02', '10'])
      await writeFile(join(folder, `${name}.jsonl`), `{"key":"${name}"}`);
    await writeFile(join(folder, '01.txt'), 'no data');
    const keys = async (pattern: string) => (await openSource(join(folder, pattern))).readColumn('key');
    expect(await keys('{02..00}.jsonl')).toEqual(['02', '01', '00']);
    expect(await keys('0*')).toEqual(['00', '01', '02']);
    expect(await keys('?{2,0}.jsonl')).toEqual(['02', '00', '10']);
    await expect(keys('*.txt')).rejects.toThrow(
      /\*\.txt: holds no shards; expected files that end in one of/,
    );
    await expect(keys('{00..03}.jsonl')).rejects.toThrow(/03\.jsonl: there are no files/);
  });

  it('throws the error of the first bad shard of many, and passes the rows of damaged ones on', async () => {
    const folder = at('many');
    await mkdir(folder);
    for (let i = 0; i < 40; i++) {
      const name = `${String(i).padStart(5, '0')}.jsonl`;
      await writeFile(join(folder, name), `{"key":"${i}"}\n${i % 4 === 0 ? 'broken' : '{"key":"x"}'}\n`);
    }
    const source = await openSource(folder);
    expect(source.shardRows).toEqual(Array(40).fill(2));
    expect(await source.readRows([0, 1, 2], ['key'])).toEqual([
      { key: '0' },
      { key: null, [FAULT]: 'The row is not valid JSON.' },
      { key: '1' },
    ]);
    for (const bad of ['00007', '00021']) await writeFile(join(folder, `${bad}.jsonl`), 'not JSON');
    await expect(openSource(folder)).rejects.toThrow(/00007\.jsonl: none of its 1 rows can be used\./);
    await rm(join(folder, '00007.jsonl'));
    await expect(openSource(folder)).rejects.toThrow(/00021\.jsonl: none of its 1 rows can be used\./);
  });
});
