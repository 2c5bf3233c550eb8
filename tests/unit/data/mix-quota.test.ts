import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assignKinds, type Carry, noCarry, quotas } from '../../../src/data/mix-quota.js';
import { kindBit, type ValidMix, validateMix } from '../../../src/data/mixing.js';
import { type CaptionKind, captionKinds } from '../../../src/data/schema.js';
import { KeyedRandom } from '../../../src/rng.js';

const bits = (...kinds: CaptionKind[]): number => kinds.reduce((all, kind) => all | kindBit(kind), 0);
const everything = bits(...captionKinds);

const countOf = (kinds: readonly CaptionKind[]): number[] =>
  captionKinds.map((kind) => kinds.filter((other) => other === kind).length);

const mixes = fc
  .array(fc.integer({ min: 0, max: 50 }), { minLength: 5, maxLength: 5 })
  .filter((parts) => parts.some((part) => part > 0))
  .map((parts): ValidMix => {
    const sum = parts.reduce((a, b) => a + b, 0);
    return { kinds: captionKinds, weights: parts.map((part) => part / sum) };
  });

describe('quotas', () => {
  it('stay within one sample of the mix after every batch of any size', () => {
    fc.assert(
      fc.property(mixes, fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 40 }), (mix, sizes) => {
        const given = captionKinds.map(() => 0);
        let carry: Carry = noCarry;
        let total = 0;
        for (const size of sizes) {
          const slots = Array.from({ length: size }, () => ({ present: everything, standIn: undefined }));
          const result = assignKinds(mix, slots, carry, new KeyedRandom(total));
          carry = result.carry;
          total += size;
          for (const [i, count] of countOf(result.kinds).entries()) {
            given[i] = (given[i] as number) + count;
            expect(Math.abs((given[i] as number) - total * (mix.weights[i] as number))).toBeLessThan(
              1 + 1e-6,
            );
          }
        }
      }),
      { numRuns: 500, seed: 4 },
    );
  });

  it('are whole numbers of the mix where they can be', () => {
    expect(quotas(validateMix({ alt: 0.25, ssc: 0.25, dsc: 0.5 }), 8, noCarry)).toEqual([2, 2, 4, 0, 0]);
    expect(quotas(validateMix({ alt: 1, ssc: 0 }), 3, noCarry)).toEqual([3, 0, 0, 0, 0]);
  });
});

describe('assignKinds', () => {
  const half = validateMix({ alt: 0.5, ssc: 0.5 });

  it('permutes which slot gets which kind', () => {
    const slots = Array.from({ length: 20 }, () => ({ present: everything, standIn: undefined }));
    const [a, b] = [1, 2].map((key) => assignKinds(half, slots, noCarry, new KeyedRandom(key)).kinds);
    expect(a).not.toEqual(b);
    expect(countOf(a as CaptionKind[])).toEqual([10, 10, 0, 0, 0]);
  });

  it('changes kinds between samples so that each has one of its own, by chains where it must', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 3, max: 30 }), (seed, size) => {
        // Some assignment is possible: the samples are made from one, and have a kind or two more.
        const random = new KeyedRandom('kinds', seed);
        const mix = validateMix({ alt: 0.25, ssc: 0.25, dsc: 0.25, 'dsc+': 0.25 });
        const hidden = quotas(mix, size, noCarry).flatMap((n, i) =>
          Array<CaptionKind>(n).fill(captionKinds[i]!),
        );
        const slots = random.shuffle(hidden).map((kind) => ({
          present: bits(kind, captionKinds[random.int(4)]!),
          standIn: kind,
        }));
        const { kinds, fallbacks } = assignKinds(mix, slots, noCarry, random);
        expect(fallbacks.some(Boolean)).toBe(false);
        for (const [i, kind] of kinds.entries()) expect(slots[i]!.present & kindBit(kind)).not.toBe(0);
        expect(countOf(kinds)).toEqual(quotas(mix, size, noCarry));
      }),
      { numRuns: 500, seed: 1 },
    );
  });

  it('falls back where it cannot, counts it, and makes up for it later', () => {
    const poor = Array.from({ length: 10 }, (_, i) => ({
      present: i < 8 ? bits('ssc') : everything,
      standIn: 'ssc' as const,
    }));
    const first = assignKinds(half, poor, noCarry, new KeyedRandom(1));
    expect(countOf(first.kinds)).toEqual([2, 8, 0, 0, 0]);
    expect(first.fallbacks.filter(Boolean)).toHaveLength(3);
    expect(first.carry.slice(0, 2)).toEqual([3, -3]);
    const rich = poor.map(() => ({ present: everything, standIn: 'ssc' as const }));
    expect(countOf(assignKinds(half, rich, first.carry, new KeyedRandom(2)).kinds)).toEqual([8, 2, 0, 0, 0]);
  });

  it('owes no more than a batch, however long a kind is missing', () => {
    const slots = Array.from({ length: 6 }, () => ({ present: bits('ssc'), standIn: 'ssc' as const }));
    let carry: Carry = noCarry;
    for (let batch = 0; batch < 50; batch++)
      ({ carry } = assignKinds(half, slots, carry, new KeyedRandom(batch)));
    expect(carry.slice(0, 2)).toEqual([6, -6]);
  });
});
