import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSource } from '../../../../src/data/datasets/open.js';
import { createLoader } from '../../../../src/data/loader.js';
import { FAULT, type Row, rowFault } from '../../../../src/data/schema.js';
import { applySchema, type SchemaOptions } from '../../../../src/data/schemas/apply.js';
import type { Source } from '../../../../src/data/sources/source.js';
import { writeParquet } from '../../../../src/data/sources/writers.js';
import { openLocalFile } from '../../../../src/data/storage/stored-file.js';
import { ConfigError } from '../../../../src/errors.js';
import { readEvalSplit } from '../../../../src/eval/read-split.js';
import { MemorySource, noiseImages } from '../../../support/memory-source.js';

let folder: string;
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'capstan-schema-'));
  await mkdir(at('images/in'), { recursive: true });
  const [first, second] = await noiseImages(2);
  await writeFile(at('images/in/0.png'), first as Uint8Array);
  await writeFile(at('images/1 a#.png'), second as Uint8Array);
  await writeFile(at('secret'), 'no image');
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** Remembers which columns were asked for. */
class Asked extends MemorySource {
  readonly asked: string[][] = [];

  override readRows(indices: readonly number[], columns: readonly string[]): Promise<Row[]> {
    this.asked.push([...columns]);
    return super.readRows(indices, columns);
  }
}

const coyo: Row[] = [0, 1].map((i) => ({
  url: `https://example.org/${i}`,
  caption: `alt ${i}`,
  caption_llava: `dsc ${i}`,
  caption_llava_short: `ssc ${i}`,
  key: BigInt(i),
  tags_open_images: '["Black"]',
  tags_booru: '[]',
}));

const chat = (image: string): Row => ({
  id: 'a',
  image,
  conversations: [
    { from: 'human', value: 'What?' },
    { from: 'gpt', value: 'This.' },
  ],
});

const apply = (source: Source, options: SchemaOptions = {}, open = openLocalFile): Promise<Source> =>
  applySchema(source, ['part.parquet'], options, open);
const pathed = (...paths: string[]): Promise<Source> =>
  apply(new MemorySource(paths.map(chat)), { schema: 'sharegpt4v', images: at('images') });

describe('a source of a schema', () => {
  it('reads only the columns that are needed', async () => {
    const raw = new Asked(coyo);
    const source = await apply(raw);
    expect(await source.readRows([1], ['alt', 'key'])).toEqual([{ alt: 'alt 1', key: 1n }]);
    expect(await source.readRows([0], ['tags_booru'])).toEqual([{ tags_booru: '[]' }]);
    expect(raw.asked).toEqual([['caption', 'key'], ['tags_booru']]);
    const chats = new Asked([chat('in/0.png')]);
    const turns = await apply(chats, { schema: 'sharegpt4v', images: at('images') });
    await turns.readRows([0], ['dsc+']);
    expect(chats.asked).toEqual([['conversations']]);
  });

  it("has capstan's columns and those of its own that are not mapped", async () => {
    const image = Uint8Array.of(1);
    const source = await apply(new MemorySource(coyo.map((row) => ({ ...row, image, label: 'cat' }))));
    expect([source.schema, source.path, source.numRows, source.shardRows]).toEqual([
      'coyo-hd',
      'memory',
      2,
      [2],
    ]);
    const own = ['caption', 'caption_llava', 'caption_llava_short', 'tags_open_images', 'tags_booru'];
    // What was added under capstan's names is meant as such: the images of a set that is published without.
    expect([...source.columns]).toEqual(['key', 'image', 'url', 'alt', 'ssc', 'dsc', 'label', ...own]);
    expect(await source.readRows([0], ['image', 'label'])).toEqual([{ image, label: 'cat' }]);
    await expect(source.readRows([0], ['afc'])).rejects.toThrow(/there is no column 'afc' in schema coyo-hd/);
  });

  it('is the source itself if its columns are those of capstan or of nothing known', async () => {
    for (const row of [{ key: 'a', image: new Uint8Array(1), alt: 'x' }, { other: 1 }]) {
      const raw = new MemorySource([row]);
      expect(await apply(raw)).toBe(raw);
    }
  });

  it('has a fingerprint of its mapping', async () => {
    const prints = await Promise.all(
      [{}, { schema: 'coyo-hd' }, { columns: { dsc: null } }, { images: at('images/{key}.png') }].map(
        async (options) =>
          (await apply(new MemorySource(coyo), { schema: 'coyo-hd', ...options })).fingerprint,
      ),
    );
    expect(prints[0]).toBe(prints[1]);
    expect(new Set([...prints, new MemorySource(coyo).fingerprint]).size).toBe(4);
  });

  it('closes what it is made of', async () => {
    const raw = new MemorySource(coyo);
    await (await apply(raw)).close();
    expect(raw.closed).toBe(true);
  });

  it('passes on the fault of a row, with its key', async () => {
    const raw = new MemorySource(coyo);
    raw.readRows = async () => [{ key: 5n, caption: null, [FAULT]: 'It is cut off.' }];
    const [row] = await (await apply(raw)).readRows([0], ['key', 'alt']);
    expect(row).toEqual({ key: 5n, alt: null, [FAULT]: 'It is cut off.' });
  });
});

describe('a schema that was named', () => {
  it('says which columns are missing, and the nearest', async () => {
    const rows = coyo.map(({ caption_llava_short: short, ...row }) => ({
      ...row,
      caption_llava_shrot: short as string,
    }));
    const opened = apply(new MemorySource(rows), { schema: 'coyo-hd' });
    await expect(opened).rejects.toThrow(ConfigError);
    await expect(opened).rejects.toThrow(
      /memory: schema coyo-hd needs columns that are not there: 'caption_llava_short' for ssc, the nearest is 'caption_llava_shrot'\. Present are url,/,
    );
  });

  it('has to be known', async () => {
    await expect(apply(new MemorySource(coyo), { schema: 'cojo-hd' })).rejects.toThrow(
      /There is no schema 'cojo-hd'; did you mean 'coyo-hd'\? The schemas are capstan, recap/,
    );
  });

  it('may be changed by columns', async () => {
    const columns = { ssc: null, dsc: ['caption_llava', 'caption_llava_short'] };
    const source = await apply(new MemorySource(coyo), { schema: 'coyo-hd', columns });
    expect(source.columns).not.toContain('ssc');
    expect(await source.readColumn('dsc')).toEqual([
      ['dsc 0', 'ssc 0'],
      ['dsc 1', 'ssc 1'],
    ]);
  });
});

describe('custom columns', () => {
  const rows: Row[] = [
    { id: 1, text: 'a', more: ['b', null], size: { width: 3 }, group: 4 },
    { id: 2, text: null, more: [], size: 'none', group: 'five' },
    { id: 2.5, text: 8, more: [9], size: 1, group: { a: 1 } },
  ];
  const custom = (columns: SchemaOptions['columns']): Promise<Source> =>
    apply(new MemorySource(rows), columns === undefined ? { schema: 'custom' } : { columns });

  it('are what the map says', async () => {
    const source = await custom({
      key: 'id',
      alt: 'text',
      dsc: 'none|more',
      captions: ['text', 'more'],
      label: 'group',
    });
    expect(source.schema).toBe('custom');
    expect(await source.readRows([0, 1], ['key', 'alt', 'dsc', 'captions', 'label'])).toEqual([
      { key: 1, alt: 'a', dsc: ['b', null], captions: ['a', 'b'], label: '4' },
      { key: 2, alt: null, dsc: [], captions: [], label: 'five' },
    ]);
  });

  it('of another type are a fault of the row', async () => {
    const source = await custom({ key: 'id', alt: 'text', dsc: 'more', label: 'group', url: 'size.width' });
    const fault = async (row: number, column: string) =>
      rowFault((await source.readRows([row], [column]))[0] as Row);
    expect(await fault(2, 'alt')).toBe(
      'text, which is read as alt, holds the number 8; expected text or a list of texts.',
    );
    expect(await fault(2, 'dsc')).toMatch(/more, .* holds a list with other things than texts/);
    expect(await fault(2, 'key')).toMatch(/holds the number 2\.5; expected text or a whole number/);
    expect(await fault(2, 'label')).toMatch(/group, which is read as label, holds an object/);
    expect(await fault(0, 'url')).toMatch(
      /size\.width, which is read as url, holds the number 3; expected text/,
    );
    await expect(source.readColumn('alt')).rejects.toThrow(/memory, row 2: text, which is read as alt/);
  });

  it('need a map with a key and names that are known', async () => {
    await expect(custom(undefined)).rejects.toThrow(/data\.schema custom .*needs data\.columns/);
    await expect(custom({ alt: 'text' })).rejects.toThrow(
      /no key is named in data\.columns .*; expected a column that tells rows apart/,
    );
    await expect(custom({ key: 'id', alt: 'tekst' })).rejects.toThrow(
      /data\.columns .*needs columns that are not there: 'tekst' for alt, the nearest is 'text'/,
    );
    await expect(custom({ key: 'id', caption: 'text' } as SchemaOptions['columns'])).rejects.toThrow(
      /data\.columns\.caption .*is no column of capstan's; did you mean 'captions'\?/,
    );
  });
});

describe('images by path', () => {
  it('are read, and a missing one is its row’s fault', async () => {
    const source = await pathed('in/0.png', 'in/2.png', './1 a#.png');
    const rows = await source.readRows([2, 1, 0], ['key', 'image', 'dsc+']);
    expect(rows.map((row) => row.image instanceof Uint8Array)).toEqual([true, false, true]);
    expect(rows[1]).toEqual({ key: 'a', image: null, 'dsc+': null, [FAULT]: rowFault(rows[1] as Row) });
    expect(rowFault(rows[1] as Row)).toMatch(/images\/in\/2\.png: cannot be read \(ENOENT/);
  });

  it('are refused outside of their root', async () => {
    const tricks = [
      '../secret',
      'in/../../secret',
      at('secret'),
      'file:///etc/passwd',
      'C:\\x.png',
      '..\\secret',
      'a\0.png',
      'https://example.org/x.png',
      '.',
      '',
    ];
    const source = await pathed(...tricks);
    const rows = await source.readRows([...tricks.keys()], ['image']);
    for (const [i, row] of rows.entries()) expect(rowFault(row), tricks[i]).toMatch(/path ".*" is refused/);
  });

  it('may be named for keys', async () => {
    const rows = [
      { ...coyo[0], key: 'in/0' },
      { ...coyo[1], key: '../secret' },
      { ...coyo[1], key: null },
    ] as Row[];
    const raw = new Asked(rows);
    const source = await apply(raw, { images: at('images/{key}.png') });
    const found = await source.readRows([0, 1, 2], ['image']);
    expect(found[0]?.image).toBeInstanceOf(Uint8Array);
    expect(rowFault(found[1] as Row)).toMatch(/"\.\.\/secret" is refused/);
    expect(found[2]).toEqual({ image: null });
    expect(raw.asked).toEqual([['key']]);
  });

  it('may lie at a URL', async () => {
    const opened: string[] = [];
    const open = (location: string) => {
      opened.push(location);
      return openLocalFile(at('images/in/0.png'));
    };
    const images = 'https://example.org/base/';
    const source = await apply(
      new MemorySource([chat('a b/1#?.png')]),
      { schema: 'sharegpt4v', images },
      open,
    );
    await source.readRows([0], ['image']);
    expect(opened).toEqual(['https://example.org/base/a%20b/1%23%3F.png']);
  });

  it('need a root that is there', async () => {
    const raw = new MemorySource([chat('in/0.png')]);
    const without = await apply(raw, { schema: 'sharegpt4v' });
    await expect(without.readRows([0], ['image'])).rejects.toThrow(
      /images by path, such as 'in\/0\.png'\. Set data\.images/,
    );
    expect(await without.readRows([0], ['dsc+'])).toEqual([{ 'dsc+': 'This.' }]);
    const nowhere = apply(raw, { schema: 'sharegpt4v', images: at('nowhere') });
    await expect(nowhere).rejects.toThrow(/data\.images .*is .*nowhere, but there is no directory/);
    await expect(apply(new MemorySource([{ x: 1 }]), { images: at('images') })).rejects.toThrow(
      /of no schema that is known/,
    );
  });

  it('of which there are only URLs are to be downloaded', async () => {
    const source = await apply(new MemorySource(coyo));
    expect(source.columns).not.toContain('image');
    await expect(source.readRows([0], ['image'])).rejects.toThrow(
      /only the URLs .* npx capstan data download/,
    );
    const settings = {
      captions: { alt: 1 },
      batchSize: 1,
      imageSize: 8,
      contextLength: 8,
      seed: 0,
      workers: 0,
    };
    await expect(createLoader({ source, ...settings, transform: 'eval' })).rejects.toThrow(
      /capstan data download/,
    );
    await expect(apply(new MemorySource(coyo), { images: at('images') })).rejects.toThrow(
      /as in images\/\{key\}\.jpg/,
    );
  });

  it('that are missing are skipped by the loader and end an evaluation', async () => {
    const rows = Array.from({ length: 8 }, (_, i) => ({
      id: `${i}`,
      file: i === 3 ? 'gone.png' : 'in/0.png',
      alt: 'x',
    }));
    const columns = ['id', 'file', 'alt'].map((name) => ({ name, type: 'string' as const }));
    await writeParquet(at('data-0.parquet'), columns, rows, 4);
    const how = { columns: { key: 'id', image: 'file', alt: 'alt' }, images: at('images') };
    const loader = await createLoader({
      source: at('data-0.parquet'),
      split: 'train',
      ...how,
      captions: { alt: 1 },
      batchSize: 7,
      imageSize: 8,
      contextLength: 8,
      seed: 0,
      transform: 'train',
      workers: 0,
      maxSkipRatio: 0.2,
      epochs: 1,
    });
    const batch = await loader.next();
    expect(batch.keys.toSorted()).toEqual(['0', '1', '2', '4', '5', '6', '7']);
    await expect(loader.next()).rejects.toThrow(/all 1 epochs/);
    await loader.close();
    await expect(
      readEvalSplit(at('data-0.parquet'), { split: 'train', maxSkipRatio: 0, ...how }),
    ).rejects.toThrow(/gone\.png: cannot be read/);
  });
});

describe('splits of a mapped data set', () => {
  const columns = ['uid', 'url', 'text'].map((name) => ({ name, type: 'string' as const }));
  const rows = Array.from({ length: 3 }, (_, i) => ({ uid: `${i}`, url: 'u', text: 't' }));
  const write = async (name: string): Promise<void> => {
    await mkdir(join(folder, name, '..'), { recursive: true });
    await writeParquet(at(name), columns, rows, 2);
  };

  it('are all train where nothing tells them', async () => {
    await write('plain/00000.parquet');
    expect((await openSource(at('plain'), { split: 'train' })).numRows).toBe(3);
    expect((await openSource(at('plain/00000.parquet'), { split: 'train' })).schema).toBe('datacomp');
    await expect(openSource(at('plain'), { split: 'val' })).rejects.toThrow(
      /there is no split 'val'; a data set of schema datacomp is all split 'train'/,
    );
  });

  it('go by the files’ names where these tell them', async () => {
    await write('named/test-00000.parquet');
    await write('named/validation-00000.parquet');
    expect((await openSource(at('named'), { split: 'test' })).numRows).toBe(3);
    await expect(openSource(at('named'), { split: 'train' })).rejects.toThrow(
      /cannot tell which rows are of split 'train'.*test, validation/,
    );
  });

  it('go by a column that is mapped', async () => {
    await write('column/part.parquet');
    const options = { columns: { key: 'uid', alt: 'text', split: 'uid' } };
    const source = await openSource(at('column'), { split: '1', ...options });
    expect([source.numRows, source.schema]).toEqual([1, 'custom']);
    expect(await source.readColumn('key')).toEqual(['1']);
  });
});
