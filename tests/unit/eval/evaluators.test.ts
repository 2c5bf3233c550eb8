import { describe, expect, it } from 'vitest';
import { DataError, ShapeError } from '../../../src/errors.js';
import {
  meanRecall,
  RetrievalEvaluator,
  runRetrieval,
  runZeroShot,
  ZeroShotEvaluator,
} from '../../../src/eval/evaluators.js';
import type { EmbeddingModel } from '../../../src/models/embedding-model.js';

const NAMES = ['cat', 'dog', 'owl'];

/** A model that reads the class out of the first pixel and out of the first token: one axis per class. */
function oracle(seenCounts: number[] = []): EmbeddingModel {
  const oneHot = (classes: ArrayLike<number>) =>
    Float32Array.from(Array.from(classes).flatMap((c) => NAMES.map((_, d) => (d === c ? 1 : 0))));
  return {
    embedDim: 3,
    imageSize: 2,
    contextLength: 4,
    encodeImages(images, count) {
      seenCounts.push(count);
      return Promise.resolve(oneHot(Array.from({ length: count }, (_, i) => images[i * 12] as number)));
    },
    encodeTexts(tokens, count) {
      seenCounts.push(-count);
      return Promise.resolve(oneHot(Array.from({ length: count }, (_, i) => tokens[i * 4] as number)));
    },
  };
}

const tokenize = (texts: readonly string[], contextLength: number) => {
  const tokens = new Int32Array(texts.length * contextLength);
  texts.forEach((text, i) => {
    tokens[i * contextLength] = NAMES.findIndex((name) => text.includes(name));
  });
  return tokens;
};

/** Images of the given classes: every byte is the class. */
const images = (classes: number[]) => ({
  keys: classes.map((c, i) => `${i}-${NAMES[c]}`),
  readPixels: (from: number, to: number) =>
    Promise.resolve(Uint8Array.from(classes.slice(from, to).flatMap((c) => new Array<number>(12).fill(c)))),
});

describe('runZeroShot', () => {
  const task = {
    ...images([0, 1, 2, 2, 1]),
    labels: ['cat', 'dog', 'owl', 'owl', 'cat'],
    classNames: NAMES,
    templates: ['{}', 'a {}'],
    tokenize,
  };

  it('scores each image against its own class', async () => {
    const seen: number[] = [];
    const result = await runZeroShot(oracle(seen), task);
    expect(result.top1).toBe(4 / 5);
    expect(result.confusions).toEqual([{ actual: 'cat', predicted: 'dog', count: 1, share: 0.5 }]);
    expect(seen).toEqual([-6, 5]);
  });

  it('takes more images than fit at once', async () => {
    const classes = Array.from({ length: 600 }, (_, i) => i % 3);
    const seen: number[] = [];
    const labels = classes.map((c) => NAMES[c] as string);
    const result = await runZeroShot(oracle(seen), { ...task, ...images(classes), labels });
    expect(result.top1).toBe(1);
    expect(seen.filter((count) => count > 0)).toEqual([256, 256, 88]);
  });

  it('names the image whose class is unknown', async () => {
    const labels = ['cat', 'dog', 'elk', 'owl', 'cat'];
    await expect(runZeroShot(oracle(), { ...task, labels })).rejects.toThrow(DataError);
    await expect(runZeroShot(oracle(), { ...task, labels })).rejects.toThrow(/2-owl: its class 'elk'/);
  });

  it('refuses pixels of another size', async () => {
    const readPixels = () => Promise.resolve(new Uint8Array(5));
    await expect(runZeroShot(oracle(), { ...task, readPixels })).rejects.toThrow(ShapeError);
  });

  it('reports numbers under its name while training', async () => {
    const evaluator = new ZeroShotEvaluator('val/zeroShot/label', task);
    const figures = await evaluator.evaluate(oracle());
    expect(Object.keys(figures)).toEqual(evaluator.figures);
    expect(figures).toEqual({
      'val/zeroShot/label/top1': 0.8,
      'val/zeroShot/label/top5': 1,
      'val/zeroShot/label/chanceTop1': expect.closeTo(1 / 3, 12) as number,
      'val/zeroShot/label/chanceTop5': 1,
    });
  });
});

describe('runRetrieval', () => {
  const task = {
    ...images([0, 1, 2, 0, 1]),
    captions: [['a cat', 'cat'], ['a dog'], ['an owl'], ['a dog'], ['a cat', 'the dog']],
    galleries: ['right', 'right', 'right', 'wrong', 'wrong'],
    tokenize,
  };

  it('searches each gallery by itself', async () => {
    const [right, wrong] = await runRetrieval(oracle(), task);
    expect(right?.name).toBe('right');
    expect(right?.imageIndices).toEqual([0, 1, 2]);
    expect(right?.texts).toEqual(['a cat', 'cat', 'a dog', 'an owl']);
    expect(right?.textImageIndex).toEqual([0, 0, 1, 2]);
    expect(right?.result.textToImage.recallAt[1]).toBe(1);
    expect(right?.result.imageToText.recallAt[1]).toBe(1);
    // In the second gallery 'a dog' describes a cat, and one of the dog's captions says cat.
    expect([...(wrong?.result.textToImage.ranks ?? [])]).toEqual([2, 2, 1]);
    expect([...(wrong?.result.imageToText.ranks ?? [])]).toEqual([2, 2]);
  });

  it('averages over galleries, each counting the same', async () => {
    const galleries = await runRetrieval(oracle(), task);
    const { recallAt, chanceAt, numQueries } = meanRecall(galleries, 'textToImage');
    expect(recallAt[1]).toBeCloseTo((1 + 1 / 3) / 2, 12);
    expect(chanceAt[1]).toBeCloseTo((1 / 3 + 1 / 2) / 2, 12);
    expect(numQueries).toBe(7);
    const evaluator = new RetrievalEvaluator('retrieval', task);
    const numbers = await evaluator.evaluate(oracle());
    expect(Object.keys(numbers)).toEqual(evaluator.figures);
    expect(evaluator.figures).toContain('retrieval/chanceImageToTextR10');
    expect(numbers['retrieval/textToImageR1']).toBeCloseTo(2 / 3, 12);
    expect(numbers['retrieval/chanceTextToImageR1']).toBeCloseTo(5 / 12, 12);
    expect(numbers['retrieval/imageToTextR1']).toBe(0.5);
  });

  it('refuses an image without captions and an empty split', async () => {
    const captions = [['a cat'], [], ['an owl'], ['a dog'], ['a cat']];
    await expect(runRetrieval(oracle(), { ...task, captions })).rejects.toThrow(/has no text/);
    await expect(runRetrieval(oracle(), { ...task, ...images([]), captions: [] })).rejects.toThrow(
      /split is empty/,
    );
  });
});
