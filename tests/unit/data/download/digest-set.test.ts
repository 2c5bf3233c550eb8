import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { DigestSet } from '../../../../src/data/download/digest-set.js';

const digest = (text: string) => createHash('sha256').update(text).digest();

it('tells digests apart as it grows', () => {
  const set = new DigestSet();
  for (let i = 0; i < 20_000; i++) expect(set.add(digest(`${i}`))).toBe(true);
  for (let i = 0; i < 20_000; i += 7) expect(set.add(digest(`${i}`))).toBe(false);
  expect(set.size).toBe(20_000);
});

it('holds zero, and reads digests that lie within larger bytes', () => {
  const set = new DigestSet();
  const bytes = new Uint8Array(24).fill(1, 8);
  expect([set.add(bytes.subarray(0, 8)), set.add(bytes.subarray(0, 8))]).toEqual([true, false]);
  expect([set.add(bytes.subarray(8, 16)), set.add(bytes.subarray(16, 24))]).toEqual([true, false]);
  expect(set.size).toBe(2);
});
