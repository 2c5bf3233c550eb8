import { describe, expect, it } from 'vitest';
import { FAULT, type Row } from '../../../../src/data/schema.js';
import { BlockCache } from '../../../../src/data/sources/block-cache.js';
import { openJsonShard } from '../../../../src/data/sources/json.js';
import type { Shard } from '../../../../src/data/sources/source.js';
import type { StoredFile } from '../../../../src/data/storage/stored-file.js';
import { useCacheDirectory } from '../../../support/cache-directory.js';
import { MemoryFile } from '../../../support/memory-file.js';

useCacheDirectory();

let numFiles = 0;
const open = (text: string | Uint8Array, format: 'json' | 'jsonl' = 'json'): Promise<Shard> =>
  openJsonShard(new MemoryFile(`/${numFiles++}.json`, Buffer.from(text)), new BlockCache(1 << 24), format);
const rowsOf = async (shard: Shard): Promise<Row[]> =>
  shard.readRows([...Array(shard.numRows).keys()], shard.columns);
const read = async (text: string | Uint8Array, format?: 'json' | 'jsonl'): Promise<Row[]> =>
  rowsOf(await open(text, format));

/** A file of nothing but a head, one byte over and over, and a tail, which takes no memory. */
function repeated(head: string, byte: string, count: number, tail: string): StoredFile {
  const ends = [Buffer.from(head), Buffer.from(tail)] as const;
  return {
    path: `/repeated-${numFiles++}`,
    size: head.length + count + tail.length,
    version: '1',
    async read(offset, length) {
      const bytes = new Uint8Array(length).fill(byte.charCodeAt(0));
      for (let i = 0; i < length; i++) {
        const [from, behind] = [offset + i, offset + i - head.length - count];
        if (from < head.length) bytes[i] = ends[0][from] as number;
        else if (behind >= 0) bytes[i] = ends[1][behind] as number;
        else i = Math.max(i, Math.min(length, head.length + count - offset) - 1);
      }
      return bytes;
    },
  };
}

describe('JSON', () => {
  it('gives the union of the names, and null where a row lacks one', async () => {
    const shard = await open('[{"a":1},{"b":[true,{"c":null}]},{}]');
    expect(shard.columns).toEqual(['a', 'b']);
    expect(await rowsOf(shard)).toEqual([
      { a: 1, b: null },
      { a: null, b: [true, { c: null }] },
      { a: null, b: null },
    ]);
  });

  it('reads what Python writes and JSON does not know, and keeps the digits of large whole numbers', async () => {
    const text =
      '{"a":NaN,"b":[-Infinity,1],"c":"NaN -Infinity 12345678901234567890","d":12345678901234567890,"e":-9007199254740993,"f":9007199254740991,"g":0.12345678901234567890,"h":1e400}';
    expect(await read(text, 'jsonl')).toEqual([
      {
        a: null,
        b: [null, 1],
        c: 'NaN -Infinity 12345678901234567890',
        d: '12345678901234567890',
        e: '-9007199254740993',
        f: 9007199254740991,
        g: 0.12345678901234568,
        h: Number.POSITIVE_INFINITY,
      },
    ]);
  });

  it('takes the last of equal names, and names that objects have for names', async () => {
    const [row] = await read('[{"a":1,"a":2,"__proto__":"p","constructor":"c"}]');
    expect(Object.entries(row as Row)).toEqual([
      ['a', 2],
      ['__proto__', 'p'],
      ['constructor', 'c'],
    ]);
  });

  it('tells an object of captions, of objects, and lines under the ending .json', async () => {
    expect(await read('{"u,}": "a \\"b\\"" , "v":"c"}')).toEqual([
      { key: 'u,}', value: 'a "b"' },
      { key: 'v', value: 'c' },
    ]);
    expect(await read('{"k": {"alt": "a", "key": "other"}}')).toEqual([{ key: 'k', alt: 'a' }]);
    expect(await read('{"alt":"a"}\n{"alt":"b"}')).toEqual([{ alt: 'a' }, { alt: 'b' }]);
  });

  it('finds the ends of strings wherever a read ends, whatever stands before the quote', async () => {
    // A read is a mebibyte: the backslashes lie across its end.
    for (let before = 1; before < 12; before++) {
      for (const inner of ['\\\\', '\\"', '\\\\\\"', '\\\\\\\\', ',]']) {
        const first = `{"a":"${'x'.repeat(2 ** 20 - 7 - before)}${inner}"}`;
        const rows = await read(`[${first},{"a":"b"}]`);
        expect(rows).toEqual([JSON.parse(first), { a: 'b' }]);
      }
    }
  });

  it('makes a damaged row a fault and reads those around it', async () => {
    const bad = Buffer.concat([Buffer.from('{"a":"'), Buffer.of(0xff), Buffer.from('"}\n')]);
    const deep = `{"a":${'['.repeat(64)}${']'.repeat(64)}}\n`;
    const rows = await read(
      Buffer.concat([Buffer.from('{"a":1}\n{"a":\n[1]\n7\n'), bad, Buffer.from(`${deep}{"a":2}`)]),
      'jsonl',
    );
    expect(rows.map((row) => row[FAULT] ?? row.a)).toEqual([
      1,
      'The row is not valid JSON.',
      'The row is a list; expected an object.',
      'The row is a number; expected an object.',
      'The row is not UTF-8.',
      'The row is nested more than 64 deep.',
      2,
    ]);
    expect(rows[1]).toEqual({ a: null, [FAULT]: 'The row is not valid JSON.' });
    expect((await read('[{"a":1},{"a"},{"a":3}]')).map((row) => row[FAULT] ?? row.a)).toEqual([
      1,
      'The row is not valid JSON (at position 4).',
      3,
    ]);
  });

  it.each([
    ['[{"a":1},{"a":2}', /expected '\]' at the end, found the end at byte 16/],
    ['[{"a":1},{"a":"', /found the end at byte 15 \(an element begins at byte 9\)/],
    ['[{"a":1},]', /expected an element at byte 9, found '\]'/],
    ['[{"a":1}}]', /expected ',' or '\[' at byte 8, found '\}'/],
    ['[{"a":1}] x', /expected the end after the closing bracket, found 'x' at byte 10/],
    ['{"a":"b"', /expected '\}' at the end/],
    ['"text"', /expected '\[' or '\{' at byte 0/],
    ['[1,2]', /none of its 2 rows can be used\. Row 0, at byte 1: The row is a number; expected an object\./],
    ['', /expected JSON, found 0 bytes without any/],
    [' \n', /expected JSON, found 2 bytes without any/],
    [`[${Array.from({ length: 5000 }, (_, i) => `{"n${i}":1}`)}]`, /more than 4096 different names/],
  ])('%j is an error', async (text, expected) => {
    await expect(open(text)).rejects.toThrow(expected);
    await expect(open(text)).rejects.toThrow(/^\/\d+\.json: /);
  });

  it('passes a record of a gigabyte over in bounded memory', async () => {
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    for (const [head, byte, tail] of [
      ['{"a":1}\n{"a":"', 'x', '"}\n{"a":3}\n'],
      ['[{"a":1},{"a":', '[', `${']'.repeat(3)}},{"a":3}]`],
    ] as const) {
      const file = repeated(head, byte, 1e9, tail);
      const watched: StoredFile = {
        ...file,
        read(offset, length) {
          expect(length).toBeLessThanOrEqual(1 << 20);
          most = Math.max(most, process.memoryUsage().arrayBuffers - before);
          return file.read(offset, length);
        },
      };
      const shard = openJsonShard(watched, new BlockCache(1 << 24), head.startsWith('[') ? 'json' : 'jsonl');
      if (byte === '[') await expect(shard).rejects.toThrow(/found the end at byte/);
      else {
        const rows = await rowsOf(await shard);
        expect(rows.map((row) => row.a)).toEqual([1, null, 3]);
        expect(rows[1]?.[FAULT]).toBe('The record takes 1000000008 bytes; expected at most 16777216.');
      }
    }
    expect(most).toBeLessThan(300 * 1024 * 1024);
  });
});
