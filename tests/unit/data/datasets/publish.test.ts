import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSource } from '../../../../src/data/datasets/open.js';
import { replaceDirectory, restoreInterrupted } from '../../../../src/data/datasets/publish.js';
import { writeParquet } from '../../../../src/data/sources/writers.js';
import { ConfigError } from '../../../../src/errors.js';

let parent: string;
let out: string;

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'capstan-publish-'));
  out = join(parent, 'set');
});

afterEach(() => rmSync(parent, { recursive: true, force: true }));

const build = (text: string): Promise<void> =>
  replaceDirectory(out, async (directory) => writeFileSync(join(directory, 'dataset.json'), text));

const content = (): string => readFileSync(join(out, 'dataset.json'), 'utf8');

/** The number of a process that has ended. */
async function endedPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  return child.pid as number;
}

describe('replaceDirectory', () => {
  it('puts a set in place, replaces it, and leaves nothing beside it', async () => {
    await build('first');
    expect(content()).toBe('first');
    await build('second');
    expect(content()).toBe('second');
    expect(readdirSync(parent)).toEqual(['set']);
  });

  it('lets others read the set as far as the umask does', async () => {
    mkdirSync(join(parent, 'plain'));
    await build('first');
    expect(statSync(out).mode).toBe(statSync(join(parent, 'plain')).mode);
  });

  it('leaves the earlier set whole while it builds, and when the build fails', async () => {
    await build('first');
    const failing = replaceDirectory(out, async (directory) => {
      writeFileSync(join(directory, 'dataset.json'), 'half');
      expect(content()).toBe('first');
      throw new Error('the disk is full');
    });
    await expect(failing).rejects.toThrow('the disk is full');
    expect(content()).toBe('first');
    expect(readdirSync(parent)).toEqual(['set']);
  });

  it('does not touch what is no data set', async () => {
    mkdirSync(out);
    writeFileSync(join(out, 'thesis.txt'), 'years');
    await expect(build('first')).rejects.toThrow(ConfigError);
    expect(readdirSync(out)).toEqual(['thesis.txt']);
    await expect(replaceDirectory(join(out, 'thesis.txt'), async () => {})).rejects.toThrow(ConfigError);
  });

  it('removes what a killed build left, also one that had the number of this process', async () => {
    for (const pid of [await endedPid(), process.pid]) mkdirSync(join(parent, `.set.${pid}-0a1b2c3d`));
    const living = `.set.${process.ppid}-0a1b2c3d`;
    mkdirSync(join(parent, living));
    await build('first');
    expect(readdirSync(parent).sort()).toEqual([living, 'set']);
  });

  it('lets two builds of one set go on side by side', async () => {
    await replaceDirectory(out, async (directory) => {
      await build('inner');
      writeFileSync(join(directory, 'dataset.json'), 'outer');
    });
    expect(content()).toBe('outer');
    expect(readdirSync(parent)).toEqual(['set']);
  });
});

describe('a build killed between its two renames', () => {
  /** The state that such a kill leaves: the earlier set aside, the new one whole but not in place. */
  async function interrupt(pid: number): Promise<void> {
    await build('earlier');
    const directory = join(parent, `.set.${pid}-0a1b2c3d`);
    mkdirSync(directory);
    writeFileSync(join(directory, 'dataset.json'), 'new');
    renameSync(out, `${directory}.old`);
  }

  it('leaves the earlier set to be put back', async () => {
    for (const pid of [await endedPid(), process.pid]) {
      await interrupt(pid);
      await restoreInterrupted(out);
      expect(content()).toBe('earlier');
      await build('next');
      expect(content()).toBe('next');
      expect(readdirSync(parent)).toEqual(['set']);
    }
  });

  it('is mended by the next build, even if that one fails', async () => {
    await interrupt(await endedPid());
    const failing = replaceDirectory(out, async () => {
      throw new Error('no space');
    });
    await expect(failing).rejects.toThrow('no space');
    expect(content()).toBe('earlier');
    expect(readdirSync(parent)).toEqual(['set']);
  });

  it('is mended when the set is opened', async () => {
    await interrupt(await endedPid());
    const aside = readdirSync(parent).find((name) => name.endsWith('.old')) as string;
    rmSync(join(parent, aside, 'dataset.json'));
    const shard = join(parent, aside, 'train-00000.parquet');
    await writeParquet(shard, [{ name: 'key', type: 'string' }], [{ key: 'a' }], 1);
    expect((await openSource(out)).numRows).toBe(1);
  });

  it('is left alone while its process lives', async () => {
    await interrupt(process.ppid);
    await restoreInterrupted(out);
    expect(readdirSync(parent)).not.toContain('set');
  });
});
