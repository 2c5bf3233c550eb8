/**
 * Places that are full or take nothing, met by an ordinary user and by root alike: a limit on the size of files and
 * /dev/full for a full disk; /proc and /sys, in which nothing can be made, for one that cannot be written.
 */
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSource } from '../../src/data/datasets/open.js';
import { buildData, capstan, capstanWithin, type Finished, set, writeTinyConfig } from '../support/cli.js';

let root = '';
let data = '';
let config = '';
let run = '';
/** Directories in which nobody, or only root, may write. */
const closed = ['/proc', '/sys'];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'capstan-disk-'));
  data = join(root, 'data');
  run = join(root, 'runs', 'tiny');
  await buildData(data);
  config = await writeTinyConfig(join(root, 'tiny.yaml'), { data, runs: join(root, 'runs') });
  const trained = await capstan('train', config);
  expect(trained.code, trained.stderr).toBe(0);
  if (process.getuid?.() !== 0) {
    const locked = join(root, 'locked');
    await mkdir(locked);
    await chmod(locked, 0o555);
    closed.push(locked);
  }
});
afterAll(() => rm(root, { recursive: true, force: true }));

function expectFailure({ code, stderr }: Finished, message: RegExp): void {
  expect(stderr).toMatch(message);
  expect(stderr).not.toMatch(/\n\s+at |bug in capstan/);
  expect(code, stderr).toBe(1);
}

const FULL = /error: .*(ENOSPC|EFBIG).*choose another place/;
const CLOSED = /error: .*(ENOENT|EACCES|EPERM|EROFS).*choose another place/;
const small = ['--limit', '1', '--size', '32', '--workers', '1'];

describe.runIf(process.platform === 'linux')('capstan data build', () => {
  it.each(['arrow', 'parquet'])(
    'on a full disk leaves the earlier set, and nothing beside it (%s)',
    async (format) => {
      const before = await readdir(root);
      const result = await capstanWithin(
        8,
        'data',
        'build',
        'emoji',
        '--out',
        data,
        '--format',
        format,
        ...small,
      );
      expectFailure(result, FULL);
      expect(await readdir(root)).toEqual(before);
      const source = await openSource(data, { split: 'train' });
      expect(source.numRows).toBeGreaterThan(100);
      await source.close();
    },
  );

  it('ends at once where nothing can be made', async () => {
    for (const place of closed) {
      expectFailure(
        await capstan('data', 'build', 'emoji', '--out', join(place, 'a', 'b'), ...small),
        CLOSED,
      );
    }
  });
});

describe.runIf(process.platform === 'linux')('capstan report', () => {
  it('on a full disk leaves the earlier page, and nothing beside it', async () => {
    const pages = join(root, 'pages');
    await mkdir(pages);
    await writeFile(join(pages, 'report.html'), 'the earlier page');
    expectFailure(await capstanWithin(4, 'report', run, '--out', join(pages, 'report.html')), FULL);
    expect(await readdir(pages)).toEqual(['report.html']);
    expect(await readFile(join(pages, 'report.html'), 'utf8')).toBe('the earlier page');
    expectFailure(await capstan('report', run, '--out', '/dev/full'), FULL);
  });

  it('ends at once where nothing can be made', async () => {
    for (const place of closed) {
      expectFailure(await capstan('report', run, '--out', join(place, 'report.html')), CLOSED);
      expectFailure(await capstan('report', run, '--out', join(place, 'a', 'report.html')), CLOSED);
    }
  });
});

describe.runIf(process.platform === 'linux')('capstan eval --json', () => {
  const measured = (): string => join(run, 'eval', 'retrieval-test.json');

  it('to a full disk fails, and what was measured is in the run all the same', async () => {
    expectFailure(await capstan('eval', 'retrieval', '--run', run, '--json', '/dev/full'), FULL);
    expect(existsSync(measured())).toBe(true);
    expect(existsSync(measured().replace(/json$/, 'html'))).toBe(true);
  });

  it('to a closed place fails before anything is measured', async () => {
    await rm(measured(), { force: true });
    for (const directory of [...closed, join(root, 'none')]) {
      const json = join(directory, 'scores.json');
      expectFailure(await capstan('eval', 'retrieval', '--run', run, '--json', json), CLOSED);
      expect(existsSync(measured())).toBe(false);
    }
  });

  it('replaces an earlier file only by a whole one', async () => {
    const scores = join(root, 'scores.json');
    await writeFile(scores, 'the earlier scores');
    const result = await capstan('eval', 'retrieval', '--run', run, '--json', scores);
    expect(result.code, result.stderr).toBe(0);
    expect(JSON.parse(await readFile(scores, 'utf8'))).toMatchObject({ step: 3 });
  });
});

describe.runIf(process.platform === 'linux')('capstan train and profile', () => {
  it('end at once where nothing can be made', async () => {
    for (const place of closed) {
      const folder = set(`run.dir=${join(place, 'runs', 'deep')}`, 'run.name=a');
      expectFailure(
        await capstan('train', config, ...folder),
        /Cannot write into the run's folder .*(ENOENT|EACCES|EPERM|EROFS).*run\.dir/,
      );
      expectFailure(await capstan('profile', config, '--out', join(place, 'a', 'b')), CLOSED);
    }
  });
});
