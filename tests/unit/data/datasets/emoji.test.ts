import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { colourName } from '../../../../src/data/datasets/colours.js';
import { altOf, altShares } from '../../../../src/data/datasets/emoji/alt.js';
import { buildEmoji } from '../../../../src/data/datasets/emoji/build.js';
import { drawingColours } from '../../../../src/data/datasets/emoji/colours.js';
import { loadConcepts } from '../../../../src/data/datasets/emoji/concepts.js';
import { fxemojiNames } from '../../../../src/data/datasets/emoji/fxemoji-names.js';
import { sceneOf } from '../../../../src/data/datasets/emoji/scene.js';
import { loadStyle, styles } from '../../../../src/data/datasets/emoji/styles.js';
import { emojiClasses } from '../../../../src/data/datasets/emoji-classes.js';
import type { Manifest } from '../../../../src/data/datasets/manifest.js';
import { openSource } from '../../../../src/data/datasets/open.js';
import { withArticle } from '../../../../src/data/datasets/words.js';
import { captionKinds, type Row } from '../../../../src/data/schema.js';
import { ConfigError, DataError } from '../../../../src/errors.js';

let folder: string;
let manifest: Manifest;
let rows: Row[];
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'capstan-emoji-'));
  manifest = await buildEmoji({ out: at('set'), limit: 12, size: 64, renderings: 2, workers: 2 });
  const source = await openSource(at('set'));
  rows = await source.readRows(
    Array.from({ length: source.numRows }, (_, i) => i),
    source.columns,
  );
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the emoji data set', () => {
  it('says in its manifest what it holds', async () => {
    expect(JSON.parse(await readFile(at('set/dataset.json'), 'utf8'))).toEqual(manifest);
    expect(manifest.rows).toBe(rows.length);
    expect(Object.values(manifest.splits).reduce((a, b) => a + b)).toBe(rows.length);
    expect(manifest.art.openmoji).toMatchObject({
      split: 'train',
      images: 24,
      missing: 0,
      licence: 'CC-BY-SA-4.0',
    });
    expect(manifest.shards.map(({ name }) => name)).toEqual(
      ['train', 'val', 'test'].flatMap((split) => [`${split}-00000.arrow`, `${split}-00000.parquet`]),
    );
    expect((await readdir(folder)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('holds the same rows in both formats', async () => {
    const source = await openSource(at('set'), { format: 'parquet' });
    expect(
      await source.readRows(
        rows.map((_, i) => i),
        source.columns,
      ),
    ).toEqual(rows);
  });

  it('splits by style', () => {
    const splitOf = new Map(styles.map(({ name, split }) => [name, split]));
    for (const row of rows) {
      expect(row.split).toBe(splitOf.get(row.style as string));
      expect(String(row.key).replace(/\/1$/, '')).toBe(`${row.style}/${row.hexcode}`);
    }
    const seconds = rows.filter(({ key }) => String(key).endsWith('/1'));
    expect(seconds.length).toBe((manifest.splits.train ?? 0) / 2);
    expect(seconds.every(({ split }) => split === 'train')).toBe(true);
    expect(new Set(rows.map(({ key }) => key)).size).toBe(rows.length);
  });

  it('has pictures of the asked size, each a different one', async () => {
    for (const row of rows.slice(0, 8)) {
      const { format, width, height, channels } = await sharp(row.image as Uint8Array).metadata();
      expect({ format, width, height, channels }).toEqual({
        format: 'jpeg',
        width: 64,
        height: 64,
        channels: 3,
      });
    }
    expect(new Set(rows.map(({ image }) => Buffer.from(image as Uint8Array).toString('hex'))).size).toBe(
      rows.length,
    );
  });

  it('has every caption kind, of its length, and five for retrieval', () => {
    const words = (text: unknown): number =>
      String(text).match(/\p{L}+|\p{N}|[^\s\p{L}\p{N}]+/gu)?.length ?? 0;
    for (const row of rows) {
      expect(row.caption_source).toBe('rules');
      for (const kind of captionKinds) expect(row[kind], kind).toBeTypeOf('string');
      expect(words(row.ssc), String(row.ssc)).toBeGreaterThanOrEqual(9);
      expect(words(row.ssc), String(row.ssc)).toBeLessThanOrEqual(15);
      expect(words(row.dsc), String(row.dsc)).toBeGreaterThanOrEqual(38);
      expect(words(row.dsc), String(row.dsc)).toBeLessThanOrEqual(58);
      expect(words(row['dsc+'])).toBeGreaterThan(100);
      expect(String(row.afc).startsWith(String(row.dsc))).toBe(true);
      expect(String(row['dsc+']).startsWith(String(row.dsc))).toBe(true);
      expect(new Set(row.captions as string[]).size).toBe(5);
    }
  });

  it('is a pure function of seed and key: not of the limit, the workers or the run', async () => {
    await buildEmoji({ out: at('again'), limit: 4, size: 64, renderings: 2, workers: 1, format: 'arrow' });
    const again = await openSource(at('again'));
    const byKey = new Map(rows.map((row) => [row.key, row]));
    const found = await again.readRows(
      Array.from({ length: again.numRows }, (_, i) => i),
      again.columns,
    );
    expect(found.length).toBeGreaterThan(10);
    for (const row of found) expect(row).toEqual(byKey.get(row.key as string));
    await buildEmoji({ out: at('again'), limit: 4, size: 64, seed: 1, format: 'arrow' }); // replaces it
    const other = await (await openSource(at('again'))).readColumn('ssc');
    expect(other).not.toEqual(found.map(({ ssc }) => ssc));
  });

  it('gives fine and coarse classes', async () => {
    const source = await openSource(at('set'), { split: 'test' });
    const { fine, coarse } = await emojiClasses(source);
    expect(fine.names).toHaveLength(12);
    expect([...fine.names]).toEqual([...fine.names].sort());
    const labels = await source.readColumn('label');
    expect([...fine.ofRow].map((index) => fine.names[index])).toEqual(labels);
    expect(coarse.names.length).toBeLessThanOrEqual(12);
    expect(coarse.names).toContain('face smiling');
  });
});

describe('building', () => {
  it('leaves nothing behind when it is stopped, and what was there as it was', async () => {
    const stop = new AbortController();
    const build = buildEmoji({
      out: at('set'),
      limit: 12,
      size: 32,
      signal: stop.signal,
      onProgress: (done) => {
        if (done === 20) stop.abort(new Error('enough'));
      },
    });
    await expect(build).rejects.toThrow('enough');
    expect((await readdir(folder)).filter((name) => name.startsWith('.'))).toEqual([]);
    expect(JSON.parse(await readFile(at('set/dataset.json'), 'utf8'))).toEqual(manifest);
  });

  it('removes what a killed build left', async () => {
    await mkdir(at('.new.999999999-abcdef'));
    await buildEmoji({ out: at('new'), limit: 1, size: 16, format: 'arrow' });
    expect((await readdir(folder)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('does not replace what is not a data set', async () => {
    await mkdir(at('precious'));
    await writeFile(at('precious/thesis.txt'), 'years of work');
    await expect(buildEmoji({ out: at('precious'), limit: 1 })).rejects.toThrow(
      /is not a data set .*Choose another --out/,
    );
    expect(await readFile(at('precious/thesis.txt'), 'utf8')).toBe('years of work');
  });

  it.each([{ size: 8 }, { size: 96.5 }, { limit: 0 }, { renderings: 101 }, { workers: 0 }, { seed: -1 }])(
    'refuses %o',
    async (options) => {
      const [name, value] = Object.entries(options)[0] as [string, number];
      await expect(buildEmoji({ out: at('never'), ...options })).rejects.toThrow(ConfigError);
      await expect(buildEmoji({ out: at('never'), ...options })).rejects.toThrow(`--${name} is ${value}`);
    },
  );
});

describe('opening a built set', () => {
  it('refuses a shard that does not fit the manifest', async () => {
    await buildEmoji({ out: at('torn'), limit: 2, size: 16, format: 'arrow' });
    const path = at('torn/dataset.json');
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace(/"rows": \d+,\n\s*"bytes"/, '"rows": 99,\n"bytes"'));
    await expect(openSource(at('torn'))).rejects.toThrow(/does not fit the manifest: expected 99 rows/);
    await writeFile(path, '{"name": "emoji"}');
    await expect(openSource(at('torn'))).rejects.toThrow(/is not a data set's manifest/);
    await writeFile(path, text);
    await truncate(at('torn/train-00000.arrow'), 4000);
    await expect(openSource(at('torn'))).rejects.toThrow(DataError);
  });
});

describe('the rules', () => {
  const concepts = loadConcepts();

  it('cover the concepts, and name no drawing twice', () => {
    expect(concepts).toHaveLength(1914);
    expect(new Set(concepts.map(({ label }) => label)).size).toBe(1914);
    const sizes = Object.fromEntries(
      styles.map((style) => [style.name, loadStyle(style, concepts).drawings.size]),
    );
    expect(sizes).toEqual({
      noto: 1652,
      twemoji: 1914,
      'fluent-emoji-flat': 1594,
      fxemoji: 736,
      openmoji: 1914,
      emojione: 1345,
    });
    const labels = new Map(concepts.map(({ label, hexcode }) => [label, hexcode]));
    const { drawings } = loadStyle(styles.find(({ name }) => name === 'fxemoji')!, concepts);
    for (const [label, icon] of Object.entries(fxemojiNames)) {
      expect(drawings.get(labels.get(label) ?? '')?.iconName, label).toBe(icon);
    }
  });

  it('make AltText of every kind at its share', () => {
    const counts: Record<string, number> = {};
    for (const style of styles) {
      for (const concept of concepts) {
        const alt = altOf(0, `${style.name}/${concept.hexcode}`, concept, style, concepts);
        counts[alt.kind] = (counts[alt.kind] ?? 0) + 1;
        if (alt.kind === 'empty' || alt.kind === 'off-topic') expect(alt.fact).toBeUndefined();
        expect(alt.text === '').toBe(alt.kind === 'empty');
      }
    }
    const total = concepts.length * styles.length;
    // Four standard deviations of a binomial share.
    for (const [kind, share] of Object.entries(altShares)) {
      const spread = 4 * Math.sqrt((share * (1 - share)) / total);
      expect(Math.abs((counts[kind] ?? 0) / total - share), kind).toBeLessThan(spread);
    }
    expect(Object.values(altShares).reduce((a, b) => a + b)).toBeCloseTo(1, 12);
  });

  it('keep the drawing inside the picture', () => {
    for (let i = 0; i < 500; i++) {
      const { side, tilt, centre } = sceneOf(i, 'key');
      const angle = (Math.abs(tilt) * Math.PI) / 180;
      const half = (side / 2) * (Math.cos(angle) + Math.sin(angle));
      for (const coordinate of centre) {
        expect(coordinate - half).toBeGreaterThan(-1.5);
        expect(coordinate + half).toBeLessThan(101.5);
      }
    }
  });

  it('name colours as people do', () => {
    const named = {
      ff0000: 'red',
      ffcc4d: 'yellow',
      '3e721d': 'green',
      '55acee': 'blue',
      ffffff: 'white',
      '000000': 'black',
      '808080': 'grey',
      '8a4b08': 'brown',
      f4900c: 'orange',
      f4abba: 'pink',
      dd2e44: 'red',
    };
    for (const [hex, name] of Object.entries(named)) {
      const [r, g, b] = Buffer.from(hex, 'hex');
      expect(colourName(r!, g!, b!), hex).toBe(name);
    }
  });

  it('name the colour that covers most of a drawing first, however many parts the others have', async () => {
    const spots = Array.from(
      { length: 9 },
      (_, i) => `<circle cx="${5 + i * 11}" cy="9" r="5" fill="blue"/>`,
    );
    const body = `<rect y="20" width="100" height="80" fill="#ffcc4d"/>${spots.join('')}<path d="M0 19h2v1H0z"/>`;
    const drawing = { iconName: 'test', viewBox: [0, 0, 100, 100] as const, body };
    expect(await drawingColours(drawing)).toEqual(['yellow', 'blue']);
  });

  it('choose articles', () => {
    const cases = [
      'apple',
      'grinning face',
      'unicorn',
      'umbrella',
      'Aries',
      'footprints',
      'cactus',
      'men',
      'glass',
    ];
    expect(cases.map(withArticle)).toEqual([
      'an apple',
      'a grinning face',
      'a unicorn',
      'an umbrella',
      'Aries',
      'footprints',
      'a cactus',
      'men',
      'a glass',
    ]);
  });
});
