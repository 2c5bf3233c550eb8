import { describe, expect, it } from 'vitest';
import { clipMergesPath } from '../../../../src/assets/index.js';
import { pairKey } from '../../../../src/data/text/bpe.js';
import { readMerges } from '../../../../src/data/text/clip-merges.js';
import { MergeTable } from '../../../../src/data/text/merge-table.js';
import { mergeMemory, SharedMerges } from '../../../../src/data/text/shared-merges.js';
import { DataError } from '../../../../src/errors.js';

describe('MergeTable', () => {
  it('finds what was put in, and nothing else, with keys beyond 31 bits and in each slot', () => {
    const table = new MergeTable();
    const expected = new Map<number, number>();
    for (let i = 0; i < 60_000; i++) expected.set(pairKey((i * 7) % 65_536, (i * 31 + 5) % 65_536), 1 + i);
    for (const [key, merged] of expected) table.set(key, merged);
    for (const [key, merged] of expected) expect(table.get(key)).toBe(merged);
    expect(table.get(pairKey(65_535, 1))).toBe(expected.get(pairKey(65_535, 1)));
    expect(table.get(pairKey(3, 3))).toBeUndefined();
  });

  it('replaces, and refuses to fill up', () => {
    const table = new MergeTable();
    table.set(5, 1);
    table.set(5, 2);
    expect(table.get(5)).toBe(2);
    for (let key = 0; key < 65_536; key++) table.set(key, 9);
    expect(() => table.set(65_536, 9)).toThrow(RangeError);
  });
});

describe('SharedMerges', () => {
  it('reads the file once, whose merges all have', async () => {
    const path = await clipMergesPath();
    const memory = mergeMemory();
    const first = new SharedMerges(path, memory);
    const second = new SharedMerges('nowhere', memory);
    const own = readMerges(path);
    for (let left = 0; left < 512; left++) {
      for (const right of [64, 256 + 64, 300]) {
        const key = pairKey(left, right);
        expect(first.get(key)).toBe(own.get(key));
        expect(second.get(key)).toBe(own.get(key));
      }
    }
    expect(own.get(pairKey(72, 77 + 256))).toBeGreaterThan(511); // "i" and "n</w>"
  });

  it('has every thread say what is wrong with the file', () => {
    const memory = mergeMemory();
    expect(() => new SharedMerges(import.meta.filename, memory)).toThrow(DataError);
    expect(() => new SharedMerges(import.meta.filename, memory).get(1)).toThrow(/expected a gzip file/);
  });
});
