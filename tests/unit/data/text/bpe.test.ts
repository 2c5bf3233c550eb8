import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type MergeLookup, mergePairs, pairKey } from '../../../../src/data/text/bpe.js';

// Merges over the letters 0 to 3: 4 = (0,1), 5 = (2,2), 6 = (4,0), 7 = (4,4), 8 = (0,0).
const table: MergeLookup = new Map([
  [pairKey(0, 1), 4],
  [pairKey(2, 2), 5],
  [pairKey(4, 0), 6],
  [pairKey(4, 4), 7],
  [pairKey(0, 0), 8],
]);

/** The definition: round by round, the best pair at every place from the left. */
function roundByRound(ids: number[], merges: MergeLookup): number[] {
  let word = ids;
  for (;;) {
    const ranks = word
      .slice(1)
      .map((right, i) => merges.get(pairKey(word[i] as number, right)) ?? Number.POSITIVE_INFINITY);
    const best = Math.min(...ranks);
    if (best === Number.POSITIVE_INFINITY) return word;
    const out: number[] = [];
    for (let i = 0; i < word.length; i++) {
      const pair = i + 1 < word.length ? pairKey(word[i] as number, word[i + 1] as number) : -1;
      if (merges.get(pair) === best) i++;
      out.push(merges.get(pair) === best ? best : (word[i] as number));
    }
    word = out;
  }
}

const merge = (ids: number[], merges = table): number[] => [...mergePairs(Uint16Array.from(ids), merges)];

/** Random merges of three letters: each of a pair of letters or earlier merges. */
const randomMerges = fc
  .array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 12 })
  .map((pairs): MergeLookup => {
    const merges = new Map<number, number>();
    for (const [left, right] of pairs) {
      const known = 3 + merges.size;
      const key = pairKey(left % known, right % known);
      if (!merges.has(key)) merges.set(key, known);
    }
    return merges;
  });

/** Words in which stretches repeat, so that equal pairs overlap: "aaaa", "abababa". */
const repetitive = fc
  .array(
    fc.tuple(fc.array(fc.nat({ max: 2 }), { minLength: 1, maxLength: 3 }), fc.integer({ min: 1, max: 9 })),
    {
      minLength: 1,
      maxLength: 6,
    },
  )
  .map((stretches) => stretches.flatMap(([ids, times]) => Array.from({ length: times }, () => ids).flat()));

describe('mergePairs', () => {
  it('merges by rank, then from the left', () => {
    expect(merge([0, 0, 1])).toEqual([0, 4]);
    expect(merge([0, 1, 0, 1])).toEqual([7]);
    expect(merge([0, 1, 0, 0])).toEqual([6, 0]);
    expect(merge([2, 2, 2])).toEqual([5, 2]);
    expect(merge([2, 2, 2, 2])).toEqual([5, 5]);
    expect(merge([3])).toEqual([3]);
    expect(merge([3, 1, 3])).toEqual([3, 1, 3]);
  });

  it('equals the definition for any word', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 40 }), (ids) => {
        expect(merge(ids)).toEqual(roundByRound(ids, table));
      }),
      { numRuns: 500, seed: 1 },
    );
  });

  it('equals the definition for words that repeat themselves, by any merges', () => {
    fc.assert(
      fc.property(repetitive, randomMerges, (ids, merges) => {
        expect(merge(ids, merges)).toEqual(roundByRound(ids, merges));
      }),
      { numRuns: 1000, seed: 2 },
    );
  });
});
