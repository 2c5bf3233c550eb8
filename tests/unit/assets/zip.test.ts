import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { afterAll, describe, expect, it } from 'vitest';
import { extractZipEntries, readZipEntries } from '../../../src/assets/zip.js';
import { noise } from '../../support/wheel-index.js';

const root = mkdtempSync(join(tmpdir(), 'capstan-zip-'));
afterAll(() => rmSync(root, { recursive: true }));

function write(name: string, bytes: Uint8Array): string {
  writeFileSync(join(root, name), bytes);
  return join(root, name);
}

describe('zip', () => {
  it('extracts stored, deflated, empty and executable entries, after leading bytes of no meaning', async () => {
    const data = noise(100_000);
    const zip = zipSync({
      'a/stored.bin': [data, { level: 0 }],
      'a/deflated.bin': [Buffer.from('abc'.repeat(50_000)), { level: 9 }],
      'empty.txt': new Uint8Array(0),
      'bin/tool': [Buffer.from('#!'), { os: 3, attrs: 0o100755 << 16 }],
    });
    const file = write('good.zip', zip);
    const entries = await readZipEntries(file);
    expect(entries.map(({ path, bytes, executable }) => [path, bytes, executable])).toEqual([
      ['a/stored.bin', 100_000, false],
      ['a/deflated.bin', 150_000, false],
      ['empty.txt', 0, false],
      ['bin/tool', 2, true],
    ]);
    const seen: string[] = [];
    await extractZipEntries(file, entries, join(root, 'out'), (entry) => seen.push(entry.path));
    expect(seen).toEqual(entries.map((entry) => entry.path));
    expect(readFileSync(join(root, 'out/a/stored.bin')).equals(data)).toBe(true);
    expect(readFileSync(join(root, 'out/a/deflated.bin'), 'utf8')).toBe('abc'.repeat(50_000));
    expect(readFileSync(join(root, 'out/empty.txt')).length).toBe(0);
    expect(statSync(join(root, 'out/bin/tool')).mode & 0o777).toBe(0o755);
  });

  it('finds the end record before a comment', async () => {
    const zip = Buffer.from(zipSync({ 'x.txt': Buffer.from('x') }));
    zip.writeUInt16LE(5, zip.length - 2);
    const file = write('comment.zip', Buffer.concat([zip, Buffer.from('hello')]));
    expect((await readZipEntries(file)).map((entry) => entry.path)).toEqual(['x.txt']);
  });

  it('refuses what is not a zip, is cut off, or damaged', async () => {
    const zip = Buffer.from(zipSync({ 'x.bin': noise(1000), 'y.bin': noise(1000, 2) }));
    await expect(readZipEntries(write('no.zip', Buffer.from('not a zip')))).rejects.toThrow(
      /is not a zip file/,
    );
    await expect(readZipEntries(write('cut.zip', zip.subarray(0, 1500)))).rejects.toThrow(/cut off/);
    const directory = Buffer.from(zip);
    directory[directory.readUInt32LE(directory.length - 6)]! ^= 1;
    await expect(readZipEntries(write('dir.zip', directory))).rejects.toThrow(/entry 0 of the zip directory/);
    const header = Buffer.from(zip);
    header[0]! ^= 1;
    const file = write('header.zip', header);
    const entries = await readZipEntries(file);
    await expect(extractZipEntries(file, entries, join(root, 'h'))).rejects.toThrow(
      'the header of x.bin is damaged',
    );
  });

  it('refuses entries outside of the target directory', async () => {
    const file = write('slip.zip', zipSync({ '../outside.txt': Buffer.from('x') }));
    const entries = await readZipEntries(file);
    await expect(extractZipEntries(file, entries, join(root, 's'))).rejects.toThrow(
      '../outside.txt points outside',
    );
  });

  it('refuses an entry that is shorter than stated', async () => {
    const file = write('short.zip', zipSync({ 'x.bin': noise(1000) }));
    const [entry] = await readZipEntries(file);
    const longer = { ...entry!, bytes: 2000 };
    await expect(extractZipEntries(file, [longer], join(root, 'l'))).rejects.toThrow(
      'gave 1000 bytes, 2000 expected',
    );
  });
});
