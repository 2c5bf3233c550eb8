import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { boundCache } from '../../../src/engine/cache-bound.js';

const HOUR = 3_600_000;
let root: string;
let one: string;
let other: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'capstan-bound-'));
  one = join(root, '0123456789abcdef');
  other = join(root, 'fedcba9876543210');
  for (const directory of [one, other]) mkdirSync(directory);
});
afterEach(() => rmSync(root, { recursive: true }));

/** An entry with its checksum, read and written so many hours ago. */
function put(directory: string, name: string, hours: { read: number; written: number }, bytes = 100): string {
  const path = join(directory, name);
  writeFileSync(path, new Uint8Array(bytes));
  writeFileSync(`${path}.sha256`, '');
  const ago = (h: number): Date => new Date(Date.now() - h * HOUR);
  utimesSync(path, ago(hours.read), ago(hours.written));
  return path;
}

describe('boundCache', () => {
  it('removes what was not used for the longest time, whatever directory it is in', () => {
    const oldest = put(one, 'a.pb', { read: 90, written: 90 });
    const old = put(other, 'b.pb', { read: 80, written: 100 });
    put(one, 'c.pb', { read: 10, written: 200 });
    put(other, 'd.pb', { read: 70, written: 5 });
    boundCache(root, 400);
    expect(existsSync(oldest)).toBe(true);
    boundCache(root, 399);
    expect(existsSync(oldest)).toBe(false);
    expect(existsSync(old)).toBe(true);
    boundCache(root, 250);
    expect(readdirSync(one)).toEqual(['c.pb', 'c.pb.sha256']);
    expect(readdirSync(other)).toEqual(['d.pb', 'd.pb.sha256']);
  });

  it('leaves what was just made or used, and what is not the cache’s', () => {
    put(one, 'written.pb', { read: 90, written: 0 });
    put(one, 'read.pb', { read: 0.5, written: 90 });
    put(one, 'half.pb.tmp', { read: 90, written: 90 });
    const elsewhere = join(root, 'mine');
    mkdirSync(elsewhere);
    put(elsewhere, 'a.pb', { read: 90, written: 90 });
    put(root, 'a.pb', { read: 90, written: 90 });
    boundCache(root, 0);
    expect(readdirSync(one).filter((name) => !name.endsWith('.sha256'))).toEqual([
      'half.pb.tmp',
      'read.pb',
      'written.pb',
    ]);
    expect(readdirSync(elsewhere)).toHaveLength(2);
    expect(existsSync(join(root, 'a.pb'))).toBe(true);
  });

  it('does nothing where there is no cache', () => {
    boundCache(join(root, 'none'), 0);
  });
});
