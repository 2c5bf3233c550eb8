import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { evaluateRetrieval } from '../../src/eval/retrieval.js';
import { buildClassEmbeddings, evaluateZeroShot } from '../../src/eval/zero-shot.js';

interface Golden {
  retrieval: {
    images: number[][];
    texts: number[][];
    textImageIndex: number[];
    recall: Record<'textToImage' | 'imageToText', Record<string, number>>;
  };
  zeroShot: {
    images: number[][];
    prompts: number[][][];
    labels: number[];
    classEmbeddings: number[][];
    top1: number;
    top5: number;
    meanPerClassRecall: number;
    top5Indices: number[][];
    top1Logits: number[];
  };
}

const golden = JSON.parse(readFileSync(new URL('./data/retrieval.json', import.meta.url), 'utf8')) as Golden;

const dim = 16;
function normalised(rows: number[][]): Float32Array {
  return Float32Array.from(
    rows.flatMap((row) => {
      const norm = Math.hypot(...row);
      return row.map((value) => value / norm);
    }),
  );
}

describe('retrieval', () => {
  it("reaches the recalls of CLIP_benchmark's formula exactly, both ways", () => {
    const { images, texts, textImageIndex, recall } = golden.retrieval;
    const result = evaluateRetrieval({
      imageEmbeddings: normalised(images),
      textEmbeddings: normalised(texts),
      embedDim: dim,
      textImageIndex,
      numImages: images.length,
    });
    for (const direction of ['textToImage', 'imageToText'] as const) {
      for (const k of [1, 5, 10]) {
        expect(result[direction].recallAt[k]).toBeCloseTo(recall[direction][k] as number, 12);
      }
    }
  });
});

describe('zero-shot classification', () => {
  it("builds open_clip's class embeddings and reaches its accuracies and predictions", async () => {
    const { images, prompts, labels, classEmbeddings, ...expected } = golden.zeroShot;
    const flat = normalised(prompts.flat());
    const asked: string[] = [];
    const classNames = prompts.map((_, c) => `class ${c}`);
    const built = await buildClassEmbeddings(classNames, ['a {}', 'b {}', 'c {}'], dim, (texts) => {
      asked.push(...texts);
      return Promise.resolve(flat);
    });
    expect(asked.slice(0, 4)).toEqual(['a class 0', 'b class 0', 'c class 0', 'a class 1']);
    classEmbeddings.flat().forEach((value, at) => {
      // One rounding to float32 of the prompts, one of the class.
      expect(Math.abs((built[at] as number) - value)).toBeLessThan(2e-7);
    });

    const result = evaluateZeroShot({
      imageEmbeddings: normalised(images),
      classEmbeddings: built,
      embedDim: dim,
      labels,
      classNames,
    });
    expect(result.top1).toBeCloseTo(expected.top1, 12);
    expect(result.top5).toBeCloseTo(expected.top5, 12);
    expect(result.meanPerClassRecall).toBeCloseTo(expected.meanPerClassRecall, 12);
    expect(result.predictions.map(({ indices }) => indices)).toEqual(expected.top5Indices);
    result.predictions.forEach(({ scores }, image) => {
      // Logits are up to 100, so 1e-4 is a millionth.
      expect(scores[0]).toBeCloseTo(expected.top1Logits[image] as number, 4);
    });
  });
});
