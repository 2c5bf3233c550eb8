import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawingColours } from '../../../../src/data/datasets/emoji/colours.js';
import { loadConcepts } from '../../../../src/data/datasets/emoji/concepts.js';
import { loadStyle, styles } from '../../../../src/data/datasets/emoji/styles.js';
import type { Manifest } from '../../../../src/data/datasets/manifest.js';
import { openSource } from '../../../../src/data/datasets/open.js';
import { buildScenes } from '../../../../src/data/datasets/scenes/build.js';
import { type Fact, relationOf } from '../../../../src/data/datasets/scenes/facts.js';
import { signAspect, signSvg, signWords } from '../../../../src/data/datasets/scenes/lettering.js';
import { popeOf, promptsOf } from '../../../../src/data/datasets/scenes/questions.js';
import { recolour } from '../../../../src/data/datasets/scenes/recolour.js';
import {
  type Cast,
  drawScene,
  type SceneGraph,
  sceneSvg,
} from '../../../../src/data/datasets/scenes/scene.js';
import { loadThings, type Thing } from '../../../../src/data/datasets/scenes/things.js';
import type { Mention } from '../../../../src/data/datasets/scenes/told.js';
import type { Row } from '../../../../src/data/schema.js';
import { ConfigError } from '../../../../src/errors.js';

let folder: string;
let manifest: Manifest;
let rows: Row[];
let things: Thing[];
let cast: Cast;
const at = (name: string): string => join(folder, name);
const kinds = ['ssc', 'dsc', 'dsc+'] as const;

async function readAll(path: string): Promise<Row[]> {
  const source = await openSource(path);
  return source.readRows([...Array(source.numRows).keys()], source.columns);
}

const parsed = <T>(row: Row, column: string): T => JSON.parse(String(row[column])) as T;
const mentionsOf = (row: Row): Record<string, Mention[]> => parsed(row, 'mentions');

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'capstan-scenes-'));
  manifest = await buildScenes({ out: at('set'), count: 40, size: 48, omit: 0.2, invent: 0.3, workers: 2 });
  rows = await readAll(at('set'));
  const concepts = loadConcepts();
  things = loadThings(concepts);
  const { style, drawings } = loadStyle(styles[0]!, concepts);
  cast = { style, drawings, things: things.filter(({ concept }) => drawings.has(concept.hexcode)) };
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the scenes data set', () => {
  it('has eight, one and one of ten pictures in its splits, and no style in two of them', () => {
    expect(manifest.splits).toEqual({ train: 32, val: 4, test: 4 });
    const splitOf = new Map(styles.map(({ name, split }) => [name, split]));
    for (const row of rows) expect(row.split).toBe(splitOf.get(String(row.style)));
  });

  it('has captions of the lengths of their kinds', () => {
    for (const row of rows) expect(new Set(row.captions as string[]).size, String(row.key)).toBe(5);
    expect(manifest.captionTokens?.ssc?.withinRange).toBeGreaterThan(0.95);
    expect(manifest.captionTokens?.dsc?.withinRange).toBeGreaterThan(0.98);
    expect(manifest.captionTokens?.['dsc+']?.least).toBeGreaterThan(100);
  });

  it('marks what is said as true exactly if it is a fact', () => {
    let wrong = 0;
    for (const row of rows) {
      const facts = parsed<Fact[]>(row, 'facts');
      const holds = ({ type, object, value, other }: Fact): boolean =>
        facts.some(
          (fact) =>
            fact.type === type && fact.object === object && fact.value === value && fact.other === other,
        );
      for (const kind of kinds) {
        for (const mention of mentionsOf(row)[kind] as Mention[]) {
          if (mention.type === 'other') continue;
          expect(mention.true, `${row.key} ${kind} ${JSON.stringify(mention)}`).toBe(holds(mention));
          if (!mention.true) wrong++;
        }
      }
    }
    expect(wrong).toBeGreaterThan(60);
  });

  it('lists the things that captions name and that are not there', () => {
    for (const row of rows) {
      const objects = row.objects as string[];
      const hallucinated = parsed<Record<string, string[]>>(row, 'hallucinated');
      for (const kind of kinds) {
        const named = (mentionsOf(row)[kind] as Mention[])
          .filter(({ type }) => type === 'object')
          .map(({ object }) => object as string);
        expect(hallucinated[kind]).toEqual([...new Set(named.filter((name) => !objects.includes(name)))]);
        for (const name of named) expect(things.map((thing) => thing.name)).toContain(name);
      }
    }
  });

  it('says what its records say', () => {
    const forms = new Map(things.map(({ name, plural }) => [name, [name, plural]]));
    for (const row of rows) {
      for (const kind of kinds) {
        const text = String(row[kind]);
        for (const { type, object, value } of mentionsOf(row)[kind] as Mention[]) {
          if (type === 'object')
            expect(
              forms.get(object as string)!.some((form) => text.toLowerCase().includes(form.toLowerCase())),
              `${text} ${object}`,
            ).toBe(true);
          if (type === 'colour' || type === 'ground') expect(text.toLowerCase()).toContain(value);
          if (type === 'text') expect(text).toContain(`"${value}"`);
        }
      }
    }
  });

  it('tells nothing but the truth, and all of it, at rates of zero; human captions are true at any', async () => {
    const honest = await buildScenes({
      out: at('honest'),
      count: 30,
      size: 32,
      omit: 0,
      invent: 0,
      format: 'arrow',
    });
    for (const kind of kinds)
      expect(honest.counts[kind]).toMatchObject({ falseAssertions: 0, hallucinatedObjects: 0 });
    for (const row of await readAll(at('honest'))) {
      const named = (mentionsOf(row).dsc as Mention[])
        .filter(({ type }) => type === 'object')
        .map(({ object }) => object);
      expect(new Set(named)).toEqual(new Set(row.objects as string[]));
      const same = rows.find(({ key }) => key === row.key);
      expect(row.captions).toEqual(same?.captions);
    }
  });

  it('swaps as many things as the rate says', async () => {
    const all = await buildScenes({
      out: at('lies'),
      count: 400,
      size: 16,
      omit: 0,
      invent: 0.3,
      format: 'arrow',
      seed: 5,
    });
    const { objectMentions, hallucinatedObjects } = all.counts.dsc as {
      objectMentions: number;
      hallucinatedObjects: number;
    };
    // Mentions in one caption are not independent; four standard deviations of half as many.
    const spread = 4 * Math.sqrt((0.3 * 0.7) / (objectMentions / 2));
    expect(Math.abs(hallucinatedObjects / objectMentions - 0.3)).toBeLessThan(spread);
  });

  it('begins with the same pictures, however many there are and whoever draws them', async () => {
    await buildScenes({
      out: at('less'),
      count: 20,
      size: 48,
      omit: 0.2,
      invent: 0.3,
      workers: 1,
      format: 'arrow',
    });
    const byKey = new Map(rows.map((row) => [row.key, row]));
    for (const row of await readAll(at('less'))) expect(row).toEqual(byKey.get(row.key as string));
  });

  it('has questions of which each names its scene, and as many yes as no', async () => {
    expect((await readdir(at('set'))).sort()).toEqual(
      [
        'dataset.json',
        ...manifest.shards.map(({ name }) => name),
        ...manifest.files.map(({ name }) => name),
      ].sort(),
    );
    const lines = async (name: string): Promise<Record<string, string>[]> =>
      (await readFile(at(`set/${name}`), 'utf8'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, string>);
    const byKey = new Map(rows.map((row) => [row.key, row]));
    for (const { key, question, answer } of await lines('counting-train.jsonl')) {
      const objects = byKey.get(key!)!.objects as string[];
      const thing = things.find(({ plural }) => question === `How many ${plural} are there?`)!;
      expect(answer).toBe(String(objects.filter((name) => name === thing.name).length));
    }
    for (const kind of ['random', 'popular', 'adversarial']) {
      const asked = await lines(`pope-${kind}-val.jsonl`);
      expect(asked.filter(({ label }) => label === 'yes').length).toBe(asked.length / 2);
      for (const { image, text, label } of asked) {
        const objects = byKey.get(image!)!.objects as string[];
        expect(
          objects.some((name) => text!.endsWith(` ${name} in the image?`)),
          text,
        ).toBe(label === 'yes');
      }
    }
    expect(manifest.files.find(({ name }) => name === 'vqa-test.jsonl')?.rows).toBe(
      (await lines('vqa-test.jsonl')).length,
    );
  });

  it.each([{ count: 9 }, { omit: 0.95 }, { invent: -0.1 }, { invent: Number.NaN }, { size: 8 }])(
    'refuses %o',
    async (options) => {
      const built = buildScenes({ out: at('never'), ...options });
      await expect(built).rejects.toThrow(ConfigError);
      await expect(built).rejects.toThrow(`--${Object.keys(options)[0]} is`);
    },
  );
});

describe('a scene', () => {
  const scenes = (count: number): Promise<SceneGraph[]> =>
    Promise.all(Array.from({ length: count }, (_, i) => drawScene(7, `key-${i}`, 'train', [cast])));

  it('has its things inside the picture, apart from one another and from the sign', async () => {
    for (const { key, groups, sign } of await scenes(120)) {
      const places = groups.flatMap((group) => group.places);
      expect(places.length).toBeGreaterThanOrEqual(1);
      expect(places.length).toBeLessThanOrEqual(6);
      for (const [i, { x, y, side }] of places.entries()) {
        for (const value of [x, y]) {
          expect(value - side / 2).toBeGreaterThan(0);
          expect(value + side / 2).toBeLessThan(100);
        }
        for (const other of places.slice(i + 1)) {
          const apart = (side + other.side) / 2;
          expect(Math.max(Math.abs(other.x - x), Math.abs(other.y - y)), key).toBeGreaterThanOrEqual(apart);
        }
        if (sign === undefined) continue;
        const [right, bottom] = [sign.left + sign.width, sign.top + sign.height];
        const overlaps =
          x + side / 2 > sign.left &&
          x - side / 2 < right &&
          y + side / 2 > sign.top &&
          y - side / 2 < bottom;
        expect(overlaps, key).toBe(false);
        expect(Math.min(sign.left, sign.top, 100 - right, 100 - bottom)).toBeGreaterThan(0);
      }
    }
  });

  it('names each thing once, and uses no identifier twice in its picture', async () => {
    for (const scene of await scenes(40)) {
      expect(new Set(scene.groups.map(({ thing }) => thing.name)).size).toBe(scene.groups.length);
      const ids = [...sceneSvg(scene).matchAll(/\bid="([^"]+)"/g)].map(([, id]) => id);
      expect(new Set(ids).size).toBe(ids.length);
    }
  });

  it('relates things only where it is clear', () => {
    const place = (x: number, y: number) => ({ x, y, side: 20, tilt: 0 });
    expect(relationOf(place(20, 50), place(70, 55))).toBe('left of');
    expect(relationOf(place(70, 50), place(20, 55))).toBe('right of');
    expect(relationOf(place(50, 20), place(55, 70))).toBe('above');
    expect(relationOf(place(50, 70), place(55, 20))).toBe('below');
    expect(relationOf(place(20, 20), place(70, 70))).toBeUndefined();
    expect(relationOf(place(50, 50), place(52, 50))).toBeUndefined();
  });
});

describe('recolouring', () => {
  const of = (body: string) => ({ iconName: 'test', viewBox: [0, 0, 100, 100] as const, body });

  it('turns the main colour and its shades, and leaves the rest', async () => {
    const car = of(
      '<path fill="#dd2e44" d="M0 0h100v80H0z"/><path fill="#a0041e" d="M0 80h100v8H0z"/><path fill="#ffcc4d" d="M0 88h100v12H0z"/>',
    );
    const blue = await recolour(car, 'blue');
    expect(await drawingColours(blue!)).toEqual(['blue', 'yellow']);
    expect(blue?.body).toContain('#ffcc4d');
  });

  it('does nothing to drawings without a colour, or of that colour already', async () => {
    expect(await recolour(of('<path fill="#777" d="M0 0h100v100H0z"/>'), 'blue')).toBeUndefined();
    expect(await recolour(of('<path fill="#dd2e44" d="M0 0h100v100H0z"/>'), 'red')).toBeUndefined();
  });
});

describe('lettering', () => {
  it('draws every letter of every sign, each another shape, inside the sign', async () => {
    const letters = [...new Set([...signWords.join(''), ...'0123456789'])];
    const pictures = await Promise.all(
      letters.map(async (letter) => {
        const width = 40 * signAspect(letter);
        const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="48" viewBox="0 0 64 48">${signSvg(letter, 2, 2, 40, '#000')}</svg>`;
        expect(width).toBeLessThan(60);
        return (await sharp(Buffer.from(svg)).raw().toBuffer()).toString('base64');
      }),
    );
    expect(new Set(pictures).size).toBe(letters.length);
  });
});

describe('questions', () => {
  it('ask for popular things where they should, and for things of the same theme', async () => {
    const scene = await drawScene(7, 'key', 'val', [cast]);
    const absent = (kind: 'popular' | 'adversarial') =>
      popeOf(0, scene, things, kind)
        .filter(({ label }) => label === 'no')
        .map(({ text }) => things.find(({ name }) => text.endsWith(` ${name} in the image?`)) as Thing);
    for (const thing of absent('popular')) expect(thing.weight).toBe(1);
    const themes = scene.groups.map(({ thing }) => thing.theme);
    expect(themes).toContain(absent('adversarial')[0]?.theme);
  });

  it('make prompts of all six kinds that mention what they ask for', () => {
    const prompts = promptsOf(0, things, 20);
    expect(new Set(prompts.map(({ tag }) => tag)).size).toBe(6);
    for (const { prompt, include } of prompts) {
      for (const { class: name, color } of include) {
        const { plural } = things.find((thing) => thing.name === name) as Thing;
        expect(prompt.includes(name) || prompt.includes(plural), prompt).toBe(true);
        if (color !== undefined) expect(prompt).toContain(`${color} ${name}`);
      }
    }
  });
});
