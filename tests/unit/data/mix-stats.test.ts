import { expect, it } from 'vitest';
import { type CountedBatch, MixRecorder, type SavedMix, summarize } from '../../../src/data/mix-stats.js';

const nothing = {
  samples: 0,
  ratios: {},
  sources: [],
  fallbacks: 0,
  skips: {},
  noCaption: 0,
  tokens: { mean: 0, p50: 0, p95: 0, max: 0 },
  truncatedShare: 0,
  truncatedByKind: {},
  diversity: {},
  duplicateCaptions: 0,
  duplicateKeys: 0,
  exact: true,
};

const [START, END] = [100, 101];

/** Texts of tokens; their words are their tokens. */
function batchOf(texts: readonly (readonly number[])[], more: Partial<CountedBatch> = {}): CountedBatch {
  const contextLength = 6;
  const tokens = new Int32Array(texts.length * contextLength);
  for (const [i, text] of texts.entries()) {
    tokens.set([START, ...text.slice(0, contextLength - 2), END], i * contextLength);
  }
  return {
    keys: texts.map((_, i) => `k${i}`),
    kinds: texts.map(() => 'alt' as const),
    sources: texts.map(() => 0),
    captions: texts.map((text) => text.join(' ')),
    tokens,
    contextLength,
    numTokens: Int32Array.from(texts, (text) => text.length + 2),
    frame: { before: 1, after: 1 },
    truncated: 0,
    fallbacks: 0,
    skipped: [],
    noCaption: [],
    ...more,
  };
}

it('sums up the last batch and its epoch', () => {
  const recorder = new MixRecorder();
  expect(recorder.stats()).toEqual({ epoch: 0, step: nothing, cumulative: nothing });
  recorder.record(
    batchOf(
      [
        [1, 2],
        [3, 3, 3],
        [1, 2],
        [4, 5, 6, 7, 8, 9],
      ],
      {
        kinds: ['alt', 'ssc', 'alt', 'alt'],
        sources: [0, 0, 2, 0],
        truncated: 1,
        fallbacks: 2,
        skipped: [
          { key: 'a', reason: 'It has no image.' },
          { key: 'b', reason: 'The image is cut off.' },
          { key: 'c', reason: 'The image is cut off.' },
        ],
        noCaption: ['d', 'e', 'f'],
      },
    ),
    0,
  );
  const first = {
    samples: 4,
    ratios: { alt: 0.75, ssc: 0.25 },
    sources: [0.75, 0, 0.25],
    fallbacks: 2,
    skips: { 'It has no image.': 1, 'The image is cut off.': 2 },
    noCaption: 3,
    tokens: { mean: 5.25, p50: 4, p95: 8, max: 8 },
    truncatedShare: 0.25,
    truncatedByKind: { alt: 1 / 3, ssc: 0 },
    diversity: {
      // 1 2, 1 2 and, cut to the context, 4 5 6 7.
      alt: { vocabulary: 6, distinct1: 6 / 8, distinct2: 4 / 5 },
      ssc: { vocabulary: 1, distinct1: 1 / 3, distinct2: 1 / 2 },
    },
    duplicateCaptions: 0.25,
    duplicateKeys: 0,
    exact: true,
  };
  expect(recorder.stats()).toEqual({ epoch: 0, step: first, cumulative: first });

  const plain = batchOf([[1, 2]], { kinds: ['ssc'] });
  recorder.record(plain, 0);
  const step = {
    ...nothing,
    samples: 1,
    ratios: { ssc: 1 },
    sources: [1],
    tokens: { mean: 4, p50: 4, p95: 4, max: 4 },
    truncatedByKind: { ssc: 0 },
    diversity: { ssc: { vocabulary: 2, distinct1: 1, distinct2: 1 } },
  };
  expect(recorder.stats()).toEqual({
    epoch: 0,
    step,
    cumulative: {
      ...first,
      samples: 5,
      ratios: { alt: 0.6, ssc: 0.4 },
      sources: [0.8, 0, 0.2],
      tokens: { mean: 5, p50: 4, p95: 8, max: 8 },
      truncatedShare: 0.2,
      truncatedByKind: { alt: 1 / 3, ssc: 0 },
      diversity: { ...first.diversity, ssc: { vocabulary: 3, distinct1: 3 / 5, distinct2: 2 / 3 } },
      duplicateCaptions: 0.4, // the text of another kind's sample, too
      duplicateKeys: 0.2,
    },
  });

  recorder.record(plain, 1);
  expect(recorder.stats()).toMatchObject({
    epoch: 1,
    step,
    cumulative: step,
    previous: { epoch: 0, summary: { samples: 5 } },
  });
});

it('takes the key of another source for another sample, and empty captions for no repeats', () => {
  const recorder = new MixRecorder();
  recorder.record(
    batchOf([[], [], [1]], { keys: ['a', 'a', 'a'], sources: [0, 1, 1], captions: ['', '', 'b'] }),
    0,
  );
  expect(recorder.stats().step).toMatchObject({ duplicateKeys: 1 / 3, duplicateCaptions: 0 });
});

it('goes on from what was saved, exact or not, as if it had not stopped', () => {
  const whole = new MixRecorder();
  const batches = Array.from({ length: 12 }, (_, n) => {
    const texts = Array.from({ length: 4 }, (_, i) => [n, i, n * i]);
    // So many keys that a sketch counts them.
    const keys = Array.from({ length: n === 5 ? 70_000 : 4 }, (_, i) => `${n} ${i}`);
    const rows = Array.from(keys, (_, i) => texts[i % 4] as number[]);
    return batchOf(rows, { keys, skipped: [{ key: 'a', reason: 'It has no image.' }], noCaption: ['d'] });
  });
  for (const [n, batch] of batches.entries()) whole.record(batch, n < 8 ? 3 : 4);
  for (const stop of [1, 5, 6, 8, 11]) {
    const before = new MixRecorder();
    for (const [n, batch] of batches.slice(0, stop).entries()) before.record(batch, n < 8 ? 3 : 4);
    const after = new MixRecorder(JSON.parse(JSON.stringify(before.save())) as SavedMix);
    expect({ ...after.stats(), step: null, previous: null }).toEqual({
      ...before.stats(),
      step: null,
      previous: null,
    });
    for (const [n, batch] of batches.entries()) if (n >= stop) after.record(batch, n < 8 ? 3 : 4);
    expect(after.stats().cumulative).toEqual(whole.stats().cumulative);
    if (stop <= 8) expect(after.stats().previous).toEqual(whole.stats().previous);
  }
});

it('counts the first word where a tokenizer puts nothing before a text', () => {
  const batch: CountedBatch = {
    ...batchOf([[], []]),
    // 7 8 9 and what ends it, 7 8 and what ends it.
    tokens: Int32Array.of(7, 8, 9, END, 0, 0, 7, 8, END, 0, 0, 0),
    numTokens: Int32Array.of(4, 3),
    frame: { before: 0, after: 1 },
  };
  expect(summarize(batch).diversity.alt).toEqual({ vocabulary: 3, distinct1: 3 / 5, distinct2: 2 / 3 });
  // Three tokens before a text that has none of its own.
  const empty = { ...batch, numTokens: Int32Array.of(4, 4), frame: { before: 3, after: 1 } };
  expect(summarize(empty).diversity.alt).toEqual({ vocabulary: 0, distinct1: 0, distinct2: 0 });
});
