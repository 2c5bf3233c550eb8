import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type OpenOptions, openSource } from '../../../../src/data/datasets/open.js';
import { downloadImages } from '../../../../src/data/download/download-images.js';
import type { DownloadImagesOptions } from '../../../../src/data/download/options.js';
import type { DownloadReport } from '../../../../src/data/download/report.js';
import type { Row } from '../../../../src/data/schema.js';
import { type ImageServer, picture, startImageServer } from '../../../support/image-server.js';

let root = '';
let out = '';
let list = '';
let server: ImageServer;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'capstan-download-'));
  out = join(root, 'out');
  list = join(root, 'list.jsonl');
  server = await startImageServer();
});
afterEach(async () => {
  await server.close();
  await rm(root, { recursive: true, force: true });
});

const writeList = (rows: readonly object[]): Promise<void> =>
  writeFile(list, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));

/** A list of so many rows of schema datacomp, with an image for each. */
async function writeDatacomp(count: number): Promise<Buffer[]> {
  const images = await Promise.all(Array.from({ length: count }, (_, i) => picture(i)));
  for (const [i, image] of images.entries()) server.paths.set(`/${i}.jpg`, image);
  await writeList(
    images.map((image, i) => ({
      uid: `id-${i}`,
      url: server.url(`/${i}.jpg`),
      text: `caption ${i}`,
      original_width: 400 + i,
      clip_b32_similarity_score: i / 8,
      face_bboxes: i % 2 === 0 ? [] : [[0.1, 0.2, 0.3, 0.4]],
      sha256: createHash('sha256').update(image).digest('hex'),
    })),
  );
  return images;
}

async function download(
  changes: Partial<DownloadImagesOptions> = {},
  reading: OpenOptions = {},
): Promise<DownloadReport> {
  const source = await openSource(list, reading);
  try {
    return await downloadImages({
      source,
      out,
      shardRows: 4,
      allowPrivate: true,
      retryDelaySeconds: 0.01,
      ...changes,
    });
  } finally {
    await source.close();
  }
}

async function readBack(
  options: OpenOptions = { split: 'train' },
): Promise<{ schema: string | undefined; rows: Row[] }> {
  const source = await openSource(out, options);
  try {
    const rows = await source.readRows([...Array(source.numRows).keys()], source.columns);
    return { schema: source.schema, rows };
  } finally {
    await source.close();
  }
}

const failures = async (): Promise<{ row: number; reason: string; tries: number }[]> =>
  (await readFile(join(out, 'failures.jsonl'), 'utf8'))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { row: number; reason: string; tries: number });

describe('downloadImages', () => {
  it.each(['arrow', 'parquet'] as const)(
    "keeps the list's order and columns, under capstan's names, in %s",
    async (to) => {
      const images = await writeDatacomp(10);
      // The later a row, the sooner its answer.
      for (const [i, image] of images.entries()) {
        server.paths.set(
          `/${i}.jpg`,
          (_, response) => void setTimeout(() => response.end(image), 100 - 10 * i),
        );
      }
      const report = await download({ to });
      expect(report).toMatchObject({ rows: 10, images: 10, shards: 3, failures: {}, hosts: [] });
      expect((await readdir(out)).filter((name) => name.startsWith('train-'))).toEqual([
        `train-00000.${to}`,
        `train-00001.${to}`,
        `train-00002.${to}`,
      ]);
      const { rows } = await readBack();
      expect(rows.map(({ key }) => key)).toEqual(images.map((_, i) => `id-${i}`));
      expect(rows[3]).toEqual({
        key: 'id-3',
        url: server.url('/3.jpg'),
        alt: 'caption 3',
        list_original_width: 403n,
        clip_b32_similarity_score: 0.375,
        face_bboxes: [[0.1, 0.2, 0.3, 0.4]],
        list_sha256: createHash('sha256')
          .update(images[3] as Buffer)
          .digest('hex'),
        width: 40n,
        height: 30n,
        original_width: 40n,
        original_height: 30n,
        sha256: createHash('sha256')
          .update(images[3] as Buffer)
          .digest('hex'),
        image: new Uint8Array(images[3] as Buffer),
      });
    },
  );

  it("writes img2dataset's layout", async () => {
    const images = await writeDatacomp(6);
    server.paths.delete('/1.jpg');
    await download({ to: 'webdataset', shardRows: 5 });
    expect((await readdir(out)).filter((name) => !name.startsWith('.')).sort()).toEqual([
      '00000.parquet',
      '00000.tar',
      '00000_stats.json',
      '00001.parquet',
      '00001.tar',
      '00001_stats.json',
      'failures.jsonl',
      'report.json',
    ]);
    const { schema, rows } = await readBack();
    expect(schema).toBe('webdataset');
    expect(rows.map(({ key, alt }) => [key, alt])).toEqual(
      [0, 2, 3, 4, 5].map((i) => [i < 5 ? `00000${i}` : '000010', `caption ${i}`]),
    );
    expect(rows[1]).toMatchObject({
      image: new Uint8Array(images[2] as Buffer),
      txt: 'caption 2',
      status: 'success',
      width: 40,
      list_key: 'id-2',
    });
    expect(JSON.parse(await readFile(join(out, '00000_stats.json'), 'utf8'))).toMatchObject({
      count: 5,
      successes: 4,
      failed_to_download: 1,
      failed_to_resize: 0,
      status_dict: { success: 4, 'http-404': 1 },
    });
    const table = await openSource(join(out, '00000.parquet'), { columns: { key: 'list_key' } });
    const told = await table.readRows([0, 1], ['key', 'status', 'error_message']);
    expect(told).toEqual([
      { key: 'id-0', status: 'success', error_message: null },
      { key: 'id-1', status: 'failed_to_download', error_message: 'http-404' },
    ]);
    await table.close();
  });

  it('counts every row that has no image, and says why', async () => {
    const good = await picture(1);
    server.paths.set('/good', good);
    server.paths.set('/page', Buffer.from('<html>a page</html>'));
    server.paths.set('/no', (_, response) => response.setHeader('x-robots-tag', 'noai').end(good));
    server.paths.set('/small', await picture(2, { width: 9, height: 9 }));
    server.paths.set('/moody', (_, response) => response.writeHead(503).end());
    const urls = [
      server.url('/good'),
      server.url('/good#part'),
      server.url('/page'),
      server.url('/no'),
      server.url('/gone'),
      server.url('/small'),
      server.url('/moody'),
      'file:///etc/passwd',
      'no address',
      '',
      null,
      17,
    ];
    await writeList(urls.map((url, i) => ({ id: i, link: url, title: `t${i}` })));
    const reading = { columns: { key: 'id', url: 'link', alt: 'title' } };
    const report = await download({ minSize: 10, retries: 2 }, reading);
    expect(report.images).toBe(1);
    expect(report.failures).toEqual({
      'bad-row': 3,
      'bad-url': 2,
      'duplicate-url': 1,
      'not-an-image': 1,
      'opt-out': 1,
      'http-404': 1,
      'too-small': 1,
      'http-503': 1,
    });
    expect((await failures()).map(({ row, reason, tries }) => [row, reason, tries])).toEqual([
      [1, 'duplicate-url', 0],
      [2, 'not-an-image', 1],
      [3, 'opt-out', 1],
      [4, 'http-404', 1],
      [5, 'too-small', 1],
      [6, 'http-503', 3],
      [7, 'bad-url', 0],
      [8, 'bad-url', 0],
      [9, 'bad-row', 0],
      [10, 'bad-row', 0],
      [11, 'bad-row', 0],
    ]);
    expect(server.seen.filter((path) => path === '/good')).toHaveLength(1);
    expect(report.hosts[0]).toMatchObject({ host: new URL(server.url('/')).host, failures: 5 });
    expect(JSON.parse(await readFile(join(out, 'report.json'), 'utf8'))).toMatchObject({
      rows: 12,
      images: 1,
    });
  });

  it('tries again after a failure that passes, and waits as long as it is asked to', async () => {
    await writeDatacomp(1);
    const image = server.paths.get('/0.jpg') as Buffer;
    const at: number[] = [];
    server.paths.set('/0.jpg', (request, response) => {
      at.push(performance.now());
      if (at.length === 1) response.writeHead(429, { 'retry-after': '1' }).end();
      else if (at.length === 2) request.socket.destroy();
      else response.end(image);
    });
    expect((await download()).images).toBe(1);
    expect((at[1] as number) - (at[0] as number)).toBeGreaterThan(990);
  });

  it('holds images against the hashes of the list', async () => {
    await writeDatacomp(5);
    server.paths.set('/2.jpg', await picture(200));
    const report = await download({ verify: true });
    expect(report).toMatchObject({ images: 4, failures: { 'hash-mismatch': 1 } });
    await writeList([{ key: 'a', url: server.url('/0.jpg'), alt: '' }]);
    await expect(
      download({ verify: true, out: join(root, 'b') }, { columns: { key: 'key', url: 'url' } }),
    ).rejects.toThrow('--verify needs a column sha256 or md5');
  });

  it('takes images of the same bytes once: the first in the list, whichever comes first', async () => {
    const images = await writeDatacomp(9);
    for (const i of [1, 6, 8]) server.paths.set(`/${i}.jpg`, images[1] as Buffer);
    server.paths.set('/1.jpg', (_, response) => void setTimeout(() => response.end(images[1]), 200));
    const report = await download({ dedupe: 'bytes' });
    expect(report).toMatchObject({ images: 7, failures: { 'duplicate-bytes': 2 } });
    expect((await failures()).map(({ row }) => row)).toEqual([6, 8]);
  });

  it('goes on where it was ended, and makes a shard again whose file is not as it was', async () => {
    await writeDatacomp(16);
    const held = server.paths.get('/9.jpg') as Buffer;
    const stop = new AbortController();
    server.paths.set('/9.jpg', () => undefined);
    const first = download({
      signal: stop.signal,
      dedupe: 'bytes',
      onProgress: ({ done }) => void (done === 15 && setTimeout(() => stop.abort(new Error('ended')), 300)),
    });
    await expect(first).rejects.toThrow('ended');
    expect((await readdir(out)).filter((name) => name.endsWith('.arrow'))).toEqual([
      'train-00000.arrow',
      'train-00001.arrow',
    ]);
    expect((await readdir(join(out, '.download'))).filter((name) => /spool|part|lock/.test(name))).toEqual(
      [],
    );
    server.paths.set('/9.jpg', held);
    server.seen.length = 0;
    await truncate(join(out, 'train-00001.arrow'), 100);
    await writeFile(join(out, '.download', '00002.spool'), 'left');
    await writeFile(join(out, 'train-00002.arrow.17-abcd.part'), 'left');
    expect(await download({ dedupe: 'bytes' })).toMatchObject({ images: 16, lastRun: { images: 12 } });
    expect([...server.seen].sort()).toEqual(
      [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15].map((i) => `/${i}.jpg`).sort(),
    );
    expect((await readBack()).rows.map(({ key }) => key)).toEqual(
      Array.from({ length: 16 }, (_, i) => `id-${i}`),
    );
    expect(await readdir(out)).not.toContain('train-00002.arrow.17-abcd.part');
    server.seen.length = 0;
    expect(await download({ dedupe: 'bytes' })).toMatchObject({ images: 16, lastRun: { images: 0 } });
    expect(server.seen).toEqual([]);
  });

  it.each(['arrow', 'webdataset'] as const)(
    'tries again what failed when told to, and only that (%s)',
    async (to) => {
      const images = await writeDatacomp(9);
      for (const i of [2, 5]) server.paths.delete(`/${i}.jpg`);
      server.paths.set('/8.jpg', (_, response) => response.setHeader('tdm-reservation', '1').end());
      expect(await download({ to })).toMatchObject({ images: 6, failures: { 'http-404': 2, 'opt-out': 1 } });
      server.seen.length = 0;
      expect(await download({ to })).toMatchObject({ images: 6 });
      expect(server.seen).toEqual([]);
      server.paths.set('/2.jpg', images[2] as Buffer);
      const report = await download({ to, retryFailed: true });
      expect(server.seen.sort()).toEqual(['/2.jpg', '/5.jpg']);
      expect(report).toMatchObject({
        images: 7,
        failures: { 'http-404': 1, 'opt-out': 1 },
        lastRun: { images: 1 },
      });
      const { rows } = await readBack();
      expect(rows.map(({ alt }) => alt)).toEqual([0, 1, 2, 3, 4, 6, 7].map((i) => `caption ${i}`));
      expect(rows.map(({ image }) => Buffer.from(image as Uint8Array).toString('hex'))).toEqual(
        [0, 1, 2, 3, 4, 6, 7].map((i) => (images[i] as Buffer).toString('hex')),
      );
    },
  );

  it('leaves splits to their column, and names shards for a split that was chosen', async () => {
    const rows = [];
    for (let i = 0; i < 6; i++) {
      server.paths.set(`/${i}.jpg`, await picture(i));
      rows.push({
        key: `k${i}`,
        url: server.url(`/${i}.jpg`),
        alt: `a${i}`,
        split: i % 3 === 0 ? 'val' : 'train',
      });
    }
    await writeList(rows);
    const columns = { key: 'key', url: 'url', alt: 'alt', split: 'split' };
    await download({}, { columns });
    expect((await readBack({ split: 'val' })).rows.map(({ key }) => key)).toEqual(['k0', 'k3']);
    expect((await readBack({ split: 'train' })).rows.map(({ key }) => key)).toEqual(['k1', 'k2', 'k4', 'k5']);
    out = join(root, 'val');
    await download({ split: 'val' }, { columns, split: 'val' });
    expect((await readdir(out)).filter((name) => name.endsWith('.arrow'))).toEqual(['val-00000.arrow']);
    expect((await readBack({ split: 'val' })).rows.map(({ key }) => key)).toEqual(['k0', 'k3']);
  });

  it('brings images to size', async () => {
    await writeDatacomp(8);
    await download({ size: 16, resizeMode: 'center-crop' });
    const { rows } = await readBack();
    expect(rows).toHaveLength(8);
    expect(rows[0]).toMatchObject({ width: 16n, height: 16n, original_width: 40n, original_height: 30n });
  });

  it('keeps to the limits of connections', async () => {
    const images = await writeDatacomp(20);
    for (const [i, image] of images.entries()) {
      server.paths.set(`/${i}.jpg`, (_, response) => void setTimeout(() => response.end(image), 10));
    }
    await download({ perHost: 3 });
    expect(server.mostAtOnce()).toBe(3);
  });

  it('refuses private addresses by default', async () => {
    await writeDatacomp(2);
    await expect(download({ allowPrivate: false })).rejects.toThrow(
      /not one of 2 rows has its image \(private-address 2\)/,
    );
    expect(server.seen).toEqual([]);
  });

  it('refuses a folder that is in use, of another list, of other options, or of something else', async () => {
    await writeDatacomp(3);
    server.paths.set('/1.jpg', () => undefined);
    const stop = new AbortController();
    let second: Promise<unknown> = Promise.resolve();
    const first = download({
      signal: stop.signal,
      onProgress: ({ done }) => {
        if (done === 2) second = download().catch((error: unknown) => error);
        if (done === 2) void second.then(() => stop.abort(new Error('ended')));
      },
    });
    await expect(first).rejects.toThrow('ended');
    expect(String(await second)).toMatch(/process \d+ on .* downloads into it/);
    await expect(download({ size: 64 })).rejects.toThrow('was begun with --size 256; found 64');
    await writeDatacomp(4);
    await expect(download()).rejects.toThrow(/was begun from another list: .* with 3 rows; found .* with 4/);
    await expect(download({ out: root })).rejects.toThrow('exists and is not a download');
  });

  it.each([
    [{ shardRows: 0 }, '--shard-rows is 0'],
    [{ quality: 101 }, '--quality is 101'],
    [{ maxAspectRatio: 0.5 }, '--max-aspect-ratio is 0.5'],
    [{ userAgent: 'a\nb' }, '--user-agent'],
    [{ timeoutSeconds: 0 }, '--timeout is 0'],
  ])('refuses the option %j', async (option, text) => {
    await writeDatacomp(1);
    await expect(download(option)).rejects.toThrow(text);
  });

  it('refuses a list without URLs', async () => {
    await writeList([{ a: 1 }]);
    await expect(download()).rejects.toThrow(
      'its rows have no URLs; present are a. Say which column has them: --column url=NAME.',
    );
  });
});
