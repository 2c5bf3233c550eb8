import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSource } from '../../../../src/data/datasets/open.js';
import { openTarWriter } from '../../../../src/data/sources/tar-writer.js';

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'capstan-tar-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

describe('openTarWriter', () => {
  it('writes samples that the reader and tar itself give back', async () => {
    const path = join(root, '00000.tar');
    const writer = await openTarWriter(path);
    const long = 'k'.repeat(180);
    const image = new Uint8Array(513).fill(7);
    await writer.addSample('000000000', { jpg: image, txt: 'a dog – ein Hund', json: '{"width":3}' });
    await writer.addSample(long, { jpg: new Uint8Array(0), txt: '' });
    expect(writer.numSamples).toBe(2);
    await writer.close();
    const names = ['000000000.jpg', '000000000.txt', '000000000.json', `${long}.jpg`, `${long}.txt`];
    expect(execFileSync('tar', ['-tf', path], { encoding: 'utf8' }).trim().split('\n')).toEqual(names);
    expect((await readFile(path)).length % 10_240).toBe(0);
    const source = await openSource(path);
    const rows = await source.readRows([0, 1], ['key', 'image', 'alt', 'width']);
    expect(rows[0]).toEqual({ key: '000000000', image, alt: 'a dog – ein Hund', width: 3 });
    expect(rows[1]).toMatchObject({ key: long, alt: '' });
    await source.close();
    expect(await readdir(root)).toEqual(['00000.tar']);
  });

  it('gives the same bytes for the same samples', async () => {
    for (const name of ['a.tar', 'b.tar']) {
      const writer = await openTarWriter(join(root, name));
      await writer.addSample('1', { txt: 'same' });
      await writer.close();
    }
    expect((await readFile(join(root, 'a.tar'))).equals(await readFile(join(root, 'b.tar')))).toBe(true);
  });

  it.each(['a.b', '', '.hidden', 'a/b.c', '/a'])("refuses the key '%s'", async (key) => {
    const writer = await openTarWriter(join(root, 'x.tar'));
    await expect(writer.addSample(key, { txt: '' })).rejects.toThrow("cannot be a sample's key");
    await writer.abort();
    expect(await readdir(root)).toEqual([]);
  });

  it('says which file cannot be written', async () => {
    await expect(openTarWriter(join(root, 'none', 'x.tar'))).rejects.toThrow(
      /none\/x.tar: cannot be written/,
    );
  });
});
