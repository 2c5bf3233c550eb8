import { describe, expect, it } from 'vitest';
import { drawCaption, type ValidMix, validateMix } from '../../../src/data/mixing.js';
import { ConfigError } from '../../../src/errors.js';

const row = { alt: 'an alt', ssc: 'a short one', dsc: 'a descriptive one' };

const countKinds = (mix: ValidMix, numSamples: number, of: Record<string, string | null> = row) => {
  const counts: Record<string, number> = {};
  let fallbacks = 0;
  for (let i = 0; i < numSamples; i++) {
    const drawn = drawCaption(mix, of, { seed: 7, epoch: 0, key: `key-${i}` });
    if (drawn === undefined) continue;
    counts[drawn.kind] = (counts[drawn.kind] ?? 0) + 1;
    if (drawn.fallback) fallbacks++;
  }
  return { counts, fallbacks };
};

const within = (count: number, n: number, p: number): void =>
  expect(Math.abs(count - n * p)).toBeLessThan(3.5 * Math.sqrt(n * p * (1 - p)));

describe('validateMix', () => {
  it('orders kinds and keeps their weights', () => {
    expect(validateMix({ ssc: 0.25, alt: 0.75 })).toEqual({ kinds: ['alt', 'ssc'], weights: [0.75, 0.25] });
    expect(validateMix({ alt: 1 / 3, ssc: 1 / 3, 'dsc+': 1 / 3 }).kinds).toHaveLength(3);
  });

  it.each([
    [{ altt: 1 }, /captions\.altt: no such caption kind; did you mean 'alt'\? The kinds are alt, ssc/],
    [{ 'dsc-': 1 }, /did you mean 'dsc'/],
    [{ recaptioned: 1 }, /captions\.recaptioned: no such caption kind\. The kinds are/],
    [{ alt: 0.5, ssc: 0.4 }, /captions \{alt: 0\.5, ssc: 0\.4\} must sum to 1, but sum to 0\.9\./],
    [{ alt: 1.5, ssc: -0.5 }, /captions\.ssc must be a number from 0 to 1, found -0\.5/],
    [{ alt: Number.NaN }, /captions\.alt must be a number from 0 to 1, found NaN/],
    [{}, /captions is empty/],
  ])('refuses %o', (captions, message) => {
    const check = () => validateMix(captions);
    expect(check).toThrow(ConfigError);
    expect(check).toThrow(message);
  });

  it('names a column that is not there and those that are', () => {
    expect(() => validateMix({ alt: 0.5, dsc: 0.5 }, ['key', 'image', 'alt'], 'train.arrow')).toThrow(
      "captions.dsc: train.arrow has no column 'dsc'. Its columns are key, image, alt.",
    );
    expect(() => validateMix({ alt: 1 }, ['key', 'image', 'Alt_Text', 'altt'])).toThrow(
      "captions.alt: the data set has no column 'alt'; the nearest is 'altt'. Its columns are key, image, Alt_Text, altt.",
    );
  });
});

describe('drawCaption', () => {
  it('draws kinds in proportion to their weights', () => {
    const { counts, fallbacks } = countKinds(validateMix({ alt: 0.2, ssc: 0.5, dsc: 0.3 }), 20_000);
    within(counts.alt as number, 20_000, 0.2);
    within(counts.ssc as number, 20_000, 0.5);
    within(counts.dsc as number, 20_000, 0.3);
    expect(fallbacks).toBe(0);
  });

  it('never draws a kind of weight 0', () => {
    expect(countKinds(validateMix({ alt: 0, ssc: 1, dsc: 0 }), 1000).counts).toEqual({ ssc: 1000 });
    const noSsc = { ...row, ssc: '' };
    expect(countKinds(validateMix({ alt: 0, ssc: 1, dsc: 0 }), 100, noSsc).counts).toEqual({});
  });

  it('is a function of seed, epoch and key', () => {
    const mix = validateMix({ alt: 0.5, ssc: 0.5 });
    const kinds = (seed: number, epoch: number) =>
      Array.from(
        { length: 64 },
        (_, i) => drawCaption(mix, row, { seed: seed, epoch: epoch, key: `k${i}` })?.kind,
      );
    expect(kinds(1, 2)).toEqual(kinds(1, 2));
    expect(kinds(1, 3)).not.toEqual(kinds(1, 2));
    expect(kinds(2, 2)).not.toEqual(kinds(1, 2));
  });

  it('gives the share of a missing caption to the others, and counts it', () => {
    const mix = validateMix({ alt: 0.2, ssc: 0.5, dsc: 0.3 });
    for (const missing of ['', '  ', null]) {
      const { counts, fallbacks } = countKinds(mix, 20_000, { ...row, ssc: missing });
      expect(counts.ssc).toBeUndefined();
      within(counts.alt as number, 20_000, 0.4);
      within(counts.dsc as number, 20_000, 0.6);
      within(fallbacks, 20_000, 0.5);
    }
  });

  it('leaves the other samples as they are when a caption is missing', () => {
    const mix = validateMix({ alt: 0.2, ssc: 0.5, dsc: 0.3 });
    for (let i = 0; i < 500; i++) {
      const whole = drawCaption(mix, row, { seed: 0, epoch: 0, key: `k${i}` });
      const poorer = drawCaption(mix, { ...row, ssc: null }, { seed: 0, epoch: 0, key: `k${i}` });
      if (whole?.kind !== 'ssc') expect(poorer).toEqual(whole);
    }
  });

  it('finds nothing where there is nothing', () => {
    const mix = validateMix({ alt: 0.5, ssc: 0.5 });
    expect(
      drawCaption(mix, { alt: null, ssc: ' ', dsc: 'not in the mix' }, { seed: 0, epoch: 0, key: 'k' }),
    ).toBeUndefined();
  });

  it('takes each of several captions of a kind', () => {
    const mix = validateMix({ alt: 1 });
    const several = { alt: ['one', '', 'two', 'three'] };
    const texts = Array.from(
      { length: 3000 },
      (_, i) => drawCaption(mix, several, { seed: 0, epoch: 0, key: `k${i}` })?.text,
    );
    for (const text of ['one', 'two', 'three']) within(texts.filter((t) => t === text).length, 3000, 1 / 3);
  });
});
