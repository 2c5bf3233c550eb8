/** What a loader makes of a mix, over many samples. Decoding is faked. */
import { describe, expect, it } from 'vitest';
import { type Batch, createLoader, type LoaderOptions, planBatches } from '../../../src/data/loader.js';
import type { Row } from '../../../src/data/schema.js';
import { ConfigError } from '../../../src/errors.js';
import { fakeDecoder } from '../../support/fake-decoder.js';
import { MemorySource } from '../../support/memory-source.js';

const image = Uint8Array.of(1);

const rowsOf = (count: number, name = 'k', change: (i: number) => Row = () => ({})): Row[] =>
  Array.from({ length: count }, (_, i) => ({
    key: `${name}${i}`,
    image,
    alt: `alt of ${i}`,
    ssc: `ssc of ${i}`,
    dsc: `dsc of ${i}`,
    ...change(i),
  }));

const defaults = {
  captions: { alt: 0.2, ssc: 0.5, dsc: 0.3 },
  batchSize: 40,
  imageSize: 1,
  contextLength: 4,
  seed: 3,
  transform: 'train',
} as const;

async function batchesOf(change: Partial<LoaderOptions>, count: number): Promise<Batch[]> {
  const options = { ...defaults, ...change } as LoaderOptions;
  const loader = await createLoader(options, fakeDecoder(3));
  const batches: Batch[] = [];
  for (let i = 0; i < count; i++) batches.push(await loader.next());
  await loader.close();
  return batches;
}

const shareOf = (batches: readonly Batch[], kind: string): number => {
  const kinds = batches.flatMap((batch) => batch.kinds as string[]);
  return kinds.filter((other) => other === kind).length / kinds.length;
};

/** Three standard deviations of a share of n draws. */
const within3Sigma = (share: number, p: number, n: number): void =>
  expect(Math.abs(share - p)).toBeLessThan(3 * Math.sqrt((p * (1 - p)) / n));

describe('mixing', () => {
  it('by sample draws the mix, anew in each epoch', async () => {
    const source = new MemorySource(rowsOf(10_000));
    const batches = await batchesOf({ source }, 500);
    for (const [kind, p] of Object.entries(defaults.captions))
      within3Sigma(shareOf(batches, kind), p, 20_000);
    const kindsOf = (epoch: number) =>
      new Map(
        batches.filter((b) => b.epoch === epoch).flatMap((b) => b.keys.map((key, i) => [key, b.kinds[i]])),
      );
    const [first, second] = [kindsOf(0), kindsOf(1)];
    const same = [...first].filter(([key, kind]) => second.get(key) === kind).length / 10_000;
    within3Sigma(same, 0.2 ** 2 + 0.5 ** 2 + 0.3 ** 2, 10_000);
  });

  it('fixed draws it once for the run', async () => {
    const source = new MemorySource(rowsOf(4000));
    const batches = await batchesOf({ source, mixing: 'fixed' }, 200);
    const kinds = new Map<string, string>();
    for (const batch of batches) {
      for (const [i, key] of batch.keys.entries()) {
        const kind = batch.kinds[i] as string;
        expect(kinds.get(key) ?? kind).toBe(kind);
        kinds.set(key, kind);
      }
    }
    within3Sigma(shareOf(batches.slice(0, 100), 'ssc'), 0.5, 4000);
  });

  it('by batch is exact, within one sample at every batch, and by no kind of slot', async () => {
    const source = new MemorySource(rowsOf(4000));
    const captions = { alt: 0.21, ssc: 0.46, dsc: 0.33 };
    const batches = await batchesOf({ source, mixing: 'batch', captions }, 250);
    const counts: Record<string, number> = {};
    const firstSlots: Record<string, number> = {};
    for (const [i, { kinds }] of batches.entries()) {
      for (const kind of kinds) counts[kind] = (counts[kind] ?? 0) + 1;
      for (const [kind, p] of Object.entries(captions)) {
        expect(Math.abs((counts[kind] ?? 0) - p * 40 * (i + 1))).toBeLessThan(1);
      }
      firstSlots[kinds[0] as string] = (firstSlots[kinds[0] as string] ?? 0) + 1;
    }
    for (const [kind, p] of Object.entries(captions)) within3Sigma((firstSlots[kind] ?? 0) / 250, p, 250);
  });

  it('by batch keeps the ratio where samples lack a kind, as long as enough have it', async () => {
    const source = new MemorySource(rowsOf(4000, 'k', (i) => (i % 3 === 0 ? { alt: null } : {})));
    const captions = { alt: 0.5, ssc: 0.5 };
    const batches = await batchesOf({ source, mixing: 'batch', captions }, 100);
    expect(shareOf(batches, 'alt')).toBe(0.5);
    expect(batches.reduce((sum, { fallbacks }) => sum + fallbacks, 0)).toBe(0);
    // Drawn by sample it would be a third.
    const drawn = await batchesOf({ source, captions }, 100);
    within3Sigma(shareOf(drawn, 'alt'), 1 / 3, 4000);
  });

  it('lets a list of kinds stand in, be they in the mix or not', async () => {
    const source = new MemorySource(rowsOf(400, 'k', (i) => (i % 2 === 0 ? { ssc: null } : {})));
    for (const mixing of ['sample', 'batch'] as const) {
      const batches = await batchesOf(
        { source, mixing, captions: { ssc: 1 }, missing: ['afc', 'dsc'] },
        10,
      ).catch((error: unknown) => error);
      expect(batches).toEqual(
        new ConfigError(
          "missing.afc: memory has no column 'afc'. Its columns are key, image, alt, ssc, dsc.",
        ),
      );
      const found = await batchesOf({ source, mixing, captions: { ssc: 1 }, missing: ['dsc', 'alt'] }, 10);
      expect([shareOf(found, 'ssc'), shareOf(found, 'dsc')]).toEqual([0.5, 0.5]);
      expect(found.reduce((sum, { fallbacks }) => sum + fallbacks, 0)).toBe(200);
      expect(found.every(({ noCaption }) => noCaption.length === 0)).toBe(true);
    }
  });

  it('draws by the mix where a sample has no kind of the list', async () => {
    const source = new MemorySource(rowsOf(400, 'k', (i) => (i % 2 === 0 ? { ssc: null, dsc: '' } : {})));
    const captions = { alt: 0.1, ssc: 0.9 };
    for (const mixing of ['sample', 'batch', 'fixed'] as const) {
      const found = await batchesOf({ source, mixing, captions, missing: ['dsc'] }, 10);
      for (const [i, kind] of found.flatMap(({ kinds }) => kinds).entries()) {
        expect(found.flatMap((batch) => batch.captions)[i]).toMatch(new RegExp(`^${kind} of \\d+$`));
      }
      expect(shareOf(found, 'dsc')).toBe(0);
      expect(found.reduce((sum, { fallbacks }) => sum + fallbacks, 0)).toBeGreaterThan(100);
    }
  });

  it('goes by a schedule of the steps', async () => {
    const source = new MemorySource(rowsOf(4000));
    const captions = { alt: 1, ssc: 0 };
    const points = [
      { step: 10, captions: { ssc: 1 } },
      { step: 20, captions: { dsc: 1 } },
    ];
    const linear = { mixing: 'batch', captions, mixSchedule: { interpolation: 'linear', points } } as const;
    const batches = await batchesOf({ source, ...linear }, 25);
    expect(batches.map((batch) => Math.round(10 * shareOf([batch], 'ssc')))).toEqual([
      ...[0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
      ...[10, 9, 8, 7, 6, 5, 4, 3, 2, 1],
      ...[0, 0, 0, 0, 0],
    ]);
    const stepped = await batchesOf({ source, captions, mixSchedule: { interpolation: 'step', points } }, 25);
    expect(stepped.map((batch) => batch.kinds[0])).toEqual([
      ...Array<string>(10).fill('alt'),
      ...Array<string>(10).fill('ssc'),
      ...Array<string>(5).fill('dsc'),
    ]);
  });

  it('drops captions, and leaves those of the other samples as they are', async () => {
    const source = new MemorySource(rowsOf(4000));
    const whole = await batchesOf({ source }, 100);
    const batches = await batchesOf({ source, captionDropout: 0.1 }, 100);
    within3Sigma(shareOf(batches, 'dropped'), 0.1, 4000);
    for (const [i, batch] of batches.entries()) {
      for (const [j, caption] of batch.captions.entries()) {
        const expected = batch.kinds[j] === 'dropped' ? '' : whole[i]?.captions[j];
        expect(caption).toBe(expected);
      }
    }
  });

  it('joins the captions of several kinds', async () => {
    const source = new MemorySource(rowsOf(40, 'k', (i) => (i % 2 === 0 ? { alt: '' } : {})));
    const concat = { order: ['ssc', 'alt'], separator: ' | ' } as const;
    const [batch] = (await batchesOf({ source, concat, shuffle: false }, 1)) as [Batch];
    expect(batch.captions.slice(0, 2)).toEqual(['ssc of 0', 'ssc of 1 | alt of 1']);
    expect(new Set(batch.kinds)).toEqual(new Set(['concat']));
    expect(batch.fallbacks).toBe(20);
  });

  it.each<[Partial<LoaderOptions>, string]>([
    [{ mixing: 'batch' }, 'mixing is batch, but concat takes all kinds'],
    [{ mixing: 'fixed' }, 'mixing is fixed, but concat takes all kinds'],
    [{ missing: ['dsc', 'alt'] }, 'missing is [dsc, alt], but concat takes all kinds'],
  ])('refuses %o where captions are joined, as it would do nothing', async (change, message) => {
    const source = new MemorySource(rowsOf(40));
    const concat = { order: ['ssc', 'alt'], separator: ' ' } as const;
    const refused = await batchesOf({ source, concat, ...change }, 1).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ConfigError);
    expect((refused as ConfigError).message).toContain(message);
    await batchesOf({ source, concat, mixing: 'sample', missing: 'renormalise' }, 1);
  });

  it('cuts each kind of a joined caption to its budget of tokens', async () => {
    const source = new MemorySource(
      rowsOf(3, 'k', (i) => ({ image: BLACK, ssc: 'one two three four', alt: i === 1 ? null : 'five six' })),
    );
    const concat = { order: ['ssc', 'alt'], separator: ' ', maxTokens: { ssc: 3 } } as const;
    const options = {
      ...defaults,
      source,
      concat,
      batchSize: 3,
      contextLength: 7,
      workers: 0,
      shuffle: false,
    };
    const joined = await createLoader(options);
    const { tokens, numTokens, truncated } = await joined.next();
    await joined.close();
    const texts = ['one two three five six', 'one two three', 'one two three five six'];
    const plain = await createLoader({
      ...options,
      concat: undefined,
      captions: { alt: 1 },
      source: new MemorySource(rowsOf(3, 'k', (i) => ({ image: BLACK, alt: texts[i] as string }))),
    });
    const expected = await plain.next();
    await plain.close();
    expect([tokens, numTokens, truncated]).toEqual([expected.tokens, expected.numTokens, expected.truncated]);
    expect([...numTokens]).toEqual([7, 5, 7]);
  });
});

/** A PNG of one black pixel. */
const BLACK = Uint8Array.from(
  Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNgYGAAAAAEAAH2FzhVAAAAAElFTkSuQmCC',
    'base64',
  ),
);

describe('several sources', () => {
  const sources = () => [
    { source: new MemorySource(rowsOf(300, 'a'), 'a') },
    { source: new MemorySource(rowsOf(900, 'b'), 'b'), captions: { dsc: 1 } },
  ];

  it('have a share by size in every batch, and each its mix', async () => {
    const batches = await batchesOf({ sources: sources(), captions: { alt: 0.5, ssc: 0.5 } }, 30);
    for (const { sources: of, kinds, keys } of batches) {
      expect(Math.abs(of.filter((source) => source === 0).length - 10)).toBeLessThan(9);
      for (const [i, source] of of.entries()) {
        expect(kinds[i] === 'dsc').toBe(source === 1);
        expect(keys[i]?.[0]).toBe(source === 0 ? 'a' : 'b');
      }
    }
    expect(new Set(batches.flatMap(({ keys }) => keys)).size).toBe(1200);
  });

  it('go by their weights, each through epochs of its own', async () => {
    const weighted = sources().map((source) => ({ ...source, weight: 1 }));
    const batches = await batchesOf({ sources: weighted, batchSize: 64 }, 18);
    for (const { sources: of } of batches) expect(of.filter((source) => source === 0)).toHaveLength(32);
    const keys = batches.flatMap((batch) => batch.keys).filter((key) => key.startsWith('a'));
    expect(new Set(keys.slice(0, 300)).size).toBe(300);
    expect(keys.slice(300)).toHaveLength(276);
    expect(new Set(keys.slice(300)).size).toBe(276);
    expect(keys.slice(300)).not.toEqual(keys.slice(0, 276));
  });

  it.each<[Partial<LoaderOptions>, string]>([
    [{ sources: [] }, 'sources is empty; name at least one.'],
    [{}, 'A loader needs either source or sources, and not both.'],
    [
      { sources: [{ source: 'a', weight: 1 }, { source: 'b' }] },
      'Either every one of sources has a weight, or none has.',
    ],
    [{ sources: [{ source: 'a', weight: 0 }] }, 'sources[0].weight must be a number above 0, found 0.'],
  ])('%o is refused', async (change, message) => {
    await expect(batchesOf(change, 1)).rejects.toThrow(message);
  });
});

describe('planBatches', () => {
  it('says what the batches of a loader are, without reading images', async () => {
    const source = new MemorySource(rowsOf(400, 'k', (i) => (i % 7 === 0 ? { alt: '' } : {})));
    const { readRows } = source;
    source.readRows = (indices, columns) => {
      expect(columns).toEqual(['key', 'alt']);
      return readRows.call(source, indices, columns);
    };
    const options = { ...defaults, source, captions: { alt: 1 }, epochs: 2 };
    const planned = [];
    for await (const batch of planBatches(options)) planned.push(batch);
    source.readRows = readRows;
    const batches = await batchesOf(options, planned.length);
    expect(planned).toEqual(
      batches.map(
        ({ epoch, indexInEpoch, keys, kinds, captions, sources: of, fallbacks, ...rest }, step) => ({
          ...{ step, epoch, indexInEpoch, keys, kinds, captions, sources: of, fallbacks },
          ...{ skipped: rest.skipped, noCaption: rest.noCaption },
        }),
      ),
    );
    expect(planned.length).toBe(16);
  });
});
