import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { replaceFile, requireReplaceable } from '../../src/replace-file.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'capstan-replace-'));
});
afterEach(() => rmSync(root, { recursive: true }));

describe('replaceFile', () => {
  it('writes a new file, and another in its place', async () => {
    const path = join(root, 'a.txt');
    await replaceFile(path, 'one');
    const first = statSync(path).ino;
    await replaceFile(path, Buffer.from('two'));
    expect(readFileSync(path, 'utf8')).toBe('two');
    expect(statSync(path).ino).not.toBe(first);
    expect(readdirSync(root)).toEqual(['a.txt']);
  });

  it('keeps a link, and replaces what it leads to', async () => {
    writeFileSync(join(root, 'real'), 'old');
    symlinkSync('real', join(root, 'link'));
    await replaceFile(join(root, 'link'), 'new');
    expect(lstatSync(join(root, 'link')).isSymbolicLink()).toBe(true);
    expect(readFileSync(join(root, 'real'), 'utf8')).toBe('new');
  });

  it('leaves nothing behind where the place cannot be taken', async () => {
    mkdirSync(join(root, 'directory'));
    await expect(replaceFile(join(root, 'directory'), 'x')).rejects.toMatchObject({ code: 'EISDIR' });
    await expect(replaceFile(join(root, 'none', 'x'), 'x')).rejects.toMatchObject({ code: 'ENOENT' });
    expect(readdirSync(root)).toEqual(['directory']);
  });

  it.runIf(process.platform === 'linux')('writes to a device, which stays one', async () => {
    await replaceFile('/dev/null', 'x');
    await expect(replaceFile('/dev/full', 'x')).rejects.toMatchObject({ code: 'ENOSPC' });
    for (const device of ['/dev/null', '/dev/full']) expect(statSync(device).isCharacterDevice()).toBe(true);
  });
});

describe('requireReplaceable', () => {
  it('refuses what replaceFile would, and leaves everything as it was', async () => {
    const path = join(root, 'a.txt');
    await requireReplaceable(path);
    expect(readdirSync(root)).toEqual([]);
    writeFileSync(path, 'earlier');
    await requireReplaceable(path);
    expect(readFileSync(path, 'utf8')).toBe('earlier');
    await expect(requireReplaceable(root)).rejects.toMatchObject({ code: 'EISDIR' });
    await expect(requireReplaceable(join(root, 'none', 'b'))).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(requireReplaceable(join(path, 'b'))).rejects.toMatchObject({ code: 'ENOTDIR' });
    expect(readdirSync(root)).toEqual(['a.txt']);
  });
});
