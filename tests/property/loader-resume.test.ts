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
  dropLast: fc.boolean(),
  shuffle: fc.boolean(),
  stops: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 3 }),
});

type Plan = typeof plan extends fc.Arbitrary<infer T> ? T : never;

function optionsOf({ numRows, batchSize, seed, broken, dropLast, shuffle }: Plan): LoaderOptions {
  const used = rows.slice(0, numRows).map((row, i) => (broken.includes(i) ? { ...row, image: null } : row));
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

async function collect(options: LoaderOptions, count: number) {
  const loader = await createLoader(options);
  const batches: Batch[] = [];
  while (batches.length < count) batches.push(await loader.next());
  const state = loader.state();
  await loader.close();
  return { batches, state };
}

it('a loader resumed at any batches gives the batches of one that never stopped', async () => {
  await fc.assert(
    fc.asyncProperty(plan, async (drawn) => {
      fc.pre(drawn.numRows - drawn.broken.length >= drawn.batchSize);
      const options = optionsOf(drawn);
      const total = drawn.stops.reduce((sum, stop) => sum + stop, 3);
      const { batches: expected } = await collect(options, total);
      let resume: Pick<LoaderOptions, 'resumeFrom'> = {};
      const resumed: Batch[] = [];
      for (const stop of [...drawn.stops, 3]) {
        const part = await collect({ ...options, ...resume }, stop);
        resumed.push(...part.batches);
        resume = { resumeFrom: JSON.parse(JSON.stringify(part.state)) };
      }
      expect(resumed).toEqual(expected);
    }),
    { numRuns: 25 },
  );
});

it('an epoch hands out each usable key once, in the same order for any batch size', async () => {
  await fc.assert(
    fc.asyncProperty(plan, async (drawn) => {
      fc.pre(drawn.numRows > drawn.broken.length);
      const options = { ...optionsOf(drawn), dropLast: false, epochs: 1 };
      const keysOf = async (batchSize: number): Promise<string[]> => {
        const loader = await createLoader({ ...options, batchSize });
        const keys: string[] = [];
        for await (const batch of loader) keys.push(...batch.keys);
        await loader.close();
        return keys;
      };
      const keys = await keysOf(drawn.batchSize);
      const usable = rows.slice(0, drawn.numRows).filter((_, i) => !drawn.broken.includes(i));
      expect([...keys].sort()).toEqual(usable.map(({ key }) => key as string).sort());
      expect(await keysOf(60)).toEqual(keys);
    }),
    { numRuns: 25 },
  );
});
