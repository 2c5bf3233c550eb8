import { expect, it } from 'vitest';
import { MixRecorder } from '../../../src/data/mix-stats.js';

const nothing = {
  samples: 0,
  ratios: {},
  fallbacks: 0,
  skips: {},
  noCaption: 0,
  tokens: { mean: 0, p50: 0, p95: 0, max: 0 },
  truncatedShare: 0,
};

it('sums up the last batch and its epoch', () => {
  const recorder = new MixRecorder();
  expect(recorder.stats()).toEqual({ epoch: 0, step: nothing, cumulative: nothing });
  recorder.record(
    {
      kinds: ['alt', 'ssc', 'alt', 'alt'],
      numTokens: Int32Array.of(10, 20, 30, 100),
      truncated: 1,
      skipped: [
        { key: 'a', reason: 'It has no image.' },
        { key: 'b', reason: 'The image is cut off.' },
        { key: 'c', reason: 'The image is cut off.' },
      ],
      noCaption: ['d', 'e', 'f'],
    },
    0,
    2,
  );
  const first = {
    samples: 4,
    ratios: { alt: 0.75, ssc: 0.25 },
    fallbacks: 2,
    skips: { 'It has no image.': 1, 'The image is cut off.': 2 },
    noCaption: 3,
    tokens: { mean: 40, p50: 20, p95: 100, max: 100 },
    truncatedShare: 0.25,
  };
  expect(recorder.stats()).toEqual({ epoch: 0, step: first, cumulative: first });

  const numTokens = Int32Array.of(5);
  const plain = { kinds: ['ssc'] as const, numTokens, truncated: 0, skipped: [], noCaption: [] };
  recorder.record(plain, 0, 0);
  const step = { ...nothing, samples: 1, ratios: { ssc: 1 }, tokens: { mean: 5, p50: 5, p95: 5, max: 5 } };
  expect(recorder.stats()).toEqual({
    epoch: 0,
    step,
    cumulative: {
      ...first,
      samples: 5,
      ratios: { alt: 0.6, ssc: 0.4 },
      tokens: { mean: 33, p50: 20, p95: 100, max: 100 },
      truncatedShare: 0.2,
    },
  });

  recorder.record(plain, 1, 0);
  expect(recorder.stats()).toEqual({ epoch: 1, step, cumulative: step });
});
