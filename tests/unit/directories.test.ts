import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeDirectories, removeEmptyDirectories } from '../../src/directories.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'capstan-directories-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const isDirectory = (path: string): boolean => statSync(path).isDirectory();

describe('makeDirectories', () => {
  it('makes what is missing on the way, and nothing of what is there', async () => {
    const path = join(root, 'a', 'b', 'c');
    expect(await makeDirectories(path)).toBe(join(root, 'a'));
    expect(isDirectory(path)).toBe(true);
    expect(await makeDirectories(path)).toBeUndefined();
    expect(await makeDirectories(join(path, 'd'))).toBe(join(path, 'd'));
    await makeDirectories('.');
    await makeDirectories('/');
  });

  it('is taken back as far as nothing was put there', async () => {
    mkdirSync(join(root, 'own'));
    const path = join(root, 'own', 'b', 'c');
    await removeEmptyDirectories(path, await makeDirectories(path));
    expect(readdirSync(join(root, 'own'))).toEqual([]);
    await makeDirectories(path);
    writeFileSync(join(root, 'own', 'b', 'file'), '');
    await removeEmptyDirectories(path, join(root, 'own'));
    expect(readdirSync(join(root, 'own', 'b'))).toEqual(['file']);
    await removeEmptyDirectories(join(root, 'own'), undefined);
    expect(isDirectory(join(root, 'own'))).toBe(true);
  });

  it('follows links', async () => {
    mkdirSync(join(root, 'real'));
    symlinkSync(join(root, 'real'), join(root, 'link'));
    await makeDirectories(join(root, 'link'));
    await makeDirectories(join(root, 'link', 'below'));
    expect(isDirectory(join(root, 'real', 'below'))).toBe(true);
  });

  it('makes the same one many times at once', async () => {
    const path = join(root, 'p', 'q', 'r', 's');
    await Promise.all(Array.from({ length: 20 }, () => makeDirectories(path)));
    expect(isDirectory(path)).toBe(true);
  });

  it('refuses where a file is in the way', async () => {
    writeFileSync(join(root, 'file'), '');
    await expect(makeDirectories(join(root, 'file'))).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(makeDirectories(join(root, 'file', 'x', 'y'))).rejects.toMatchObject({ code: 'ENOTDIR' });
    symlinkSync(join(root, 'nowhere'), join(root, 'dangling'));
    await expect(makeDirectories(join(root, 'dangling'))).rejects.toMatchObject({ code: 'EEXIST' });
  });

  it.runIf(process.platform === 'linux')('refuses, and ends, where none can be made', async () => {
    await expect(makeDirectories('/proc/capstan')).rejects.toMatchObject({
      code: 'ENOENT',
      message: "ENOENT: no directory can be made in /proc, mkdir '/proc/capstan'",
    });
    await expect(makeDirectories('/proc/capstan/a/b')).rejects.toThrow(
      "ENOENT: no directory can be made in /proc, mkdir '/proc/capstan'",
    );
  });
});
