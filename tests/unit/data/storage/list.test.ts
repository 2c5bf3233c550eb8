import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Storage } from '../../../../src/data/storage/storage.js';
import { startRangeServer } from '../../../support/range-server.js';

let root: string;
const storage = new Storage({ cacheMiB: 0 });

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'capstan-list-'));
  mkdirSync(join(root, 'deep', '.hidden'), { recursive: true });
  for (const [i, name] of [
    '9.tar',
    '10.tar',
    'B.tar',
    'a.json',
    '.x.tar',
    'deep/1.tar',
    'deep/.hidden/2.tar',
    'w[1].tar',
  ].entries()) {
    writeFileSync(join(root, name), '.'.repeat(i));
  }
  symlinkSync(join(root, 'deep', '1.tar'), join(root, 'link.tar'));
  symlinkSync(root, join(root, 'deep', 'up'));
});
afterEach(() => rmSync(root, { recursive: true }));

async function namesOf(pattern: string): Promise<string[]> {
  return (await storage.listFiles(join(root, pattern))).map(({ path }) => path.slice(root.length + 1));
}

describe('listFiles on this machine', () => {
  it.each<[string, string[]]>([
    ['', ['10.tar', '9.tar', 'B.tar', 'a.json', 'link.tar', 'w[1].tar']],
    ['*.tar', ['10.tar', '9.tar', 'B.tar', 'link.tar', 'w[1].tar']],
    ['**/*.tar', ['10.tar', '9.tar', 'B.tar', 'deep/1.tar', 'link.tar', 'w[1].tar']],
    ['{9..10}.tar', ['9.tar', '10.tar']],
    ['{*.json,?.tar}', ['a.json', '9.tar', 'B.tar']],
    ['d*/1.tar', ['deep/1.tar']],
    ['w[1].tar', ['w[1].tar']],
  ])("'%s'", async (pattern, names) => {
    expect(await namesOf(pattern)).toEqual(names);
  });

  it('tells sizes and opens', async () => {
    const [file] = await storage.listFiles(pathToFileURL(join(root, 'a.json')).href);
    expect(file?.size).toBe(3);
    expect((await file?.open())?.size).toBe(3);
  });

  it.each(['none', '*.parquet', '{1..2}.tar', 'deep/.hidden/*.json'])(
    "says that nothing is there: '%s'",
    async (pattern) => {
      await expect(namesOf(pattern)).rejects.toThrow(/there are no files/);
    },
  );

  it('says that a pattern is none', async () => {
    await expect(namesOf('[z-a].tar')).rejects.toThrow(/is no pattern/);
  });
});

describe('a local file', () => {
  it('is an error when it was changed after it was opened', async () => {
    const file = await storage.openFile(join(root, 'a.json'));
    expect(await file.read(0, 3)).toHaveLength(3);
    writeFileSync(join(root, 'a.json'), '.....');
    await expect(file.read(0, 3)).rejects.toThrow(/changed while it was read/);
    writeFileSync(join(root, 'a.json'), '.');
    await expect(file.read(0, 3)).rejects.toThrow(/cut off/);
  });
});

it('listFiles expands braces on a web server, and names the file that is missing', async () => {
  const server = await startRangeServer();
  for (let i = 0; i < 40; i++) server.files.set(`/s-${`${i}`.padStart(3, '0')}.tar`, new Uint8Array(i + 1));
  const files = await storage.listFiles(server.url('/s-{000..039}.tar'));
  expect(files.map(({ size }) => size)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
  await expect(storage.listFiles(server.url('/s-{038..041}.tar'))).rejects.toThrow(/s-04[01]\.tar.*404/);
  await server.close();
});

it('openFile names what it can read when it cannot', async () => {
  await expect(storage.openFile('gs://bucket/x')).rejects.toThrow(/cannot read from gs:.*Known are/);
  await expect(storage.openFile('http://')).rejects.toThrow(/is no address/);
});

it('an option out of bounds is an error that names it', () => {
  expect(() => new Storage({ tries: 0 })).toThrow(
    /storage\.tries is 0; it must be a whole number of at least 1/,
  );
  expect(() => new Storage({ cacheMiB: 5 })).toThrow(/storage\.cacheMiB is 5; it must be 0 or at least 256/);
});
