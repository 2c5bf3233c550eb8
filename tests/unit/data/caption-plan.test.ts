import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CaptionPlan, type CaptionSlot, type Mixing } from '../../../src/data/caption-plan.js';
import { noCarry, quotas } from '../../../src/data/mix-quota.js';
import { drawKind, kindBit, type MissingCaption, validateMix } from '../../../src/data/mixing.js';
import { type CaptionKind, captionKinds } from '../../../src/data/schema.js';

const SEED = 5;

/** Some kinds in some order, none twice. */
const kindLists = (minLength: number) => fc.shuffledSubarray([...captionKinds], { minLength });

const mixes = fc
  .array(fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }), { minLength: 5, maxLength: 5 })
  .filter((parts) => parts.some((part) => (part ?? 0) > 0))
  .map((parts) => {
    const sum = parts.reduce<number>((total, part) => total + (part ?? 0), 0);
    const shares = captionKinds.flatMap((kind, i) => {
      const part = parts[i];
      return part === undefined ? [] : [[kind, part / sum] as const];
    });
    return Object.fromEntries(shares) as Partial<Record<CaptionKind, number>>;
  });

const missings: fc.Arbitrary<MissingCaption> = fc.oneof(fc.constant('renormalise' as const), kindLists(1));

describe('CaptionPlan', () => {
  it.each<Mixing>(['sample', 'batch', 'fixed'])(
    '%s: hands out captions that the rows have, and counts those that stand in',
    (mixing) => {
      fc.assert(
        fc.property(
          mixes,
          missings,
          fc.array(kindLists(0), { minLength: 1, maxLength: 12 }),
          fc.nat(),
          (captions, missing, haves, epoch) => {
            const plan = new CaptionPlan(
              { captions, mixing, missing },
              [{ path: 'memory', columns: captionKinds }],
              SEED,
            );
            const mix = validateMix(captions);
            const weighty = mix.kinds.filter((_, i) => (mix.weights[i] as number) > 0);
            const listed = missing === 'renormalise' ? [] : missing;
            const usable = haves.filter((has) => has.some((kind) => plan.usable(0, 0) & kindBit(kind)));
            const allowed = [...weighty, ...listed];
            expect(usable).toEqual(haves.filter((has) => has.some((kind) => allowed.includes(kind))));
            const slots = usable.map((has, i): CaptionSlot => {
              const row = Object.fromEntries(has.map((kind) => [kind, `${kind} of ${i}`]));
              return {
                source: 0,
                present: plan.present(row),
                sample: { key: `k${i}`, epoch, source: 0, row },
              };
            });
            const chosen = plan.choose(slots, 0, { epoch, position: 0 }, plan.noCarries);
            const direct: Partial<Record<string, number>> = {};
            for (const [i, has] of usable.entries()) {
              const { kind, text, fallback } = chosen.captions[i]!;
              expect(has).toContain(kind);
              expect(text).toBe(`${kind} of ${i}`);
              const first = listed.find((other) => has.includes(other));
              if (!fallback) expect(weighty).toContain(kind);
              else if (first !== undefined) expect(kind).toBe(first);
              else expect(weighty).toContain(kind);
              if (!fallback) direct[kind] = (direct[kind] ?? 0) + 1;
              if (mixing === 'batch') continue;
              const drawn = drawKind(mix, SEED, mixing === 'fixed' ? undefined : epoch, `k${i}`);
              expect(fallback).toBe(!has.includes(drawn));
              if (!fallback) expect(kind).toBe(drawn);
            }
            if (mixing !== 'batch') return;
            // Whatever is more than a kind's count of the batch is another's stand-in.
            const counted = quotas(mix, usable.length, noCarry);
            for (const [i, kind] of captionKinds.entries()) {
              expect(direct[kind] ?? 0).toBeLessThanOrEqual(counted[i] as number);
            }
          },
        ),
        { numRuns: 500, seed: 6 },
      );
    },
  );

  it('takes no sample that has none of the kinds that it may get', () => {
    const plan = new CaptionPlan(
      { captions: { alt: 1 }, missing: ['ssc'] },
      [{ path: 'memory', columns: captionKinds }],
      SEED,
    );
    const slot = { source: 0, present: 0, sample: { key: 'k', epoch: 0, source: 0, row: { dsc: 'a' } } };
    expect(() => plan.choose([slot], 0, { epoch: 0, position: 0 }, plan.noCarries)).toThrow(
      'sample k has no caption that it may get',
    );
  });
});
