import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KeyedRandom } from '../../../src/rng.js';

const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

const direction = (numQueries: number, numCandidates: number, recall: number) => ({
  numQueries,
  numCandidates,
  recallAt: { 1: recall, 5: recall * 2, 10: recall * 3 },
  chanceAt: { 1: 1 / numCandidates, 5: 5 / numCandidates, 10: 10 / numCandidates },
  recallAt1Interval: { low: recall * 0.9, high: recall * 1.1 },
  medianRank: 12,
});

/** Writes a run folder with the files and fields that training and evaluation leave. */
export async function writeExampleRun(
  dir: string,
  seed: number,
  options: { metricsTail?: string } = {},
): Promise<void> {
  const random = new KeyedRandom('example-run', seed);
  await mkdir(join(dir, 'eval', 'images'), { recursive: true });
  await writeFile(join(dir, 'config.yaml'), 'model: quickstart\ndata:\n  captions: { alt: 0.5, ssc: 0.5 }\n');
  await writeFile(join(dir, 'versions.json'), JSON.stringify({ capstan: '0.1.0', node: '20.0.0' }));
  const metrics = Array.from({ length: 400 }, (_, i) => ({
    step: i + 1,
    epoch: Math.floor(i / 50),
    samplesSeen: (i + 1) * 128,
    loss: 0.5 + 4.4 * Math.exp(-i / 120) + 0.1 * random.normal(),
    lr: 1e-3 * Math.min((i + 1) / 30, 0.5 * (1 + Math.cos((Math.PI * i) / 400))),
    logitScale: 14 + i / 50,
    gradNorm: 1 + 0.2 * random.uniform(),
    stepMs: 300 + 30 * random.normal(),
    dataWaitMs: 5 + 2 * random.uniform(),
    imgPerSec: 420 + 20 * random.normal(),
    mix: { alt: 0.5 + 0.05 * random.normal(), ssc: 0.5 + 0.05 * random.normal() },
    tokensMean: 9 + random.uniform(),
    truncatedShare: 0.01 * random.uniform(),
    skipped: 0,
    noCaption: 0,
  }));
  await writeFile(
    join(dir, 'metrics.jsonl'),
    metrics.map((row) => `${JSON.stringify(row)}\n`).join('') + (options.metricsTail ?? ''),
  );
  const evals = [100, 200, 300, 400].map((step) => ({
    step,
    'zeroShot/top1': 0.0003 * step,
    'zeroShot/chanceTop1': 1 / 2000,
  }));
  await writeFile(join(dir, 'eval.jsonl'), evals.map((row) => `${JSON.stringify(row)}\n`).join(''));
  await writeFile(join(dir, 'eval', 'images', 'a.png'), Buffer.from(PIXEL, 'base64'));
  const image = 'images/a.png';
  const base = { step: 400, data: 'data/emoji', split: 'test' };
  const zeroShot = {
    ...base,
    task: 'zero-shot',
    classes: 'label',
    templates: 'emoji',
    metrics: {
      numImages: 800,
      numClasses: 2000,
      top1: 0.125,
      top1Interval: { low: 0.101, high: 0.152 },
      top5: 0.3,
      meanPerClassRecall: 0.12,
      chanceTop1: 1 / 2000,
      chanceTop5: 5 / 2000,
    },
    confusions: [{ actual: 'nerd <face>', predicted: 'face', count: 2, share: 1 }],
    examples: [
      { key: 'a', image, label: 'nerd <face>', predictions: [{ name: 'face', logit: 31, correct: false }] },
    ],
  };
  const textToImage = direction(4000, 800, 0.11);
  const imageToText = direction(800, 4000, 0.13);
  const retrieval = {
    ...base,
    task: 'retrieval',
    metrics: { textToImage, imageToText },
    galleries: [{ name: 'emojione', numImages: 800, numTexts: 4000, textToImage, imageToText }],
    examples: {
      textToImage: [
        {
          query: 'a drawing of a cat',
          gallery: 'emojione',
          results: [{ image, label: 'cat', score: 0.4, correct: true }],
        },
      ],
      imageToText: [
        {
          image,
          label: 'cat',
          gallery: 'emojione',
          results: [{ text: 'a dog', score: 0.3, correct: false }],
        },
      ],
    },
  };
  await writeFile(join(dir, 'eval', 'zero-shot-test.json'), JSON.stringify(zeroShot));
  await writeFile(join(dir, 'eval', 'retrieval-test.json'), JSON.stringify(retrieval));
}
