/**
 * Whatever the number of workers and ranks, the size of windows, shards and batches, and wherever a run stops: every
 * sample once per epoch, and the same batches. Decoding is faked, so that thousands of runs take seconds.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Mixing } from '../../src/data/caption-plan.js';
import { type Batch, createLoader, type LoaderOptions, type LoaderState } from '../../src/data/loader.js';
import { localRanks } from '../../src/data/order/exchange.js';
import type { Row } from '../../src/data/schema.js';
import { BROKEN, fakeDecoder } from '../support/fake-decoder.js';
import { MemorySource } from '../support/memory-source.js';

/** A source whose rows are read in pieces, so that windows of them are read ahead. */
class ShardedRows extends MemorySource {
  override readonly shardRows: readonly number[];
  readonly rowBytes: number | undefined;

  constructor(rows: readonly Row[], shardRows: readonly number[], fingerprint: string, inPieces: boolean) {
    super(rows, fingerprint);
    this.shardRows = shardRows;
    this.rowBytes = inPieces ? 1e9 : undefined;
  }
}

const sourcePlan = fc.record({
  shards: fc.array(fc.integer({ min: 0, max: 14 }), { minLength: 1, maxLength: 5 }),
  inPieces: fc.boolean(),
  weight: fc.integer({ min: 1, max: 4 }),
  broken: fc.uniqueArray(fc.nat({ max: 60 }), { maxLength: 4 }),
  silent: fc.uniqueArray(fc.nat({ max: 60 }), { maxLength: 4 }),
  noAlt: fc.uniqueArray(fc.nat({ max: 60 }), { maxLength: 20 }),
});

/** How a part of a run is run. */
const machine = fc.record({
  ranksLog2: fc.nat({ max: 2 }),
  capacity: fc.integer({ min: 1, max: 9 }),
  prefetch: fc.integer({ min: 1, max: 5 }),
});

const plan = fc.record({
  seed: fc.nat(),
  sources: fc.array(sourcePlan, { minLength: 1, maxLength: 3 }),
  weighted: fc.boolean(),
  window: fc.integer({ min: 1, max: 40 }),
  batch: fc.integer({ min: 1, max: 4 }),
  mixing: fc.constantFrom<Mixing>('sample', 'batch', 'fixed'),
  shuffle: fc.boolean(),
  scheduled: fc.boolean(),
  machines: fc.array(machine, { minLength: 2, maxLength: 3 }),
  stops: fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 2, maxLength: 2 }),
});

type Plan = typeof plan extends fc.Arbitrary<infer T> ? T : never;
type Machine = Plan['machines'][number];

const sizeOf = ({ shards }: Plan['sources'][number]): number => shards.reduce((sum, rows) => sum + rows, 0);

function open({
  sources,
  weighted,
  scheduled,
  ...rest
}: Plan): Omit<LoaderOptions, 'sources'> & { sources: { source: ShardedRows }[] } {
  return {
    sources: sources.map((of, s) => {
      const rows = Array.from({ length: sizeOf(of) }, (_, i): Row => {
        const silent = of.silent.includes(i);
        return {
          key: `s${s}-${i}`,
          image: of.broken.includes(i) ? BROKEN : Uint8Array.of(1, i),
          alt: silent || of.noAlt.includes(i) ? null : `alt ${i}`,
          ssc: silent ? '' : `ssc ${i}`,
        };
      });
      const source = new ShardedRows(rows, of.shards, `source ${s}`, of.inPieces);
      return weighted ? { source, weight: of.weight } : { source };
    }),
    captions: { alt: 0.3, ssc: 0.7 },
    ...(scheduled
      ? {
          mixSchedule: {
            interpolation: 'linear' as const,
            points: [{ step: 9, captions: { alt: 0.8, ssc: 0.2 } }],
          },
        }
      : {}),
    mixing: rest.mixing,
    batchSize: 4 * rest.batch, // for up to four ranks
    imageSize: 1,
    contextLength: 2,
    seed: rest.seed,
    transform: 'train',
    shuffle: rest.shuffle,
    shuffleBuffer: rest.window,
    maxSkipRatio: 1,
  };
}

/** What a batch is, of all ranks together. */
const contentOf = (parts: readonly Batch[]) => ({
  epoch: parts[0]?.epoch,
  position: parts[0]?.indexInEpoch,
  keys: parts.flatMap(({ keys }) => keys),
  sources: parts.flatMap(({ sources }) => sources),
  kinds: parts.flatMap(({ kinds }) => kinds),
  captions: parts.flatMap(({ captions }) => captions),
  skipped: parts.flatMap(({ skipped }) => skipped.map(({ key }) => key)).sort(),
  noCaption: parts.flatMap(({ noCaption }) => noCaption).sort(),
});

type Content = ReturnType<typeof contentOf>;

/** Runs some batches on a machine, and says where all of its ranks stand. */
async function run(
  drawn: Plan,
  { ranksLog2, capacity, prefetch }: Machine,
  count: number,
  resumeFrom?: LoaderState,
): Promise<{ contents: Content[]; state: LoaderState; reads: number }> {
  const opened: ReturnType<typeof open>[] = [];
  const loaders = await Promise.all(
    localRanks(2 ** ranksLog2).map((ranks) => {
      const options = open(drawn);
      opened.push(options);
      return createLoader(
        { ...options, ranks, prefetch, ...(resumeFrom ? { resumeFrom } : {}) },
        fakeDecoder(capacity),
      );
    }),
  );
  const contents: Content[] = [];
  for (let i = 0; i < count; i++) {
    contents.push(contentOf(await Promise.all(loaders.map((loader) => loader.next()))));
  }
  const states = loaders.map((loader) => loader.state());
  for (const state of states) expect(state).toEqual(states[0]);
  await Promise.all(loaders.map((loader) => loader.close()));
  const reads = opened.flatMap(({ sources }) => sources).reduce((sum, { source }) => sum + source.numRead, 0);
  return { contents, state: JSON.parse(JSON.stringify(states[0])), reads };
}

/** Whether every epoch fills a batch. */
function isUsable({ sources, weighted, batch }: Plan): boolean {
  if (sources.some((of) => sizeOf(of) === 0)) return false;
  const usable = sources.map((of) => {
    const bad = new Set([...of.broken, ...of.silent].filter((row) => row < sizeOf(of)));
    return sizeOf(of) - bad.size;
  });
  if (weighted)
    return usable.every(
      (count, s) => count === sizeOf(sources[s] as Plan['sources'][number]) && count >= 4 * batch,
    );
  return usable.reduce((a, b) => a + b, 0) >= 4 * batch;
}

/** Where one worker reads rows ahead of batches that pass them before they are there. */
const RELEASED_WHILE_READ: Plan = {
  seed: 2147483644,
  sources: [
    { shards: [8, 6, 11, 12, 4], broken: [39, 56], silent: [59], noAlt: [56], inPieces: true, weight: 4 },
    {
      shards: [1, 0, 0, 9, 4],
      broken: [],
      silent: [],
      noAlt: [31, 23, 25, 58, 36],
      inPieces: true,
      weight: 1,
    },
    { shards: [12], broken: [40, 28, 48], silent: [59], noAlt: [7, 2, 48, 43], inPieces: false, weight: 2 },
  ],
  weighted: false,
  window: 2,
  batch: 2,
  mixing: 'batch',
  shuffle: false,
  scheduled: true,
  machines: [
    { ranksLog2: 1, capacity: 3, prefetch: 2 },
    { ranksLog2: 2, capacity: 3, prefetch: 4 },
    { ranksLog2: 0, capacity: 1, prefetch: 4 },
  ],
  stops: [1, 5],
};

describe('a run', () => {
  it('has the same batches on any machine, stopped and continued on any other', async () => {
    await fc.assert(
      fc.asyncProperty(plan, async (drawn) => {
        fc.pre(isUsable(drawn));
        const [first, ...later] = drawn.machines as [Machine, ...Machine[]];
        const total = drawn.stops.reduce((sum, stop) => sum + stop, 4);
        const { contents: expected } = await run(drawn, first, total);
        const found: Content[] = [];
        let state: LoaderState | undefined;
        const parts = [...drawn.stops, 4].filter((count) => count > 0);
        for (const [i, count] of parts.entries()) {
          const part = await run(drawn, later[i % later.length] as Machine, count, state);
          found.push(...part.contents);
          state = part.state;
        }
        expect(found).toEqual(expected);
      }),
      { numRuns: 800, seed: 7, examples: [[RELEASED_WHILE_READ]] },
    );
  });

  it('visits every sample exactly once per epoch', async () => {
    await fc.assert(
      fc.asyncProperty(plan, async (drawn) => {
        const whole = { ...drawn, weighted: false };
        fc.pre(isUsable(whole));
        const [{ capacity }] = drawn.machines as [Machine];
        const options = { ...open(whole), dropLast: false, epochs: 2 };
        const loader = await createLoader(options, fakeDecoder(capacity));
        const seen: string[] = [];
        for await (const batch of loader) {
          seen.push(...batch.keys, ...batch.skipped.map(({ key }) => key), ...batch.noCaption);
        }
        await loader.close();
        const all = options.sources.flatMap(({ source }) => source.rows.map(({ key }) => key as string));
        const counts = new Map<string, number>();
        for (const key of seen) counts.set(key, (counts.get(key) ?? 0) + 1);
        // Those passed over behind the last batch are told of with the next, which never comes.
        const last = all.filter((key) => counts.get(key) !== 2);
        for (const key of last) expect(counts.get(key)).toBe(1);
        expect(last.length).toBeLessThanOrEqual(24);
        const unusable = options.sources.flatMap(({ source }) =>
          source.rows.filter(({ image, ssc }) => image === BROKEN || ssc === '').map(({ key }) => key),
        );
        for (const key of last) expect(unusable).toContain(key);
        expect(seen.length).toBe(2 * all.length - last.length);
      }),
      { numRuns: 1000, seed: 8 },
    );
  });

  it('reads nothing of what it has behind it when it goes on', async () => {
    await fc.assert(
      fc.asyncProperty(plan, fc.integer({ min: 1, max: 12 }), async (drawn, count) => {
        const sound = {
          ...drawn,
          weighted: false,
          sources: drawn.sources.map((of) => ({ ...of, broken: [], silent: [] })),
        };
        const numRows = sound.sources.reduce((sum, of) => sum + sizeOf(of), 0);
        fc.pre(isUsable(sound) && sound.sources.length === 1 && count * 4 * drawn.batch < numRows);
        const one = { ranksLog2: 0, capacity: 1, prefetch: 1 };
        const { state } = await run(sound, one, count);
        const options = open(sound);
        const read = new Set<number>();
        const { source } = options.sources[0] as { source: ShardedRows };
        const { readRows } = source;
        source.readRows = (indices, columns) => {
          for (const index of indices) read.add(index);
          return readRows.call(source, indices, columns);
        };
        const loader = await createLoader({ ...options, epochs: 1, resumeFrom: state }, fakeDecoder(3));
        const before = await run(sound, one, count);
        for await (const _ of loader);
        await loader.close();
        const past = before.contents.flatMap(({ keys }) => keys).map((key) => Number(key.split('-')[1]));
        for (const row of past) expect(read.has(row)).toBe(false);
        expect(source.numRead).toBe(numRows - state.position);
      }),
      { numRuns: 200, seed: 9 },
    );
  });
});
