import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Interleave, type Place } from '../../../../src/data/order/interleave.js';

const placesOf = (of: Interleave, epoch: number): Place[] =>
  Array.from({ length: of.epochLength }, (_, position) => of.locate(epoch, position));

describe('Interleave', () => {
  it('is the position itself for one source', () => {
    const one = new Interleave({ seed: 0, numRows: [9], shuffle: true });
    expect(one.locate(2, 5)).toEqual({ source: 0, epoch: 2, position: 5 });
    expect(one.placesAt(2, 5)).toEqual([{ source: 0, epoch: 2, position: 5 }]);
  });

  it('without weights visits every sample of every source once an epoch', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 2, maxLength: 5 }),
        fc.nat({ max: 5 }),
        fc.nat(),
        (numRows, epoch, seed) => {
          const places = placesOf(new Interleave({ seed, numRows, shuffle: true }), epoch);
          for (const [source, rows] of numRows.entries()) {
            const own = places.filter((place) => place.source === source);
            expect(own).toEqual(Array.from({ length: rows }, (_, position) => ({ source, epoch, position })));
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('keeps the weights at every position, and runs each source through epochs of its own', () => {
    const numRows = [7, 300, 1000];
    const weights = [0.2, 0.5, 0.3];
    const mixed = new Interleave({ seed: 3, numRows, weights: weights.map((w) => 4 * w), shuffle: true });
    const seen: number[][] = [[], [], []];
    for (let epoch = 0; epoch < 3; epoch++) {
      for (const { source, epoch: own, position } of placesOf(mixed, epoch)) {
        seen[source]?.push(own * (numRows[source] as number) + position);
      }
    }
    for (const [source, counts] of seen.entries()) {
      expect(counts).toEqual(counts.map((_, i) => i)); // none left out, none twice
      expect(Math.abs(counts.length - 3 * 1307 * (weights[source] as number))).toBeLessThan(2);
    }
  });

  it('gives every batch its share', () => {
    const mixed = new Interleave({ seed: 3, numRows: [5000, 5000], weights: [1, 3], shuffle: true });
    const first = placesOf(mixed, 0).map(({ source }) => Number(source === 0));
    for (let at = 0; at + 256 <= 10_000; at += 100) {
      const share = first.slice(at, at + 256).reduce((sum, one) => sum + one, 0);
      expect(Math.abs(share - 64)).toBeLessThan(14); // ends cut two blocks of 64, each of which holds 16
    }
    for (let at = 0; at + 64 <= 9984; at += 64) {
      expect(first.slice(at, at + 64).reduce((sum, one) => sum + one, 0)).toBe(16);
    }
  });

  it.each([true, false])('says where each source stands at any position, shuffled %s', (shuffle) => {
    for (const weights of [undefined, [1, 2, 5]]) {
      const mixed = new Interleave({ seed: 3, numRows: [40, 100, 7], weights, shuffle });
      const next = [0, 0, 0];
      for (const epoch of [0, 1]) {
        for (let position = 0; position <= mixed.epochLength; position++) {
          const found = mixed.placesAt(epoch, position);
          expect(found.map((place, s) => place.epoch * ([40, 100, 7][s] as number) + place.position)).toEqual(
            next,
          );
          if (position === mixed.epochLength) continue;
          const { source } = mixed.locate(epoch, position);
          next[source] = (next[source] as number) + 1;
        }
      }
    }
  });

  it('counts what each source gave', () => {
    const mixed = new Interleave({ seed: 3, numRows: [40, 500], weights: [1, 1], shuffle: true });
    const counts = [0, 0];
    for (let position = 0; position < 540; position++) {
      if (position % 64 === 0) expect(mixed.countsBefore(0, position)).toEqual(counts);
      const { source } = mixed.locate(0, position);
      counts[source] = (counts[source] as number) + 1;
    }
    expect(mixed.placesAt(1, 0)).toEqual([
      { source: 0, epoch: 6, position: 30 },
      { source: 1, epoch: 0, position: 270 },
    ]);
  });
});
