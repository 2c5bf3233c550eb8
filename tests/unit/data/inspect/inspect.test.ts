import { mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { inspectData } from '../../../../src/data/inspect/inspect.js';
import type { DataReport } from '../../../../src/data/inspect/report.js';
import type { Row } from '../../../../src/data/schema.js';
import { writeArrow, writeParquet } from '../../../../src/data/sources/writers.js';
import { ConfigError, DataError } from '../../../../src/errors.js';
import { KeyedRandom } from '../../../../src/rng.js';

let folder: string;
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'capstan-inspect-'));
  vi.stubEnv('CAPSTAN_CACHE', join(folder, 'cache')); // where the indexes of text files are kept
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

/** A picture of 12 by 8 patches, which its name alone decides. */
function patches(name: string, width = 96, height = 64): Sharp {
  const random = new KeyedRandom('patches', name);
  const raw = Uint8Array.from({ length: 12 * 8 * 3 }, () => random.int(256));
  return sharp(raw, { raw: { width: 12, height: 8, channels: 3 } }).resize(width, height, {
    kernel: 'nearest',
  });
}

/** How a GIF says 96 by 64. */
const SIZE = Buffer.from([96, 0, 64, 0]);

/** Image files with what makes each of them special. */
async function specialImages(): Promise<Record<string, Uint8Array>> {
  const jpeg = await patches('a').jpeg({ quality: 95 }).toBuffer();
  const frames = await sharp([await patches('f').png().toBuffer(), await patches('g').png().toBuffer()], {
    join: { animated: true },
  })
    .gif()
    .toBuffer();
  const bomb = await patches('j').gif().toBuffer();
  // 20,000 by 20,000 pixels, it says, of the screen and of the picture on it.
  for (let at = bomb.indexOf(SIZE); at >= 0; at = bomb.indexOf(SIZE, at))
    bomb.set([0x20, 0x4e, 0x20, 0x4e], at);
  return {
    jpeg,
    same: jpeg,
    worse: await patches('a').jpeg({ quality: 60 }).toBuffer(),
    larger: await patches('a', 192, 128).webp({ lossless: true }).toBuffer(),
    turned: await patches('b', 64, 64).withMetadata({ orientation: 6 }).jpeg().toBuffer(),
    cmyk: await patches('c').toColourspace('cmyk').jpeg().toBuffer(),
    alpha: await patches('d').ensureAlpha(0.5).png().toBuffer(),
    palette: await patches('e').png({ palette: true }).toBuffer(),
    deep: await patches('h').toColourspace('rgb16').png().toBuffer(),
    grey: await patches('i').toColourspace('b-w').png().toBuffer(),
    moves: frames,
    cut: jpeg.subarray(0, jpeg.length - 400),
    noise: new TextEncoder().encode('<html>Not found</html>'),
    nothing: new Uint8Array(0),
    bomb,
  };
}

describe('inspectData', () => {
  let report: DataReport;
  let images: NonNullable<DataReport['images']>;

  beforeAll(async () => {
    const special = await specialImages();
    const rows: Row[] = Object.entries(special).map(([key, image], i) => ({
      key,
      image,
      alt: ['Pronghorn in Seedskadee', '', null][i % 3] as string | null,
      ssc:
        i % 2 === 0
          ? 'A pronghorn in the tall grass near a hill.'
          : ' a PRONGHORN in the tall grass near a hill.',
      alt_lang: i % 3 === 0 ? 'en' : 'zxx',
      split: i < 10 ? 'train' : 'test',
      width: i,
    }));
    const columns = [
      ...(['key', 'alt', 'ssc', 'alt_lang', 'split'] as const).map((name) => ({
        name,
        type: 'string' as const,
      })),
      { name: 'width', type: 'int64' as const },
      { name: 'image', type: 'binary' as const },
    ];
    await writeArrow(at('special.arrow'), columns, rows, 4);
    report = await inspectData(at('special.arrow'), { workers: 1, decode: 'all' });
    images = report.images as NonNullable<DataReport['images']>;
  });

  it('describes files and columns', () => {
    const [source] = report.sources;
    expect(source).toMatchObject({ schema: 'capstan', rows: 15 });
    expect(source?.files).toMatchObject({ formats: { arrow: 1 }, count: 1, groups: 4 });
    expect(source?.columns).toContainEqual({ name: 'width', types: ['whole number'], nulls: 0, used: false });
    expect(source?.columns).toContainEqual({ name: 'alt', types: ['text'], nulls: 5 / 15, used: true });
    expect(report.splits).toEqual({ by: 'column', counts: { train: 10, test: 5 } });
    expect(report.languages).toEqual({ alt_lang: { zxx: 10, en: 5 } });
  });

  it('counts captions, their lengths and what repeats', () => {
    expect(report.captions.alt).toMatchObject({ present: 5, empty: 5, missing: 5, texts: 5 });
    expect(report.captions.ssc).toMatchObject({
      present: 15,
      words: { least: 9, most: 9 },
      usual: { least: 10, most: 15, share: 1 },
      over: { 24: 0, 77: 0 },
      repeats: { total: 15, distinct: 1, repeatedValues: 1, extra: 14, exact: true },
    });
    expect(report.captions.ssc?.repeats?.top).toEqual([
      { text: 'A pronghorn in the tall grass near a hill.', count: 15 },
    ]);
    expect(report.combinations).toEqual([
      { kinds: ['ssc'], count: 10 },
      { kinds: ['alt', 'ssc'], count: 5 },
    ]);
    expect(report.entities.overlaps).toEqual([
      expect.objectContaining({
        kind: 'ssc',
        base: 'alt',
        onlyKind: 2,
        shared: 1,
        onlyBase: 1,
        baseCovered: 0.5,
      }),
    ]);
    expect(report.keys).toMatchObject({ total: 15, distinct: 15, extra: 0 });
  });

  it('says of images what training has to know', () => {
    expect(images.formats).toEqual({ jpeg: 6, png: 4, gif: 2, webp: 1 });
    expect(images.modes).toEqual({ grey: 1, palette: 2, cmyk: 1, alpha: 1, animated: 1, '16-bit': 1 });
    expect(images.orientations).toEqual({ 6: 1 });
    expect(images.width).toMatchObject({ least: 64, median: 96, most: 192 });
    expect(images.aspect).toMatchObject({ least: 100, median: 150, most: 150 });
    expect(images.sizes[0]).toEqual({ width: 96, height: 64, count: 9 });
  });

  it('counts broken images by reason', () => {
    expect(images).toMatchObject({ looked: 15, of: 15, decoded: 11, bombs: 1 });
    const reasons = images.broken.map(({ count, examples }) => [
      count,
      examples[0]?.key,
      examples[0]?.message,
    ]);
    expect(reasons).toHaveLength(4);
    expect(reasons).toContainEqual([1, 'cut', expect.stringContaining('cannot be decoded')]);
    expect(reasons).toContainEqual([1, 'noise', expect.stringContaining('no JPEG, PNG')]);
    expect(reasons).toContainEqual([1, 'nothing', 'It has no image.']);
    expect(reasons).toContainEqual([1, 'bomb', expect.stringContaining('decompression bomb')]);
  });

  it('finds equal files and pictures that look alike', () => {
    expect(images.equalFiles).toMatchObject({ total: 14, distinct: 13, extra: 1 });
    expect(images.equalFiles.top).toEqual([{ keys: ['jpeg', 'same'], count: 2 }]);
    expect(images.nearDuplicates).toEqual({
      compared: 11,
      groups: 1,
      extra: 3,
      top: [{ keys: ['jpeg', 'same', 'worse', 'larger'], count: 4 }],
    });
  });

  it('shows some rows with small pictures, and none of a broken image', () => {
    expect(report.samples).toHaveLength(15);
    const byKey = Object.fromEntries(report.samples.map(({ key, picture }) => [key, picture]));
    expect(byKey.jpeg).toMatch(/^data:image\/jpeg;base64,/);
    expect(byKey.noise).toBeUndefined();
    expect(report.samples[0]?.captions).toEqual({
      alt: 'Pronghorn in Seedskadee',
      ssc: 'A pronghorn in the tall grass near a hill.',
    });
  });

  it('reads some rows and images only, the same for the same seed, and says so', async () => {
    const some = { workers: 1, sample: 6, decode: 3, seed: 4, entities: 'words' } as const;
    const [first, again] = [
      await inspectData(at('special.arrow'), some),
      await inspectData(at('special.arrow'), some),
    ];
    expect(first).toMatchObject({ rows: 15, rowsRead: 6, extractor: 'words', images: { looked: 3, of: 6 } });
    expect(first.notes.join()).toContain('6 of 15 rows');
    expect({ ...again, seconds: null }).toEqual({ ...first, seconds: null });
  });

  it('counts faulty rows and equal keys over several data sets', async () => {
    const lines = [
      '{"key":"a","image":null,"alt":"one"}',
      '{"key":"b",',
      '{"key":"","alt":"two"}',
      '{"key":7,"alt":[1]}',
    ];
    await writeFile(at('lines.jsonl'), `${lines.join('\n')}\n`);
    await writeFile(at('more.csv'), 'key,image,alt\na,,three\n');
    const found = await inspectData([at('lines.jsonl'), at('more.csv')], { workers: 1, decode: 0 });
    expect(found.sources.map(({ rows }) => rows)).toEqual([4, 1]);
    expect(found.rows).toBe(5);
    expect(found.faults.reduce((sum, { count }) => sum + count, 0)).toBe(2);
    expect(found.faults.flatMap(({ examples }) => examples.map(({ message }) => message))).toContain(
      'It has no key.',
    );
    expect(found.keys.top).toEqual([
      { keys: ['a', `${at('lines.jsonl')}, row 0`, `${at('more.csv')}, row 0`], count: 2 },
    ]);
    expect(found.images).toBeUndefined();
  });

  it('leaves out a damaged shard, and counts the rows of a damaged piece', async () => {
    const columns = [
      { name: 'key', type: 'string' as const },
      { name: 'alt', type: 'string' as const },
      { name: 'image', type: 'binary' as const },
    ];
    const rows = Array.from({ length: 8 }, (_, i) => ({
      key: `k${i}`,
      alt: `a cat number ${i}`,
      image: null,
    }));
    await rm(at('shards'), { recursive: true, force: true });
    await mkdir(at('shards'));
    for (const name of ['a', 'b', 'c']) await writeParquet(at(`shards/${name}.parquet`), columns, rows, 4);
    await truncate(at('shards/b.parquet'), 300);
    // Into the first pages, behind the magic: the footer stays whole.
    const bytes = await readFile(at('shards/c.parquet'));
    bytes.fill(0xff, 4, 40);
    await writeFile(at('shards/c.parquet'), bytes);
    const found = await inspectData(at('shards'), { workers: 1, decode: 0 });
    expect(found.damagedFiles).toEqual([
      { path: at('shards/b.parquet'), message: expect.stringContaining('b.parquet') },
    ]);
    expect(found.rows).toBe(16);
    expect(found.captions.alt).toMatchObject({ present: 12 });
    expect(found.faults).toEqual([
      {
        reason: expect.any(String),
        count: 4,
        examples: expect.arrayContaining([expect.objectContaining({ key: `${at('shards')}, row 8` })]),
      },
    ]);
  });

  it('takes captions of a word of a million letters, and ends while threads work on them', async () => {
    const columns = [
      { name: 'key', type: 'string' as const },
      { name: 'alt', type: 'string' as const },
    ];
    const alt = 'long '.repeat(10) + 'word'.repeat(250_000);
    const rows = Array.from({ length: 3 }, (_, i) => ({ key: `k${i}`, alt }));
    await writeParquet(at('long.parquet'), columns, rows, 4);
    const found = await inspectData(at('long.parquet'), { workers: 1, decode: 0 });
    expect(found.captions.alt).toMatchObject({
      present: 3,
      characters: { most: 1_000_050 },
      words: { most: 11 },
      over: { 77: 1 },
    });
    const stop = new AbortController();
    const ends = inspectData(at('long.parquet'), { workers: 1, decode: 0, signal: stop.signal });
    setTimeout(() => stop.abort(new Error('enough')), 300);
    await expect(ends).rejects.toThrow('enough');
  }, 30_000);

  it('does without images that are not there to be read', async () => {
    const path = 'tests/golden/data/schemas/docci';
    const found = await inspectData(path, { workers: 1 });
    expect(found.images).toBeUndefined();
    expect(found.notes.join()).toContain('rows name images by path');
    expect(found.sources[0]?.columns).toContainEqual(
      expect.objectContaining({ name: 'dsc+', from: 'description', used: true }),
    );
    const withImages = await inspectData(path, { workers: 1, images: join(path, 'images') });
    expect(withImages.images?.looked).toBe(6);
  });

  it('ends when it is told to, and refuses what makes no sense', async () => {
    const stop = new AbortController();
    stop.abort(new Error('enough'));
    await expect(inspectData(at('special.arrow'), { signal: stop.signal })).rejects.toThrow('enough');
    await expect(inspectData([])).rejects.toThrow(ConfigError);
    await expect(inspectData(at('special.arrow'), { sample: 0 })).rejects.toThrow(
      'sample must be a whole number',
    );
    await expect(inspectData(at('missing'))).rejects.toThrow('there is no such data set');
    await writeFile(at('noise.parquet'), 'PAR1 is no Parquet file');
    await expect(inspectData(at('noise.parquet'))).rejects.toThrow(DataError);
  });
});
