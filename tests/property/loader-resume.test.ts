import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import { type Batch, createLoader, type LoaderOptions } from '../../src/data/loader.js';
import type { Row } from '../../src/data/schema.js';
import { MemorySource, sampleRows } from '../support/memory-source.js';

let rows: Row[];

beforeAll(async () => {
  rows = await sampleRows(60);
});

const plan = fc.record({
  numRows: fc.integer({ min: 12, max: 60 }),
  batchSize: fc.integer({ min: 1, max: 12 }),
  seed: fc.nat(),
  broken: fc.uniqueArray(fc.nat({ max: 59 }), { maxLength: 5 }),
  silent: fc.uniqueArray(fc.nat({ max: 59 }), { maxLength: 5 }),
  maxBroken: fc.integer({ min: 0, max: 6 }),
  dropLast: fc.boolean(),
  shuffle: fc.boolean(),
  stops: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 3 }),
  /** Of the resumed loaders: none, room for some images, room for all. */
  cacheBytes: fc.constantFrom(0, 20_000, 500_000),
});

type Plan = typeof plan extends fc.Arbitrary<infer T> ? T : never;

function optionsOf({ numRows, batchSize, seed, broken, silent, dropLast, shuffle }: Plan): LoaderOptions {
  const used = rows.slice(0, numRows).map((row, i) => ({
    ...row,
    ...(broken.includes(i) ? { image: null } : {}),
    ...(silent.includes(i) ? { alt: '', ssc: null } : {}),
  }));
  return {
    source: new MemorySource(used),
    captions: { alt: 0.3, ssc: 0.7 },
    batchSize,
    imageSize: 4,
    contextLength: 8,
    seed,
    workers: 0,
    transform: 'train',
    maxSkipRatio: 1,
    dropLast,
    shuffle,
  };
}

/** Samples that can be used. */
function usableOf({ numRows, broken, silent }: Plan): Row[] {
  return rows.slice(0, numRows).filter((_, i) => !broken.includes(i) && !silent.includes(i));
}

/** Up to `count` batches, or those before the error and the error. */
async function collect(options: LoaderOptions, count: number) {
  const loader = await createLoader(options);
  const batches: Batch[] = [];
  let error: unknown;
  while (batches.length < count && error === undefined) {
    await loader.next().then(
      (batch) => batches.push(batch),
      (cause) => {
        error = cause;
      },
    );
  }
  const state = loader.state();
  await loader.close();
  return { batches, error, state };
}

it('a loader resumed at any batches gives the batches, and the error, of one that never stopped', async () => {
  let numFailed = 0;
  await fc.assert(
    fc.asyncProperty(plan, async (drawn) => {
      fc.pre(usableOf(drawn).length >= drawn.batchSize);
      const options = { ...optionsOf(drawn), maxSkipRatio: Math.min(1, drawn.maxBroken / drawn.numRows) };
      const total = drawn.stops.reduce((sum, stop) => sum + stop, 3);
      const expected = await collect(options, total);
      let resume: Pick<LoaderOptions, 'resumeFrom'> = {};
      let error: unknown;
      const resumed: Batch[] = [];
      for (const stop of [...drawn.stops, 3]) {
        const part = await collect({ ...options, ...resume, cacheBytes: drawn.cacheBytes }, stop);
        resumed.push(...part.batches);
        resume = { resumeFrom: JSON.parse(JSON.stringify(part.state)) };
        error = part.error;
        if (error !== undefined) break;
      }
      expect(resumed).toEqual(expected.batches);
      expect(error).toEqual(expected.error);
      if (error !== undefined) numFailed++;
    }),
    { numRuns: 60, seed: 1 },
  );
  expect(numFailed).toBeGreaterThan(5); // so that the property says something about errors
});

it('an epoch hands out each usable key once, batches of twice the size those of two', async () => {
  await fc.assert(
    fc.asyncProperty(plan, async (drawn) => {
      fc.pre(usableOf(drawn).length > 0);
      const options = { ...optionsOf(drawn), dropLast: false, epochs: 1 };
      const keysOf = async (batchSize: number): Promise<string[][]> => {
        const loader = await createLoader({ ...options, batchSize });
        const batches: string[][] = [];
        for await (const { keys } of loader) batches.push([...keys].sort());
        await loader.close();
        return batches;
      };
      const batches = await keysOf(drawn.batchSize);
      expect(batches.flat().sort()).toEqual(
        usableOf(drawn)
          .map(({ key }) => key as string)
          .sort(),
      );
      // Within a batch the order differs where a sample is broken, as its slot takes one from behind the batch.
      const pairs = batches.flatMap((keys, i) =>
        i % 2 === 0 ? [[...keys, ...(batches[i + 1] ?? [])].sort()] : [],
      );
      expect(await keysOf(2 * drawn.batchSize)).toEqual(pairs);
    }),
    { numRuns: 25 },
  );
});
