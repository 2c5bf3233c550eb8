import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DataError } from '../../../src/errors.js';
import { RetrievalEvaluator } from '../../../src/eval/evaluators.js';
import { resultName } from '../../../src/eval/result-name.js';
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
  context: { step: 5, checkpoint: 'latest', data: 'data', dataFingerprint: '0123456789ab', split: 'test' },
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

  it('says which result it replaces, if it is of another checkpoint or of data that changed', async () => {
    const split = new EvalSplit(rows, 'test');
    const again = async (context: object) => {
      const all = options(split);
      return (await evalZeroShot({ ...all, context: { ...all.context, ...context } }, 'label', 'emoji'))
        .notes;
    };
    expect(await again({})).toEqual([]);
    expect((await again({ step: 6 }))[0]).toMatch(/zero-shot-label-test\.json held a result of step 5/);
    expect((await again({ step: 6, dataFingerprint: 'x' }))[0]).toMatch(/other content of the data set/);
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

  const damaged = (at: number): EvalRow => {
    const row = rows[at] as EvalRow;
    // The header is whole: only decoding can tell.
    return { ...row, image: row.image.subarray(0, row.image.length - 20) };
  };

  it('names the images that cannot be read when they are more than may be, and an empty split', async () => {
    const none = new EvalSplit([damaged(0), ...rows.slice(1)], "split 'test'");
    await expect(none.readPixels(0, 6, 4)).rejects.toThrow(
      /Broken images in split 'test': 1, more than the 0 of 6 .*maxSkipRatio = 0 allows: one\/red-thing \(.*--max-skip-ratio/,
    );
    const fault = 'It has no image.';
    const told: string[] = [];
    const policy = { maxSkipRatio: 0.17, inform: (message: string) => told.push(message) };
    const faulty = [{ ...(rows[0] as EvalRow), fault }, damaged(1), ...rows.slice(2)];
    const one = new EvalSplit(faulty, "split 'test'", policy);
    expect(told).toEqual([`Skipped one/red-thing of split 'test': ${fault}`]);
    await expect(one.readPixels(0, 5, 4)).rejects.toThrow(/: 2, more than the 1 of 6 /);
    expect(() => new EvalSplit([], "split 'val'")).toThrow(DataError);
    expect(() => new EvalSplit([{ ...(rows[0] as EvalRow), fault }], 'x', { maxSkipRatio: 1 })).toThrow(
      /None of the 1 rows/,
    );
  });

  it('leaves broken images out of all scores, classes and examples as they were, and says so once', async () => {
    const told: string[] = [];
    const policy = { maxSkipRatio: 0.5, inform: (message: string) => told.push(message) };
    const [first, , ...rest] = rows as [EvalRow, EvalRow, ...EvalRow[]];
    const faulty = [{ ...first, fault: 'It has no image.' }, damaged(1), ...rest];
    const split = new EvalSplit(faulty, 'test', policy);
    const zeroShot = await evalZeroShot(options(split), 'label', 'emoji');
    expect(zeroShot.lines[0]).toMatchObject({ on: '3 classes, 4 images', value: 1 });
    expect(zeroShot.notes[0]).toBe(
      '2 broken images are left out of all scores: one/red-thing, one/green-thing.',
    );
    const { numSkipped, skipped, examples } = zeroShot.json as {
      numSkipped: number;
      skipped: { key: string; reason: string }[];
      examples: { key: string; label: string; predictions: { name: string; correct: boolean }[] }[];
    };
    expect(numSkipped).toBe(2);
    expect(skipped.map(({ key }) => key)).toEqual(['one/red-thing', 'one/green-thing']);
    expect(examples.map(({ key }) => key)).toEqual(rest.map(({ key }) => key));
    for (const { label, predictions } of examples) {
      expect(predictions[0]).toMatchObject({ name: label, correct: true });
    }

    const retrieval = await evalRetrieval(options(split));
    expect(retrieval.lines.map(({ on }) => on)).toContain('one, 1 images, 2 captions');
    expect(retrieval.lines.filter(({ value }) => value !== 1)).toEqual([]);
    const text = (retrieval.json.examples as { imageToText: { label: string; results: unknown[] }[] })
      .imageToText;
    expect(text.map(({ label }) => label)).toEqual(rest.map(({ columns }) => columns.label));

    const task = { ...split.images(), tokenize, captions: split.captions() };
    const figures = await new RetrievalEvaluator('val/retrieval', task).evaluate(model);
    expect(figures['val/retrieval/skipped']).toBe(2);
    expect(told).toHaveLength(2);
  });
});

describe('resultName', () => {
  const own = { task: 'zero-shot', classes: 'label', split: 'test' } as const;

  it('says what differs from the default', () => {
    expect(resultName(own)).toBe('zero-shot-label-test');
    expect(resultName({ task: 'retrieval', split: 'val', step: 12 })).toBe('retrieval-val-step-00000012');
    const templates = { name: 'openai', texts: ['a {}'] };
    const data = { path: 'sets/photos.parquet', fingerprint: '0123456789abcdef' };
    expect(resultName({ ...own, templates, data, step: 3 })).toBe(
      'zero-shot-label-test-openai-on-photos-01234567-step-00000003',
    );
  });

  it('tells templates by their content, and names that no file can have by a hash', () => {
    const named = (text: string) => resultName({ ...own, templates: { name: 'a/mine.txt', texts: [text] } });
    expect(named('{}')).toMatch(/^zero-shot-label-test-mine-[0-9a-f]{8}$/);
    expect(named('{}')).not.toBe(named('a {}'));
    const odd = resultName({ ...own, classes: '../x' });
    expect(odd).toMatch(/^zero-shot-\.\._x-[0-9a-f]{8}-test$/);
    expect(odd).not.toBe(resultName({ ...own, classes: '.. x' }));
  });
});

describe('classesOf', () => {
  it('is sorted and distinct, whatever the order of rows', () => {
    expect(classesOf(['b', 'a', 'B', 'a', 'é'])).toEqual(['B', 'a', 'b', 'é']);
  });
});
