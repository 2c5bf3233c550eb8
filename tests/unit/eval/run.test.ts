import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DataError } from '../../../src/errors.js';
import { classesOf, evalRetrieval, evalZeroShot } from '../../../src/eval/run.js';
import { type EvalRow, EvalSplit } from '../../../src/eval/split.js';
import type { EmbeddingModel } from '../../../src/models/embedding-model.js';

const COLOURS = { 'red-thing': '#e00000', 'green-thing': '#00d000', 'blue-thing': '#0000f0' };
type Colour = keyof typeof COLOURS;
const NAMES = Object.keys(COLOURS) as Colour[];

let dir: string;
let rows: EvalRow[];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'capstan-run-eval-'));
  rows = await Promise.all(
    ['one', 'two'].flatMap((style) =>
      NAMES.map(async (name) => ({
        key: `${style}/${name}`,
        image: await sharp({ create: { width: 12, height: 9, channels: 3, background: COLOURS[name] } })
          .png()
          .toBuffer(),
        columns: { label: name, style, note: style === 'one' ? 'x' : null },
        captions: [`the ${name.replace('-', ' ')}`, `a ${name.replace('-', ' ')}`],
      })),
    ),
  );
});
afterAll(() => rm(dir, { recursive: true }));

/** Embeds an image as its colour, and a text as the colour it names. */
const model: EmbeddingModel = {
  embedDim: 3,
  imageSize: 4,
  contextLength: 2,
  encodeImages: (images, count) =>
    Promise.resolve(
      Float32Array.from(
        Array.from({ length: count }, (_, i) =>
          [0, 1, 2].map((c) => ((images[i * 48 + c] as number) > 128 ? 1 : 0)),
        ).flat(),
      ),
    ),
  encodeTexts: (tokens, count) =>
    Promise.resolve(
      Float32Array.from(
        Array.from({ length: count }, (_, i) => [0, 1, 2].map((c) => (tokens[i * 2] === c ? 1 : 0))).flat(),
      ),
    ),
};
const seen: string[] = [];
const tokenize = (texts: readonly string[], contextLength: number) => {
  seen.push(...texts);
  const tokens = new Int32Array(texts.length * contextLength);
  texts.forEach((text, i) => {
    tokens[i * contextLength] = NAMES.findIndex((name) => text.includes(name.split('-')[0] as string));
  });
  return tokens;
};
const options = (split: EvalSplit) => ({
  model,
  split,
  tokenize,
  context: { step: 5, checkpoint: 'latest', data: 'data', split: 'test' },
  evalDir: join(dir, 'eval'),
});

describe('evalZeroShot', () => {
  it('takes the classes from a column, reads slugs as words, and writes the scores', async () => {
    const outcome = await evalZeroShot(options(new EvalSplit(rows, 'test')), 'label', 'emoji');
    expect(seen).toContain('a drawing of blue thing.');
    expect(outcome.lines[0]).toMatchObject({ score: 'top-1', on: '3 classes, 6 images', value: 1, high: 1 });
    expect(outcome.path).toBe(join(dir, 'eval', 'zero-shot-label-test.json'));
    const written = JSON.parse(await readFile(outcome.path, 'utf8')) as {
      metrics: unknown;
      examples: unknown[];
    };
    expect(written).toMatchObject({ task: 'zero-shot', step: 5, classes: 'label', numTemplates: 6 });
    expect(written.examples).toHaveLength(6);
  });

  it('names the columns there are', async () => {
    const split = new EvalSplit(rows, "split 'test'");
    await expect(evalZeroShot(options(split), 'group', 'emoji')).rejects.toThrow(
      /no text column 'group' in split 'test'; it has label, style, note/,
    );
    await expect(evalZeroShot(options(split), 'note', 'emoji')).rejects.toThrow(
      /Row two\/red-thing .* no value/,
    );
  });
});

describe('evalRetrieval', () => {
  it('has a gallery per style, so that a caption has one right image', async () => {
    const outcome = await evalRetrieval(options(new EvalSplit(rows, 'test')));
    expect(outcome.lines).toHaveLength(12);
    expect(outcome.lines[0]).toMatchObject({
      score: 'text to image R@1',
      on: 'one, 3 images, 6 captions',
      value: 1,
    });
    expect(outcome.lines[0]?.chance).toBeCloseTo(1 / 3, 12);
    expect(outcome.json.galleries).toHaveLength(2);
  });

  it('names an image without captions', async () => {
    const bare = rows.map((row, i) => (i === 4 ? { ...row, captions: [] } : row));
    await expect(evalRetrieval(options(new EvalSplit(bare, 'test')))).rejects.toThrow(
      /two\/green-thing of test has no caption/,
    );
  });
});

describe('EvalSplit', () => {
  it('decodes at the size asked for and keeps the pixels', async () => {
    const split = new EvalSplit(rows, 'test');
    const pixels = await split.readPixels(1, 3, 4);
    expect(pixels).toHaveLength(2 * 48);
    expect([...pixels.subarray(0, 3)]).toEqual([0, 0xd0, 0]);
    expect([...pixels.subarray(48, 51)]).toEqual([0, 0, 0xf0]);
    expect(await split.readPixels(1, 3, 4)).toBe(pixels);
    expect(await split.readPixels(1, 3, 2)).toHaveLength(24);
  });

  it('names an image that cannot be decoded and an empty split', async () => {
    const broken = [{ ...(rows[0] as EvalRow), image: new Uint8Array([1, 2, 3]) }];
    await expect(new EvalSplit(broken, 'test').readPixels(0, 1, 4)).rejects.toThrow(
      /Image one\/red-thing of test:/,
    );
    expect(() => new EvalSplit([], "split 'val'")).toThrow(DataError);
  });
});

describe('classesOf', () => {
  it('is sorted and distinct, whatever the order of rows', () => {
    expect(classesOf(['b', 'a', 'B', 'a', 'é'])).toEqual(['B', 'a', 'b', 'é']);
  });
});
