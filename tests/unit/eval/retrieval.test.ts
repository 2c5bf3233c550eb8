import { describe, expect, it } from 'vitest';
import { DataError, NumericError, ShapeError } from '../../../src/errors.js';
import { evaluateRetrieval } from '../../../src/eval/retrieval.js';
import { KeyedRandom } from '../../../src/rng.js';

/** Two-dimensional embeddings at the given angles in degrees. */
function atAngles(degrees: number[]): Float32Array {
  return Float32Array.from(
    degrees.flatMap((d) => [Math.cos((d * Math.PI) / 180), Math.sin((d * Math.PI) / 180)]),
  );
}

describe('evaluateRetrieval', () => {
  it('counts hits of a hand-made case, several captions an image', () => {
    // Images at 0, 40 and 90 degrees; a query is nearest to the image with the smallest angle to it.
    const result = evaluateRetrieval({
      imageEmbeddings: atAngles([0, 40, 90]),
      textEmbeddings: atAngles([5, 30, 38, 10, 80, 200]),
      embedDim: 2,
      textImageIndex: [0, 0, 1, 1, 2, 2],
      numImages: 3,
    });
    // Text at 30 is nearer to 40 than to 0; text at 10 is nearer to 0 than to 40.
    expect([...result.textToImage.ranks]).toEqual([1, 2, 1, 2, 1, 1]);
    expect(result.textToImage.recallAt).toEqual({ 1: 4 / 6, 5: 1, 10: 1 });
    expect(result.textToImage.medianRank).toBe(1);
    // Image 0: nearest text is its own at 5. Image 1 at 40: its own at 38. Image 2 at 90: its own at 80.
    expect([...result.imageToText.ranks]).toEqual([1, 1, 1]);
    expect(result.imageToText.recallAt[1]).toBe(1);
    expect(result).toMatchObject({ numImages: 3, numTexts: 6 });
    expect(result.textToImage).toMatchObject({ numQueries: 6, numCandidates: 3 });
  });

  it('gives one hit to an image whatever the number of its captions that are near', () => {
    const result = evaluateRetrieval({
      imageEmbeddings: atAngles([0, 90]),
      textEmbeddings: atAngles([0, 1, 2, 3, 45.5, 4]),
      embedDim: 2,
      textImageIndex: [0, 0, 0, 0, 1, 0],
      numImages: 2,
    });
    expect([...result.imageToText.ranks]).toEqual([1, 1]);
    expect(result.imageToText.chanceAt[1]).toBeCloseTo((5 / 6 + 1 / 6) / 2, 12);
    expect(result.textToImage.chanceAt[1]).toBe(0.5);
  });

  it('lets the lower index win ties, so that a collapsed model scores about chance', () => {
    const n = 20;
    const result = evaluateRetrieval({
      imageEmbeddings: atAngles(new Array(n).fill(10)),
      textEmbeddings: atAngles(new Array(n).fill(10)),
      embedDim: 2,
      textImageIndex: Array.from({ length: n }, (_, i) => i),
      numImages: n,
    });
    expect([...result.textToImage.ranks]).toEqual(Array.from({ length: n }, (_, i) => i + 1));
    expect(result.textToImage.recallAt[1]).toBe(1 / n);
    expect(result.imageToText.recallAt[5]).toBe(5 / n);
  });

  it('ranks as a full sort does over several blocks', () => {
    const random = new KeyedRandom('retrieval');
    const numImages = 300;
    const owners = Array.from({ length: 700 }, (_, t) => (t < numImages ? t : random.int(numImages)));
    const draw = (count: number) => Float32Array.from({ length: count * 3 }, () => random.int(9) - 4);
    const imageEmbeddings = draw(numImages);
    const textEmbeddings = draw(owners.length);
    const result = evaluateRetrieval({
      imageEmbeddings,
      textEmbeddings,
      embedDim: 3,
      textImageIndex: owners,
      numImages,
    });
    const score = (t: number, i: number) =>
      [0, 1, 2].reduce((sum, d) => sum + textEmbeddings[t * 3 + d]! * imageEmbeddings[i * 3 + d]!, 0);
    for (const t of [0, 255, 256, 511, 699]) {
      const order = Array.from({ length: numImages }, (_, i) => i).sort(
        (x, y) => score(t, y) - score(t, x) || x - y,
      );
      expect(result.textToImage.ranks[t]).toBe(order.indexOf(owners[t]!) + 1);
    }
    for (const i of [0, 150, 299]) {
      const order = owners.map((_, t) => t).sort((x, y) => score(y, i) - score(x, i) || x - y);
      expect(result.imageToText.ranks[i]).toBe(order.findIndex((t) => owners[t] === i) + 1);
    }
  });

  it('says what is wrong with its input', () => {
    const good = {
      imageEmbeddings: atAngles([0, 90]),
      textEmbeddings: atAngles([0, 90]),
      embedDim: 2,
      textImageIndex: [0, 1],
      numImages: 2,
    };
    expect(() => evaluateRetrieval({ ...good, textImageIndex: [0, 0] })).toThrow(/Image 1 .* no text/);
    expect(() => evaluateRetrieval({ ...good, textImageIndex: [0, 2] })).toThrow(DataError);
    expect(() => evaluateRetrieval({ ...good, embedDim: 3 })).toThrow(ShapeError);
    expect(() =>
      evaluateRetrieval({ ...good, textEmbeddings: new Float32Array([0, 1, Number.NaN, 0]) }),
    ).toThrow(NumericError);
    expect(() =>
      evaluateRetrieval({
        ...good,
        imageEmbeddings: new Float32Array(),
        textEmbeddings: new Float32Array(),
        textImageIndex: [],
        numImages: 0,
      }),
    ).toThrow(/gallery is empty/);
  });
});
