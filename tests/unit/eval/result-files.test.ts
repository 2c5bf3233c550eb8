import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GalleryResult } from '../../../src/eval/evaluators.js';
import { retrievalFile, writeEvalFile, zeroShotFile } from '../../../src/eval/result-files.js';
import { evaluateRetrieval } from '../../../src/eval/retrieval.js';
import { evaluateZeroShot } from '../../../src/eval/zero-shot.js';
import { renderReport } from '../../../src/report/report.js';
import { readRun } from '../../../src/report/run-files.js';

const context = { step: 30, checkpoint: 'latest', data: 'data/emoji', dataFingerprint: 'f0', split: 'test' };
const skips = { count: 1, first: () => [{ key: 'noto/owl', reason: 'It has no image.' }] };
const keys = ['noto/cat 1', 'noto/dog 2'];
const axes = new Float32Array([1, 0, 0, 1]);

let dir: string;
let picture: Buffer;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'capstan-eval-'));
  await writeFile(join(dir, 'config.yaml'), 'seed: 1\n');
  picture = await sharp({ create: { width: 30, height: 20, channels: 4, background: '#f008' } })
    .png()
    .toBuffer();
});
afterAll(() => rm(dir, { recursive: true }));

const pictures = () => ({ keys, titles: ['cat', 'dog'], encoded: () => picture });

describe('evaluation files', () => {
  it('hold scores and examples that a report can read, with pictures beside them', async () => {
    const classNames = ['cat', 'dog'];
    const labels = ['cat', 'cat'];
    const scores = evaluateZeroShot({
      imageEmbeddings: axes,
      classEmbeddings: axes,
      embedDim: 2,
      labels: [0, 0],
      classNames,
    });
    const result = { ...scores, imageIndices: [0, 1] };
    const task = {
      keys,
      labels,
      classNames,
      templates: ['{}'],
      readPixels: () => Promise.resolve(new Uint8Array()),
      tokenize: () => new Int32Array(),
    };
    const zeroShot = zeroShotFile(context, 'label', 'emoji', task, result, skips, pictures());
    const path = await writeEvalFile(join(dir, 'eval'), 'zero-shot-label-test', zeroShot, pictures());
    expect(path).toBe(join(dir, 'eval', 'zero-shot-label-test.json'));

    const textImageIndex = [0, 1, 0];
    const texts = new Float32Array([1, 0, 0, 1, -1, 0]);
    const gallery: GalleryResult = {
      name: 'noto',
      imageIndices: [0, 1],
      texts: ['a cat', 'a dog', 'no'],
      textImageIndex,
      embeddings: { images: axes, texts },
      result: evaluateRetrieval({
        imageEmbeddings: axes,
        textEmbeddings: texts,
        embedDim: 2,
        textImageIndex,
        numImages: 2,
      }),
    };
    const retrieval = retrievalFile(context, 2, [gallery], skips, pictures());
    await writeEvalFile(join(dir, 'eval'), 'retrieval-test', retrieval, pictures());

    const run = await readRun(dir);
    expect(run.zeroShot[0]).toMatchObject({
      classes: 'label',
      step: 30,
      numSkipped: 1,
      metrics: { top1: 0.5, numClasses: 2 },
      confusions: [{ actual: 'cat', predicted: 'dog', count: 1, share: 0.5 }],
    });
    const example = run.zeroShot[0]?.examples[1];
    expect(example).toMatchObject({ key: 'noto/dog 2', label: 'cat' });
    expect(example?.predictions).toEqual([
      { name: 'dog', logit: 100, correct: false },
      { name: 'cat', logit: 0, correct: true },
    ]);
    expect(run.retrieval[0]?.metrics.textToImage.recallAt['1']).toBeCloseTo(2 / 3, 12);
    const queries = run.retrieval[0]?.examples;
    expect(queries?.textToImage[0]).toMatchObject({ query: 'a cat', gallery: 'noto' });
    expect(queries?.textToImage[0]?.results.map(({ label, correct }) => [label, correct])).toEqual([
      ['cat', true],
      ['dog', false],
    ]);
    expect(queries?.imageToText[1]?.results.map(({ text, correct }) => [text, correct])).toEqual([
      ['a dog', true],
      ['a cat', false],
      ['no', false],
    ]);

    const images = await readdir(join(dir, 'eval', 'images'));
    expect(images).toHaveLength(2);
    for (const image of images) {
      expect(image).toMatch(/^noto_(cat_1|dog_2)-[0-9a-f]{8}\.webp$/);
      const { width, height, hasAlpha } = await sharp(
        await readFile(join(dir, 'eval', 'images', image)),
      ).metadata();
      expect([width, height, hasAlpha]).toEqual([168, 168, false]);
    }
    const html = await renderReport([run]);
    expect(html).toContain('data:image/webp;base64,');
    expect(html).toContain('2 images (1 broken left out)');
    expect(html).toContain('2 images, 1 of the split broken');
  });
});
