/** `capstan data download` as a user runs it: killed and run again, on a full disk, and then trained on. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSource } from '../../src/data/datasets/open.js';
import { capstan, capstanWithin, start, writeTinyConfig } from '../support/cli.js';
import { type ImageServer, picture, startImageServer } from '../support/image-server.js';

const ROWS = 60;

let root = '';
let list = '';
let server: ImageServer;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'capstan-e2e-download-'));
  list = join(root, 'list.csv');
  server = await startImageServer();
  const rows = ['Image Path,raw_caption,shortSV_captions'];
  for (let i = 0; i < ROWS; i++) {
    const image = await picture(i, { width: 48, height: 40 });
    server.paths.set(`/${i}.jpg`, (_, response) => void setTimeout(() => response.end(image), 30));
    rows.push(`${server.url(`/${i}.jpg`)},picture number ${i},"a picture, ${i}"`);
  }
  server.paths.set('/13.jpg', (_, response) => response.setHeader('x-robots-tag', 'noai').end('x'));
  server.paths.delete('/14.jpg');
  await writeFile(list, `${rows.join('\n')}\n`);
});
afterAll(async () => {
  await server.close();
  await rm(root, { recursive: true, force: true });
});

const columns = [
  '--column',
  'key=sha256(Image Path)',
  '--column',
  'url=Image Path',
  '--column',
  'alt=raw_caption',
];
const args = (out: string): string[] => [
  'data',
  'download',
  list,
  '--out',
  out,
  ...columns,
  '--column',
  'ssc=shortSV_captions',
  '--allow-private',
  '--shard-rows',
  '10',
  '--per-host',
  '2',
];

async function captionsOf(out: string): Promise<unknown[]> {
  const source = await openSource(out, { split: 'train' });
  const rows = await source.readRows([...Array(source.numRows).keys()], ['alt', 'ssc', 'image']);
  await source.close();
  expect(rows.every(({ image }) => image instanceof Uint8Array && image[0] === 0xff)).toBe(true);
  return rows.map(({ alt }) => alt);
}

const expected = Array.from({ length: ROWS }, (_, i) => i)
  .filter((i) => i !== 13 && i !== 14)
  .map((i) => `picture number ${i}`);

describe('capstan data download', () => {
  it('goes on after it was killed, three times, and says what came', async () => {
    const out = join(root, 'killed');
    for (let kill = 1; kill <= 3; kill++) {
      const running = start(...args(out));
      const isKilled = running.finished.then(() => true);
      const enough = async (): Promise<void> => {
        while ((await readdir(out).catch(() => [])).filter((name) => name.endsWith('.json')).length < kill)
          await sleep(5);
      };
      await Promise.race([enough(), isKilled]);
      running.process.kill('SIGKILL');
      await running.finished;
    }
    const finishedBefore = (await readdir(out)).filter((name) => name.endsWith('.arrow')).length;
    expect(finishedBefore).toBeGreaterThan(1);
    const asked = server.seen.length;
    const last = await capstan(...args(out));
    expect(last.code, last.stderr).toBe(0);
    expect(server.seen.length - asked).toBeLessThan(ROWS - 10);
    expect(last.stdout).toMatch(/58 images of 60 rows \(96\.7 %\) in 6 shards/);
    expect(last.stdout).toMatch(/^http-404 +1 +1\.7 %$/m);
    expect(last.stdout).toMatch(/^opt-out +1 +1\.7 %$/m);
    expect(last.stdout).toMatch(/^127\.0\.0\.1:\d+ +2 /m);
    expect(await captionsOf(out)).toEqual(expected);
    expect((await readdir(out)).filter((name) => /part|spool/.test(name))).toEqual([]);
    const report = JSON.parse(await readFile(join(out, 'report.json'), 'utf8')) as {
      rows: number;
      images: number;
    };
    expect(report).toMatchObject({ rows: 60, images: 58, failures: { 'opt-out': 1, 'http-404': 1 } });
  });

  it.each([['arrow'], ['webdataset']])('makes a folder that capstan train takes (%s)', async (to) => {
    const out = join(root, `train-${to}`);
    const done = await capstan(...args(out), '--to', to, '--size', '32', '--resize-mode', 'center-crop');
    expect(done.code, done.stderr).toBe(0);
    const config = await writeTinyConfig(join(root, `${to}.yaml`), {
      data: out,
      runs: join(root, `runs-${to}`),
      steps: 2,
    });
    const trained = await capstan('train', config);
    expect(trained.code, trained.stderr).toBe(0);
  });

  it('ends by a signal with what is finished kept', async () => {
    const out = join(root, 'ended');
    const running = start(...args(out));
    while (!(await readdir(out).catch((): string[] => [])).some((name) => name.endsWith('_stats.json')))
      await sleep(5);
    running.process.kill('SIGINT');
    const { code, stderr } = await running.finished;
    expect(code).toBe(130);
    expect(stderr).toContain('the same command goes on');
    expect(stderr).not.toContain('bug in capstan');
    expect((await capstan(...args(out))).code).toBe(0);
    expect(await captionsOf(out)).toEqual(expected);
  });

  it.runIf(process.platform === 'linux')('says that the disk is full, and what is there stays', async () => {
    const out = join(root, 'full');
    const { code, stderr } = await capstanWithin(3, ...args(out));
    expect(code).toBe(1);
    expect(stderr).toMatch(/error: .*cannot be written.*(EFBIG|ENOSPC)/);
    expect(stderr).not.toMatch(/bug in capstan|\n\s+at /);
    expect((await capstan(...args(out))).code).toBe(0);
    expect(await captionsOf(out)).toEqual(expected);
  });

  it('refuses what it cannot do, in words', async () => {
    const none = await capstan(
      'data',
      'download',
      list,
      '--out',
      join(root, 'x'),
      '--column',
      'key=raw_caption',
    );
    expect([none.code, none.stderr]).toEqual([
      2,
      expect.stringContaining('Say which column has them: --column url=NAME'),
    ]);
    const wrong = await capstan('data', 'download', list, '--out', join(root, 'x'), '--max-bytes', '20 MB');
    expect([wrong.code, wrong.stderr]).toEqual([
      2,
      expect.stringContaining('Expected bytes, as 500000, 500K or 20M.'),
    ]);
    const private_ = await capstan(...args(join(root, 'x')).filter((arg) => arg !== '--allow-private'));
    expect([private_.code, private_.stderr]).toEqual([1, expect.stringContaining('private-address 60')]);
  });
});
