import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Manifest } from '../../../../src/data/datasets/manifest.js';
import { openSource } from '../../../../src/data/datasets/open.js';
import { clipAltOf, clipAltShares, writtenTexts } from '../../../../src/data/datasets/openclipart/alt.js';
import { buildOpenclipart } from '../../../../src/data/datasets/openclipart/build.js';
import { listClips } from '../../../../src/data/datasets/openclipart/files.js';
import { decodeXml, readMetadata } from '../../../../src/data/datasets/openclipart/metadata.js';
import { kindOf, nounOf } from '../../../../src/data/datasets/openclipart/nouns.js';
import { renderClip } from '../../../../src/data/datasets/openclipart/render.js';
import { RenderPool } from '../../../../src/data/datasets/openclipart/render-pool.js';
import { parseSvg, viewSvg } from '../../../../src/data/datasets/openclipart/svg.js';
import { clusterDuplicates, fingerprintOf } from '../../../../src/data/image/duplicates.js';
import type { Row } from '../../../../src/data/schema.js';
import { ConfigError, DataError } from '../../../../src/errors.js';

let folder: string;
const at = (name: string): string => join(folder, name);

/** A drawing with the fields that Inkscape wrote. */
function clip(
  shapes: string,
  fields: { title?: string; description?: string; keywords?: string[]; language?: string } = {},
): string {
  const keywords = (fields.keywords ?? []).map((word) => `<rdf:li>${word}</rdf:li>`).join('');
  return `<?xml version="1.0" encoding="UTF-8"?>
<!-- <svg> in a comment is none -->
<svg xmlns="http://www.w3.org/2000/svg" xmlns:rdf="r" xmlns:dc="d" xmlns:cc="c" width="200" height="100">
<metadata><rdf:RDF><cc:Work>
<dc:publisher><cc:Agent><dc:title>Open Clip Art Library</dc:title></cc:Agent></dc:publisher>
${fields.title === undefined ? '' : `<dc:title>${fields.title}</dc:title>`}
<dc:description>${fields.description ?? ''}</dc:description>
<dc:subject><rdf:Bag>${keywords}<rdf:li></rdf:li></rdf:Bag></dc:subject>
<dc:creator><cc:Agent><dc:title>Ann &amp; Bob</dc:title></cc:Agent></dc:creator>
<dc:language>${fields.language ?? 'en'}</dc:language>
<cc:license rdf:resource="http://web.resource.org/cc/PublicDomain"/>
</cc:Work></rdf:RDF></metadata>
${shapes}</svg>`;
}

const disc = (fill: string, x = 150, r = 30): string => `<circle cx="${x}" cy="50" r="${r}" fill="${fill}"/>`;
const bar = (fill: string): string => `<rect x="20" y="40" width="160" height="20" fill="${fill}"/>`;

const files: Readonly<Record<string, string>> = {
  'animals/birds/duck.svg': clip(disc('#fc3'), {
    title: 'Duck',
    keywords: ['duck', 'HASH(0x86)'],
    description: 'A duck &lt;3',
  }),
  'animals/cigno_anna_01.svg': clip(`${disc('#fff', 60, 20)}${disc('#fff')}`, {
    title: 'Cigno',
    language: 'it-IT',
  }),
  'computer/bar_02.svg': clip(bar('#00f')),
  'computer/icons/bar_copy.svg': clip(bar('#00f'), { title: 'blue bar' }),
  'food/apple.svg': clip(`${disc('#d00')}<path d="M150 20V5" stroke="#6b3a10" stroke-width="6"/>`, {
    title: 'red apple',
  }),
  'shapes/triangle.svg': clip('<path d="M20 80L60 10L100 80Z" fill="#0a0"/>', { title: 'HASH(0x1)' }),
  'unsorted/empty.svg': clip('<defs/>'),
  'unsorted/torn.svg': clip(disc('#d00')).slice(0, 400),
  'unsorted/text.svg': 'no drawing at all',
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'capstan-clips-'));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(at(`svg/${name}`)), { recursive: true });
    await writeFile(at(`svg/${name}`), text);
  }
  await symlink('../food/apple.svg', at('svg/shapes/apple.svg'));
  await writeFile(at('secret.svg'), clip(disc('#123')));
  await symlink('../../secret.svg', at('svg/shapes/secret.svg'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the openclipart data set', () => {
  let manifest: Manifest;
  let rows: Row[];
  const rowOf = (key: string): Row => rows.find((row) => row.key === key) as Row;

  beforeAll(async () => {
    manifest = await buildOpenclipart({
      from: at('svg'),
      out: at('set'),
      size: 64,
      maxSkipRatio: 0.5,
      workers: 2,
    });
    const source = await openSource(at('set'), { format: 'parquet' });
    rows = await source.readRows([...Array(source.numRows).keys()], source.columns);
  });

  it('has a row for each file that can be drawn, and names the others', () => {
    expect(rows.map(({ key }) => key).sort()).toEqual([
      'animals/birds/duck',
      'animals/cigno_anna_01',
      'computer/bar_02',
      'computer/icons/bar_copy',
      'food/apple',
      'shapes/apple',
      'shapes/triangle',
    ]);
    expect(manifest.skipped.map(({ file }) => file)).toEqual([
      'shapes/secret.svg',
      'unsorted/empty.svg',
      'unsorted/text.svg',
      'unsorted/torn.svg',
    ]);
    expect(manifest.skipped[0]?.reason).toBe('is a link out of the folder');
    expect(manifest.skipped[1]?.reason).toBe('draws nothing on its page');
    expect(manifest.counts.written).toEqual({ titles: 6, descriptions: 1, keywords: 1 });
  });

  it('keeps what people wrote in columns of its own', () => {
    expect(rowOf('animals/birds/duck')).toMatchObject({
      group: 'animals',
      subgroup: 'birds',
      title: 'Duck',
      description: 'A duck <3',
      keywords: ['duck', 'HASH(0x86)'],
      author: 'Ann & Bob',
      licence: 'http://web.resource.org/cc/PublicDomain',
      file_name: 'duck.svg',
      captions: ['Duck', 'A duck <3', 'duck', 'duck.svg'],
    });
    expect(rowOf('food/apple')).toMatchObject({ group: 'food', subgroup: 'food' });
  });

  it('marks duplicates, links among them, and keeps them in one split', () => {
    expect(rowOf('shapes/apple').duplicate_of).toBe('food/apple');
    expect(rowOf('computer/icons/bar_copy').duplicate_of).toBe('computer/bar_02');
    expect(rows.filter((row) => typeof row.duplicate_of === 'string')).toHaveLength(2);
    for (const row of rows) {
      if (typeof row.duplicate_of === 'string') expect(row.split).toBe(rowOf(row.duplicate_of).split);
    }
  });

  it('says what it sees: the thing or its kind, and its colours', () => {
    expect(rowOf('animals/birds/duck').ssc).toMatch(/\bduck\b.*\byellow\b/);
    expect(rowOf('animals/cigno_anna_01').ssc).toMatch(/\banimal\b/);
    expect(rowOf('animals/cigno_anna_01').dsc).not.toMatch(/cigno/i);
    expect(rowOf('animals/cigno_anna_01').dsc).toMatch(/dark blue-grey/);
    expect(rowOf('food/apple').dsc).toMatch(/apple.*red/s);
    for (const row of rows) {
      expect(row.caption_source).toBe('rules');
      expect(String(row.afc).startsWith(String(row.dsc))).toBe(true);
    }
  });

  it('draws each drawing large, whatever part of its page it takes', async () => {
    const { data, info } = await sharp(rowOf('food/apple').image as Uint8Array)
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect([info.width, info.height]).toEqual([64, 64]);
    let red = 0;
    for (let i = 0; i < data.length; i += 3)
      if ((data[i] as number) > 180 && (data[i + 1] as number) < 60) red++;
    expect(red).toBeGreaterThan(64 * 64 * 0.35);
  });

  it('is the same for any number of workers, and another for another seed', async () => {
    const build = async (out: string, options: { workers: number; seed?: number }): Promise<string[]> => {
      const made = await buildOpenclipart({
        from: at('svg'),
        out: at(out),
        size: 64,
        maxSkipRatio: 0.5,
        format: 'arrow',
        ...options,
      });
      return made.shards.map(({ sha256 }) => sha256);
    };
    const ours = manifest.shards.filter(({ format }) => format === 'arrow').map(({ sha256 }) => sha256);
    expect(await build('one', { workers: 1 })).toEqual(ours);
    expect(await build('other', { workers: 3, seed: 1 })).not.toEqual(ours);
  });

  it('stops when too many files cannot be used, and leaves nothing', async () => {
    const built = buildOpenclipart({ from: at('svg'), out: at('never'), size: 32, maxSkipRatio: 0.1 });
    await expect(built).rejects.toThrow(DataError);
    await expect(built).rejects.toThrow(/at most 1 may be[\s\S]*--max-skip-ratio/);
    expect((await readdir(folder)).filter((name) => name.includes('never'))).toEqual([]);
  });

  it('says how to get the files where there are none', async () => {
    await expect(listClips(at('nowhere'))).rejects.toThrow(ConfigError);
    await expect(listClips(at('nowhere'))).rejects.toThrow(/apt-get install openclipart-svg/);
  });
});

describe('hostile drawings', () => {
  const render = (text: string) => renderClip(Buffer.from(text), 0, 'key', 32);
  const svg = (attributes: string, shapes: string): string =>
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" ${attributes}>${shapes}</svg>`;

  it('are drawn at our size, however large their page', async () => {
    const { look } = await render(
      svg('width="1e7" height="1e7"', '<rect width="1e7" height="1e7" fill="red"/>'),
    );
    expect(look.colours).toEqual(['red']);
  });

  it('see no file of this machine', async () => {
    await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
      .png()
      .toFile(at('red.png'));
    const picture = `<image width="9" height="9" xlink:href="${at('red.png')}"/><image width="9" height="9" xlink:href="file://${at('red.png')}"/>`;
    await expect(render(svg('width="9" height="9"', picture))).rejects.toThrow('draws nothing');
  });

  it('of no size, or without a root, are refused', async () => {
    await expect(render(svg('width="0" height="9"', '<rect width="9" height="9"/>'))).rejects.toThrow(
      /no <svg> element/,
    );
    await expect(render('<html/>')).rejects.toThrow(/no <svg> element/);
    await expect(render('<svg width="9')).rejects.toThrow(/no <svg> element/);
  });

  it('nested very deeply do not end this process', async () => {
    await writeFile(
      at('deep.svg'),
      svg('width="9" height="9"', `${'<g>'.repeat(2e5)}<rect width="9" height="9"/>${'</g>'.repeat(2e5)}`),
    );
    await writeFile(at('fine.svg'), svg('width="9" height="9"', '<rect width="9" height="9"/>'));
    const pool = new RenderPool(20_000);
    try {
      expect(await pool.render({ key: 'deep', path: at('deep.svg'), seed: 0, size: 32 })).toHaveProperty(
        'reason',
      );
      expect(await pool.render({ key: 'fine', path: at('fine.svg'), seed: 0, size: 32 })).toHaveProperty(
        'clip',
      );
    } finally {
      pool.close();
    }
  });

  it('that take too long are given up, and the next one is drawn', async () => {
    const blur =
      '<filter id="b" x="-9" y="-9" width="19" height="19"><feTurbulence numOctaves="9999" baseFrequency=".5"/></filter>';
    await writeFile(
      at('slow.svg'),
      svg(
        'width="99" height="99"',
        `${blur}${'<rect width="99" height="99" filter="url(#b)"/>'.repeat(900)}`,
      ),
    );
    await writeFile(at('fine.svg'), svg('width="9" height="9"', '<rect width="9" height="9"/>'));
    const impatient = new RenderPool(400);
    const patient = new RenderPool(20_000);
    try {
      const slow = await impatient.render({ key: 'slow', path: at('slow.svg'), seed: 0, size: 512 });
      expect(slow).toEqual({ reason: 'takes longer than 0.4 s to draw' });
      expect(await patient.render({ key: 'fine', path: at('fine.svg'), seed: 0, size: 32 })).toHaveProperty(
        'clip',
      );
    } finally {
      impatient.close();
      patient.close();
    }
  });
});

describe('reading SVG', () => {
  it.each([
    ['width="10" height="20"', [0, 0, 10, 20]],
    ['width="25.4mm" height="1in"', [0, 0, 96, 96]],
    ["viewBox='1 2 3 4' width='100%'", [1, 2, 3, 4]],
    ['viewBox="1,2 3,4" width="7" height="7"', [1, 2, 3, 4]],
    ['', [-1024, -1024, 4096, 4096]],
  ])('finds the page of <svg %s>', (attributes, [left, top, width, height]) => {
    const page = parseSvg(
      `<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "<svg>">]><svg ${attributes}></svg>`,
    )?.page;
    expect(page?.left).toBeCloseTo(left as number, 3);
    expect(page?.top).toBeCloseTo(top as number, 3);
    expect(page?.width).toBeCloseTo(width as number, 3);
    expect(page?.height).toBeCloseTo(height as number, 3);
  });

  it('changes the page and nothing else', () => {
    const svg = parseSvg('<svg:svg id="a>b" width="9" height="9"><g stroke-width="2"/></svg:svg>');
    const text = viewSvg(svg!, { left: 1, top: 2, width: 3, height: 4 }, 30, 40);
    expect(text).toContain('<svg:svg width="30" height="40" viewBox="1 2 3 4"');
    expect(text).toContain('id="a>b"');
    expect(text).toContain('<g stroke-width="2"/>');
    expect(text).not.toContain('width="9"');
  });

  it('reads what is not the UTF-8 that it claims to be as Latin-1', () => {
    expect(decodeXml(Buffer.from('<?xml version="1.0"?><a>é</a>', 'latin1'))).toContain('é');
    expect(decodeXml(Buffer.from('<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>', 'latin1'))).toContain(
      'é',
    );
    expect(decodeXml(Buffer.from('<a>é</a>'))).toContain('é');
  });

  it('takes no publisher for the title, and ends on metadata without an end', () => {
    expect(readMetadata(clip('')).title).toBe('');
    expect(readMetadata(clip('')).author).toBe('Ann & Bob');
    expect(readMetadata(`${'<metadata><dc:title>'.repeat(1e5)}`)).toMatchObject({ title: '', keywords: [] });
  });
});

describe('the rules', () => {
  const metadata = {
    title: 'Cat',
    description: 'A cat',
    keywords: ['pet', '17'],
    author: '',
    language: 'en',
    licence: '',
  };

  it('draw the AltText by the shares', () => {
    const counts: Record<string, number> = {};
    for (let i = 0; i < 4000; i++) {
      const { kind } = clipAltOf(0, `cats/${i}`, metadata);
      counts[kind] = (counts[kind] ?? 0) + 1;
    }
    for (const [kind, share] of Object.entries(clipAltShares)) {
      expect(Math.abs((counts[kind] ?? 0) / 4000 - share), kind).toBeLessThan(
        4 * Math.sqrt((share * (1 - share)) / 4000),
      );
    }
  });

  it('never draw a script’s residue', () => {
    const broken = { ...metadata, title: 'HASH(0x862bbb8)', description: '0x8b754fc', keywords: ['hash'] };
    expect(writtenTexts('a/b_01', broken)).toEqual({ 'file-name': 'b_01.svg' });
    expect(clipAltOf(3, 'a/b_01', broken)).toMatchObject({ text: 'b_01.svg', kind: 'file-name' });
  });

  it('name what has a common English name, the rest by its folder', () => {
    expect(nounOf('animals/x', { ...metadata, title: 'Clipart by Ann - black cat_02' })).toBe('cat');
    expect(nounOf('animals/birds/x', { ...metadata, title: 'Cigno' })).toBe('bird');
    expect(nounOf('signs_and_symbols/flags/x', { ...metadata, title: 'Belarus' })).toBe('flag');
    expect(kindOf('animals/birds/penguin/tux')).toBe('bird');
    expect(kindOf('nowhere/x')).toBe('object');
  });
});

describe('near-duplicates', () => {
  const picture = (value: (x: number, y: number) => number) => {
    const thumb = new Uint8Array(32 * 32 * 3);
    for (let i = 0; i < 32 * 32; i++) thumb.fill(value(i % 32, i >> 5), 3 * i, 3 * i + 3);
    return fingerprintOf(thumb, 32);
  };
  const square = (from: number, to: number, shade: number) =>
    picture((x, y) => (x >= from && x < to && y >= from && y < to ? shade : 128));

  it('are pictures that hardly differ; chains of them are one cluster', () => {
    const prints = [
      square(8, 24, 0),
      square(2, 12, 0),
      square(8, 24, 4),
      square(8, 24, 8),
      square(8, 24, 255),
    ];
    expect(clusterDuplicates(prints)).toEqual([0, 1, 0, 0, 4]);
  });

  it('are judged by how much is drawn: faint lines in other places are other drawings', () => {
    const line = (at: number) => picture((x) => (x === at ? 127 : 128));
    expect(clusterDuplicates([line(4), line(20)])).toEqual([0, 1]);
  });
});
