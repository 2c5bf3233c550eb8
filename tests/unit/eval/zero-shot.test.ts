import { describe, expect, it } from 'vitest';
import { ConfigError, DataError, NumericError } from '../../../src/errors.js';
import { buildClassEmbeddings, evaluateZeroShot } from '../../../src/eval/zero-shot.js';

const axes = new Float32Array([1, 0, 0, 0, 1, 0, 0, 0, 1]);
const classNames = ['cat', 'dog', 'owl'];

describe('buildClassEmbeddings', () => {
  it('averages the normalised prompt embeddings of a class and normalises again', async () => {
    const rows = [0.6, 0.8, 1, 0, 0, 1, 0, 1];
    const prompts: string[][] = [];
    const built = await buildClassEmbeddings(['cat', 'dog'], ['{}', 'a drawing of {}.'], 2, (texts) => {
      prompts.push([...texts]);
      return Promise.resolve(Float32Array.from(rows));
    });
    expect(prompts).toEqual([['cat', 'a drawing of cat.', 'dog', 'a drawing of dog.']]);
    const norm = Math.hypot(1.6, 0.8);
    expect(built[0]).toBeCloseTo(1.6 / norm, 6);
    expect(built[1]).toBeCloseTo(0.8 / norm, 6);
    expect([...built.slice(2)]).toEqual([0, 1]);
  });

  it('refuses no classes, no templates, and embeddings that cancel out', async () => {
    const embed = () => Promise.resolve(new Float32Array([1, 0, -1, 0]));
    await expect(buildClassEmbeddings([], ['{}'], 2, embed)).rejects.toThrow(ConfigError);
    await expect(buildClassEmbeddings(['cat'], [], 2, embed)).rejects.toThrow(/at least one prompt template/);
    await expect(buildClassEmbeddings(['cat'], ['{}', 'a {}'], 2, embed)).rejects.toThrow(NumericError);
  });
});

describe('evaluateZeroShot', () => {
  const input = {
    imageEmbeddings: new Float32Array([1, 0, 0, 0.6, 0.8, 0, 0.8, 0.6, 0, 0.8, 0.6, 0, 0, 0, 1]),
    classEmbeddings: axes,
    embedDim: 3,
    labels: [0, 1, 1, 1, 0],
    classNames,
  };

  it('counts top-1, per-class recall and confusions, and scales logits by 100', () => {
    const result = evaluateZeroShot(input);
    expect(result.top1).toBe(2 / 5);
    expect(result.top5).toBe(1);
    // cat: 1 of 2; dog: 1 of 3; owl has no image and does not count.
    expect(result.meanPerClassRecall).toBeCloseTo((1 / 2 + 1 / 3) / 2, 12);
    expect(result.confusions).toEqual([
      { actual: 'dog', predicted: 'cat', count: 2, share: 2 / 3 },
      { actual: 'cat', predicted: 'owl', count: 1, share: 1 / 2 },
    ]);
    expect(result.predictions[1]?.indices).toEqual([1, 0, 2]);
    expect(result.predictions[1]?.scores[0]).toBeCloseTo(80, 4);
    expect(result.chanceTop1).toBeCloseTo(1 / 3, 12);
    expect(result.chanceTop5).toBe(1);
    expect(result.top1Interval.low).toBeLessThan(0.4);
    expect(result.top1Interval.high).toBeGreaterThan(0.4);
  });

  it('keeps only as many confusions as asked for', () => {
    expect(evaluateZeroShot(input, 1).confusions).toHaveLength(1);
  });

  it('ranks the lower class first when logits are equal', () => {
    const result = evaluateZeroShot({
      ...input,
      imageEmbeddings: new Float32Array(15),
      labels: [0, 1, 2, 0, 1],
    });
    expect(result.predictions.map(({ indices }) => indices[0])).toEqual([0, 0, 0, 0, 0]);
  });

  it('refuses an empty split and labels that are no class', () => {
    expect(() => evaluateZeroShot({ ...input, labels: [], imageEmbeddings: new Float32Array() })).toThrow(
      DataError,
    );
    expect(() => evaluateZeroShot({ ...input, labels: [0, 1, 3, 1, 0] })).toThrow(/Image 2 has label 3/);
  });
});
