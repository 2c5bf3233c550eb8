import { appendFileSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openLocalFile, openScan } from '../../../../src/data/storage/stored-file.js';
import { DataError } from '../../../../src/errors.js';

const path = join(mkdtempSync(join(tmpdir(), 'scan-')), 'file');

describe('openScan', () => {
  it('reads a local file piece by piece in one memory', async () => {
    writeFileSync(path, 'abcdefgh');
    const scan = await openScan(await openLocalFile(path));
    const first = await scan.read(0, 4);
    expect(Buffer.from(first).toString()).toBe('abcd');
    const second = await scan.read(5, 3);
    expect(Buffer.from(second).toString()).toBe('fgh');
    expect(second.buffer).toBe(first.buffer);
    await expect(scan.read(6, 3)).rejects.toThrow(/expected 9 bytes, found 8/);
    await scan.close();
  });

  it('refuses a file that was changed meanwhile', async () => {
    writeFileSync(path, 'abcdefgh');
    const scan = await openScan(await openLocalFile(path));
    appendFileSync(path, 'i');
    await expect(scan.close()).rejects.toThrow(/the file was changed while it was read/);
  });

  it('frees what it read before of a file that gives memory of its own', async () => {
    const read = async (offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> =>
      new Uint8Array(length).fill(offset);
    const scan = await openScan({ path: 'x', size: 10, version: '1', read });
    const first = await scan.read(1, 2);
    expect([...(await scan.read(3, 2))]).toEqual([3, 3]);
    expect(first.length).toBe(0);
    await scan.close();
  });

  it('says that a file is gone', async () => {
    await expect(openLocalFile(`${path}-gone`)).rejects.toThrow(DataError);
  });
});
