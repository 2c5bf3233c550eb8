import { readdirSync, readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { DecodedCache } from '../../../src/data/decoded-cache.js';
import { type Batch, createLoader, type Loader, type LoaderOptions } from '../../../src/data/loader.js';
import type { Row } from '../../../src/data/schema.js';
import { CheckpointError, ConfigError, DataError } from '../../../src/errors.js';
import { MemorySource, sampleRows } from '../../support/memory-source.js';

let rows: Row[];
const opened: Loader[] = [];

beforeAll(async () => {
  rows = await sampleRows(160);
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((loader) => loader.close()));
});

async function open(options: Partial<LoaderOptions> = {}): Promise<Loader> {
  const loader = await createLoader({
    source: new MemorySource(rows),
    captions: { alt: 0.5, ssc: 0.5 },
    batchSize: 12,
    imageSize: 8,
    contextLength: 16,
    seed: 5,
    workers: 0,
    transform: 'train',
    ...options,
  });
  opened.push(loader);
  return loader;
}

async function take(loader: Loader, count: number): Promise<Batch[]> {
  const batches: Batch[] = [];
  for (let i = 0; i < count; i++) batches.push(await loader.next());
  return batches;
}

async function all(loader: Loader): Promise<Batch[]> {
  const batches: Batch[] = [];
  for await (const batch of loader) batches.push(batch);
  return batches;
}

/** The rows with some of them spoilt. */
const spoil = (broken: readonly number[], how: Row): Row[] =>
  rows.map((row, i) => (broken.includes(i) ? { ...row, ...how } : row));

describe('keys', () => {
  it('that another sample has are told in the first epoch, once each', async () => {
    const told: string[] = [];
    const twins = rows.slice(0, 24).map((row, i) => (i >= 20 ? { ...row, key: 'k3' } : row));
    const onRepeatedKey = (key: string): unknown => told.push(key);
    await all(await open({ source: new MemorySource(twins), epochs: 2, onRepeatedKey }));
    expect(told).toEqual(['k3', 'k3', 'k3', 'k3']);
    await all(await open({ source: new MemorySource(rows.slice(0, 24)), epochs: 2, onRepeatedKey }));
    expect(told).toHaveLength(4);
  });
});

describe('batches', () => {
  it('hold images, tokens and captions that belong together', async () => {
    const loader = await open({ transform: 'eval', shuffle: false });
    const batch = await loader.next();
    expect(batch.images).toHaveLength(12 * 8 * 8 * 3);
    expect(batch.tokens).toHaveLength(12 * 16);
    expect(batch.keys).toEqual(rows.slice(0, 12).map(({ key }) => key));
    expect(batch.captions).toEqual(batch.kinds.map((kind, i) => rows[i]?.[kind]));
    // The first and the last sample use the same file 16 rows apart; the images in between differ.
    const next = await loader.next();
    const image = (from: Batch, i: number) => from.images.slice(i * 192, (i + 1) * 192);
    expect(image(next, 4)).toEqual(image(batch, 0));
    expect(image(next, 5)).not.toEqual(image(batch, 0));
    for (let i = 0; i < 12; i++) {
      expect(batch.tokens[i * 16]).toBe(49_406);
      expect(batch.tokens[i * 16 + (batch.numTokens[i] as number) - 1]).toBe(49_407);
    }
    expect([batch.epoch, batch.indexInEpoch, next.indexInEpoch]).toEqual([0, 0, 12]);
  });

  it('are the same for any number of workers and any prefetch', async () => {
    const expected = await take(await open(), 30); // more than two epochs
    for (const [workers, prefetch] of [
      [1, 1],
      [2, 4],
      [3, 2],
    ] as const) {
      expect(await take(await open({ workers, prefetch }), 30)).toEqual(expected);
    }
    expect(expected.map(({ epoch }) => epoch)).toEqual(
      Array.from({ length: 30 }, (_, i) => Math.floor(i / 13)),
    );
  });

  it.each([0, 2])('are the same in memory that is used again, with %i workers', async (workers) => {
    const fresh = await take(await open({ workers }), 20);
    const loader = await open({ workers });
    const memory = new Set<ArrayBufferLike>();
    for (const expected of fresh) {
      const batch = await loader.next();
      expect(Buffer.from(batch.images).equals(Buffer.from(expected.images))).toBe(true);
      expect(batch.keys).toEqual(expected.keys);
      memory.add(batch.images.buffer);
      batch.images.fill(255);
      loader.recycle(batch);
    }
    expect(memory.size).toBeLessThan(20);
  });

  it('change with seed and epoch', async () => {
    const [a] = await take(await open(), 1);
    const [b] = await take(await open({ seed: 6 }), 1);
    expect(b?.keys).not.toEqual(a?.keys);
    const [first, , second] = await take(await open({ batchSize: 80, shuffle: false }), 3);
    expect(second?.keys).toEqual(first?.keys);
    expect(second?.kinds).not.toEqual(first?.kinds);
    expect(second?.images).not.toEqual(first?.images);
  });

  it('hold every key once per epoch, and end after the epochs', async () => {
    const loader = await open({ dropLast: false, epochs: 2, workers: 1 });
    const batches = await all(loader);
    for (const epoch of [0, 1]) {
      const keys = batches.filter((batch) => batch.epoch === epoch).flatMap((batch) => batch.keys);
      expect(keys).toHaveLength(160);
      expect(new Set(keys).size).toBe(160);
    }
    expect(batches.map(({ keys }) => keys.length).filter((length) => length !== 12)).toEqual([4, 4]);
    await expect(loader.next()).rejects.toThrow('There is no further batch: all 2 epochs were handed out.');
  });

  it('drop the samples that do not fill the last one', async () => {
    const batches = await all(await open({ epochs: 2 }));
    expect(batches.map(({ keys }) => keys.length)).toEqual(Array(26).fill(12));
  });

  it('count what the context cuts off', async () => {
    const batch = await (await open({ contextLength: 8 })).next();
    const long = [...batch.numTokens].filter((n) => n > 8).length;
    expect(long).toBeGreaterThan(0);
    expect(batch.truncated).toBe(long);
  });
});

describe('samples that cannot be used', () => {
  const broken = [3, 50, 51, 52, 53, 120];

  it('are skipped and replaced by those that follow', async () => {
    const spoilt = spoil(broken, { image: Uint8Array.of(1, 2, 3) });
    const seen: [string, string][] = [];
    const options = { source: new MemorySource(spoilt), maxSkipRatio: 0.1, dropLast: false, epochs: 1 };
    const batches = await all(await open({ ...options, onSkip: (reason, key) => seen.push([reason, key]) }));
    const sound = await all(await open({ dropLast: false, epochs: 1 }));
    const usable = sound.flatMap(({ keys }) => keys).filter((key) => !broken.includes(Number(key.slice(1))));
    // A batch holds the next usable samples; each keeps its slot, and those of broken ones take what follows.
    for (const [i, { keys }] of batches.entries()) {
      expect([...keys].sort()).toEqual(usable.slice(12 * i, 12 * i + 12).sort());
    }
    const order = sound.flatMap(({ keys }) => keys);
    const first = order.slice(0, 12);
    const lacking = first.filter((key) => !usable.includes(key));
    expect(batches[0]?.keys.filter((key) => first.includes(key))).toEqual(
      first.filter((key) => !lacking.includes(key)),
    );
    expect(batches.slice(0, -1).every(({ keys }) => keys.length === 12)).toBe(true);
    expect(seen.map(([, key]) => key).sort()).toEqual(broken.map((i) => `k${i}`).sort());
    const reason =
      'The image is no JPEG, PNG, WebP, GIF, TIFF or AVIF file: found 3 bytes that begin "\\u0001\\u0002\\u0003".';
    expect(new Set(seen.map(([why]) => why))).toEqual(new Set([reason]));
    expect(batches.flatMap(({ skipped }) => skipped).map(({ reason, key }) => [reason, key])).toEqual(seen);
    expect(await all(await open({ ...options, source: new MemorySource(spoilt), workers: 2 }))).toEqual(
      batches,
    );
  });

  it.each([
    ['It has no image.', 'k7', { image: null }],
    ['It has no image.', 'k7', { image: new Uint8Array(0) }],
    [
      'Its image is of type string ("photos/1.png"); expected bytes: the content of an image file, or its path with data.images (--images).',
      'k7',
      { image: 'photos/1.png' },
    ],
    ['It has no key.', 'row 7', { key: null }],
  ])('are counted by reason: %s', async (reason, key, how) => {
    const loader = await open({ source: new MemorySource(spoil([7], how)), batchSize: 150 });
    const batch = await loader.next();
    const later = await loader.next();
    expect([...batch.skipped, ...later.skipped].filter((skip) => skip.key === key)[0]).toEqual({
      key,
      reason,
    });
    expect(batch.keys).not.toContain('k7');
  });

  it("stop the loader at the first beyond the epoch's budget", async () => {
    const source = new MemorySource(spoil(broken, { image: Uint8Array.of() }));
    const loader = await open({ source, batchSize: 10, shuffle: false, maxSkipRatio: 0.025 });
    const batches = await take(loader, 4); // k0 to k40; the next batch meets k50 to k53
    expect(batches.flatMap(({ skipped }) => skipped)).toHaveLength(1);
    const message =
      'Epoch 0: broken samples: 5, more than the 4 of 160 that data.maxSkipRatio = 0.025 allows. Mend the data, ' +
      'or raise data.maxSkipRatio if the loss is acceptable. The last is k53: It has no image.';
    await expect(loader.next()).rejects.toThrow(message);
    await expect(loader.next()).rejects.toThrow(message);
    await expect(loader.next()).rejects.toThrow(DataError);
  });

  it('stop it or not whatever the order: the budget is a whole number of rows', async () => {
    const source = new MemorySource(spoil([0, 1, 2, 3, 4, 5, 6, 7], { image: null }).slice(0, 100));
    const finishes = async (maxSkipRatio: number, seed: number): Promise<boolean> => {
      const loader = await open({ source, seed, maxSkipRatio, epochs: 2, imageSize: 1 });
      return all(loader).then(
        () => true,
        () => false,
      );
    };
    for (let seed = 0; seed < 12; seed++) {
      expect(await finishes(0.079, seed)).toBe(false);
      expect(await finishes(0.08, seed)).toBe(true); // anew in each epoch
    }
    // 0.29 * 100 is less than 29 in binary.
    const spoilt = new MemorySource(spoil([...Array(29).keys()], { image: null }).slice(0, 100));
    expect(await all(await open({ source: spoilt, maxSkipRatio: 0.29, epochs: 1 }))).toHaveLength(5);
  });

  it('are none where maxSkipRatio is 0', async () => {
    const source = new MemorySource(spoil([13], { image: null }));
    const loader = await open({ source, shuffle: false, maxSkipRatio: 0 });
    await loader.next();
    await expect(loader.next()).rejects.toThrow('Epoch 0: broken samples: 1, more than the 0 of 160');
  });

  it('may leave too few for one batch', async () => {
    const source = new MemorySource(spoil([1, 2, 3], { image: null }));
    await expect((await open({ source, batchSize: 160, maxSkipRatio: 1 })).next()).rejects.toThrow(
      'Epoch 0 filled no batch: 157 of 160 samples can be used (3 are broken, 0 have no caption), a batch takes 160.',
    );
  });
});

describe('samples without a caption', () => {
  const silent = Array.from({ length: 40 }, (_, i) => i * 3);

  it('are passed over and counted, and are no broken ones', async () => {
    const source = new MemorySource(spoil(silent, { alt: '' }));
    const told: string[] = [];
    const broken: string[] = [];
    const loader = await open({
      source,
      captions: { alt: 1 },
      maxSkipRatio: 0,
      dropLast: false,
      epochs: 1,
      onNoCaption: (key) => told.push(key),
      onSkip: (_, key) => broken.push(key),
    });
    const batches = await all(loader);
    expect(batches.flatMap(({ keys }) => keys)).toHaveLength(120);
    expect(batches.flatMap(({ noCaption }) => noCaption)).toEqual(told);
    expect([...told].sort()).toEqual(silent.map((i) => `k${i}`).sort());
    expect(broken).toEqual([]);
    const { noCaption, skips, samples } = loader.stats().cumulative;
    expect({ noCaption, skips, samples }).toEqual({ noCaption: told.length, skips: {}, samples: 120 });
  });

  it('take a caption of another kind of the mix', async () => {
    const source = new MemorySource(spoil(silent, { alt: null }));
    const loader = await open({ source, captions: { alt: 0.99, ssc: 0.01 }, dropLast: false, epochs: 1 });
    const batches = await all(loader);
    expect(batches.flatMap(({ keys }) => keys)).toHaveLength(160);
    expect(batches.flatMap(({ noCaption }) => noCaption)).toEqual([]);
    expect(loader.stats().cumulative.fallbacks).toBeGreaterThan(30);
  });

  it.each([true, false])('are an error where a whole epoch has no other, dropLast %s', async (dropLast) => {
    const source = new MemorySource(spoil([...rows.keys()], { alt: ' ' }));
    const options = { source, captions: { alt: 1, ssc: 0 }, dropLast };
    const message =
      'Epoch 0: none of the 160 samples has a caption of kind alt. Choose other kinds in data.captions, or other data.';
    await expect((await open(options)).next()).rejects.toThrow(new DataError(message));
  });
});

describe('state', () => {
  it('continues in mid-epoch and over the end of an epoch, with other workers', async () => {
    const source = () => new MemorySource(spoil([9, 77], { image: null }));
    const options = { maxSkipRatio: 0.05 };
    const expected = await take(await open({ ...options, source: source() }), 30);
    for (const stop of [1, 7, 12, 13, 14, 26]) {
      const first = await open({ ...options, source: source(), workers: 1, prefetch: 3 });
      await take(first, stop);
      const resumeFrom = JSON.parse(JSON.stringify(first.state()));
      await first.close();
      const second = await open({ ...options, source: source(), workers: 2, resumeFrom });
      expect(second.state()).toEqual(resumeFrom);
      expect(await take(second, 30 - stop)).toEqual(expected.slice(stop));
    }
  });

  it('counts samples handed out, those passed over included, not those prepared', async () => {
    const source = new MemorySource(spoil([2], { image: null }));
    const loader = await open({ source, shuffle: false });
    expect(loader.state()).toMatchObject({ epoch: 0, position: 0, broken: 0, seed: 5 });
    await loader.next();
    expect(loader.state()).toMatchObject({ epoch: 0, position: 13, broken: 1 });
    await take(loader, 13);
    expect(loader.state()).toMatchObject({ epoch: 1, position: 13, broken: 1 });
  });

  it('carries the broken samples of its epoch, and only of its epoch, to the next loader', async () => {
    const source = new MemorySource(spoil([0, 80], { image: null }).slice(0, 82));
    const options = { source, shuffle: false, batchSize: 40, dropLast: false, maxSkipRatio: 0.02 };
    const first = await open(options);
    await first.next();
    const second = await open({ ...options, resumeFrom: first.state() });
    await expect(second.next()).rejects.toThrow('Epoch 0: broken samples: 2, more than the 1 of 82');
    const lenient = await open({ ...options, maxSkipRatio: 0.03 });
    await take(lenient, 2);
    expect(lenient.state()).toMatchObject({ epoch: 0, position: 82, broken: 2 });
    const next = await open({ ...options, maxSkipRatio: 0.03, resumeFrom: lenient.state() });
    expect((await next.next()).epoch).toBe(1);
  });

  it('at the end of an epoch does not excuse the next from filling a batch', async () => {
    const source = new MemorySource(spoil([1, 2], { image: null }));
    const options = { source, maxSkipRatio: 1, dropLast: false };
    const first = await open(options);
    await take(first, 14);
    expect(first.state()).toMatchObject({ epoch: 0, position: 160 });
    const second = await open({ ...options, dropLast: true, batchSize: 159, resumeFrom: first.state() });
    await expect(second.next()).rejects.toThrow('Epoch 1 filled no batch: 158 of 160 samples can be used');
  });

  it('continues with another batch size', async () => {
    const first = await open();
    const [a] = await take(first, 1);
    const second = await open({ resumeFrom: first.state(), batchSize: 20 });
    const [b] = await take(second, 1);
    const [whole] = await take(await open({ batchSize: 32 }), 1);
    expect([...(a as Batch).keys, ...(b as Batch).keys]).toEqual(whole?.keys);
  });

  it.each<[string, Partial<LoaderOptions>, string]>([
    ['mix', { captions: { alt: 1 } }, 'caption mix: was {"alt":0.5,"ssc":0.5}, is {"alt":1}'],
    ['image size', { imageSize: 10 }, 'imageSize: was 8, is 10'],
    ['transform', { transform: 'eval' }, 'transform: was "train", is "eval"'],
    ['crop', { cropScale: [0.5, 1] }, 'cropScale: was [0.9,1], is [0.5,1]'],
    ['seed', { seed: 9 }, 'seed: was 5, is 9'],
  ])('of another %s is refused', async (_, change, message) => {
    const resumeFrom = (await open()).state();
    const attempt = open({ ...change, resumeFrom });
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.toThrow(ConfigError);
  });

  it('of other data, or beyond the data, is refused', async () => {
    const resumeFrom = (await open()).state();
    await expect(open({ source: new MemorySource(rows, 'other'), resumeFrom })).rejects.toThrow(
      new CheckpointError(
        'The data position cannot be continued: data set (names, sizes or rows of its files, its split, or its columns): ' +
          'was "rows-160", is "other". Restore it to go on, or start a new run.',
      ),
    );
    await expect(open({ resumeFrom: { ...resumeFrom, position: 161 } })).rejects.toThrow(
      'epoch 0, sample 161, 0 of them broken, does not exist',
    );
    await expect(open({ resumeFrom: { ...resumeFrom, position: 3, broken: 4 } })).rejects.toThrow(
      'sample 3, 4 of them broken, does not exist',
    );
    await expect(open({ resumeFrom: { ...resumeFrom, fingerprint: 'x' } })).rejects.toThrow('not readable');
  });
});

describe('the cache', () => {
  // The table takes 1.3 kB, the images 0.5 to 1.7 kB each.
  const sizes = { all: 500_000, some: 60_000, 'next to none': 2500, none: 1400 };
  const setups = Object.entries(sizes).flatMap(([name, cacheBytes]) =>
    [0, 1, 2].map((workers) => [name, workers, cacheBytes] as const),
  );
  const broken = [3, 50, 51, 52, 53, 120];

  /** The rows, their images readable the first time that they are read, and garbage later. */
  function readableOnce(): MemorySource {
    const source = new MemorySource(rows);
    const read = new Set<number>();
    const { readRows } = source;
    source.readRows = async (indices, columns) =>
      (await readRows.call(source, indices, columns)).map((row, i) => {
        const index = indices[i] as number;
        const image = read.has(index) ? Uint8Array.of(1, 2, 3) : (row.image as Uint8Array);
        read.add(index);
        return { ...row, image };
      });
    return source;
  }

  /** The batches with their pixels as text, which is compared at once. */
  const comparable = (batches: readonly Batch[]) =>
    batches.map((batch) => ({ ...batch, images: Buffer.from(batch.images).toString('base64') }));

  it.each(setups)('with room for %s changes no batch and no skip, with %i workers', async (...setup) => {
    const [, workers, cacheBytes] = setup;
    const source = (): MemorySource => new MemorySource(spoil(broken, { image: Uint8Array.of(1, 2, 3) }));
    const options = { maxSkipRatio: 0.04, dropLast: false, epochs: 3 };
    const expected = await all(await open({ ...options, source: source() }));
    const seen: string[] = [];
    const onSkip = (_reason: string, key: string): unknown => seen.push(key);
    const batches = await all(await open({ ...options, source: source(), workers, cacheBytes, onSkip }));
    expect(comparable(batches)).toEqual(comparable(expected));
    const keys = broken.map((i) => `k${i}`).sort();
    expect([0, 1, 2].map((epoch) => seen.slice(6 * epoch, 6 * epoch + 6).sort())).toEqual([keys, keys, keys]);
  });

  it.each(['train', 'eval'] as const)('holds images of every mode, to %s', async (transform) => {
    const folder = new URL('../../golden/data/transforms/', import.meta.url);
    const files = readdirSync(folder).sort();
    const source = new MemorySource(
      files.map((key) => ({ key, image: readFileSync(new URL(key, folder)), alt: key })),
    );
    const options = { source, transform, captions: { alt: 1 }, imageSize: 16, batchSize: files.length };
    const expected = await take(await open(options), 3);
    const cached = await take(await open({ ...options, cacheBytes: 2 ** 22 }), 3);
    expect(comparable(cached)).toEqual(comparable(expected));
  });

  it('can be shared by loaders of the same source, and of no other', async () => {
    const cache = DecodedCache.allocate(sizes.all, rows.length);
    if (cache === undefined) throw new Error('no cache');
    const expected = await all(await open({ epochs: 1, seed: 6 }));
    const source = readableOnce();
    await all(await open({ source, epochs: 1, seed: 5, cache }));
    expect(comparable(await all(await open({ source, epochs: 1, seed: 6, cache })))).toEqual(
      comparable(expected),
    );
    await expect(open({ source: new MemorySource(rows.slice(0, 100)), cache })).rejects.toThrow(
      'The cache was made for 160 rows, but',
    );
  });

  it.each([0, 1])('decodes once what fits, anew what does not, with %i workers', async (workers) => {
    const options = { workers, dropLast: false, maxSkipRatio: 1, epochs: 3 };
    const skipsOf = async (cacheBytes: number): Promise<number[]> => {
      const batches = await all(await open({ ...options, source: readableOnce(), cacheBytes }));
      return [0, 1, 2].map(
        (epoch) =>
          new Set(batches.filter((b) => b.epoch === epoch).flatMap((b) => b.skipped.map(({ key }) => key)))
            .size,
      );
    };
    expect(await skipsOf(sizes.all)).toEqual([0, 0, 0]);
    await expect(skipsOf(sizes.none)).rejects.toThrow(
      'Epoch 1 filled no batch: 0 of 160 samples can be used',
    );
    const [first, second = 0, third] = await skipsOf(sizes.some);
    expect(first).toBe(0);
    expect(Math.abs((third as number) - second)).toBeLessThan(4); // what was kept stays; the last ones' skips show later
    expect(second).toBeGreaterThan(80);
    expect(second).toBeLessThan(120);
  });

  it('is filled anew after a resume, from any loader to any', async () => {
    const source = (): MemorySource => new MemorySource(spoil([9, 77], { image: Uint8Array.of(1, 2, 3) }));
    const options = { maxSkipRatio: 0.05, workers: 2 };
    const expected = comparable(await take(await open({ ...options, source: source() }), 40));
    for (const [before, after] of [
      [0, sizes.all],
      [sizes.all, 0],
      [sizes.some, sizes.all],
    ] as const) {
      const first = await open({ ...options, source: source(), cacheBytes: before });
      expect(comparable(await take(first, 18))).toEqual(expected.slice(0, 18));
      const resumeFrom = JSON.parse(JSON.stringify(first.state()));
      const second = await open({ ...options, source: source(), cacheBytes: after, resumeFrom });
      expect(comparable(await take(second, 22))).toEqual(expected.slice(18));
    }
  });

  it.each([0, 2])('is freed when the loader closes, with %i workers', async (workers) => {
    const MIB = 2 ** 20;
    const collect = (): void => {
      setFlagsFromString('--expose-gc');
      runInNewContext('gc')();
    };
    const held = (): number => {
      collect();
      return process.memoryUsage().arrayBuffers;
    };
    const loader = await open({ workers, cacheBytes: 256 * MIB });
    await take(loader, 20);
    expect(held()).toBeGreaterThan(256 * MIB);
    await loader.close();
    // A thread that has ended lets go of shared memory when its heap is taken down, a little later.
    await vi.waitFor(() => expect(held()).toBeLessThan(64 * MIB), { timeout: 100_000 });
    expect(loader.state().epoch).toBe(1); // it is still there
  });

  it('larger than the memory is refused', async () => {
    const attempt = open({ cacheBytes: 2 ** 50 });
    await expect(attempt).rejects.toThrow(
      'data.cacheMiB asks for 1,073,741,824 MiB, but this machine gives ',
    );
    await expect(attempt).rejects.toThrow(ConfigError);
  });
});

describe('options', () => {
  it.each<[Partial<LoaderOptions>, string]>([
    [{ batchSize: 0 }, 'batchSize must be an integer of at least 1, found 0.'],
    [{ workers: -1 }, 'workers must be an integer of at least 0, found -1.'],
    [{ cacheBytes: -1 }, 'cacheBytes must be an integer of at least 0, found -1.'],
    [{ prefetch: 0 }, 'prefetch must be an integer of at least 1, found 0.'],
    [{ contextLength: 1 }, 'contextLength must be an integer of at least 2, found 1.'],
    [{ maxSkipRatio: 2 }, 'maxSkipRatio must be from 0 to 1, found 2.'],
    [{ captions: { alt: 0.4, ssc: 0.5 } }, 'sum to 0.9'],
    [
      { captions: { alt: 0.5, dsc: 0.5 } },
      "memory has no column 'dsc'; the nearest is 'ssc'. Its columns are key, image, alt, ssc.",
    ],
    [{ batchSize: 161 }, 'batchSize is 161, but memory has only 160 rows'],
  ])('%o is refused', async (change, message) => {
    const attempt = open(change);
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.toThrow(ConfigError);
  });

  it('need a source with keys, images and rows', async () => {
    const captions = { alt: 1 };
    await expect(open({ source: new MemorySource([{ key: 'a', alt: 'b' }]), captions })).rejects.toThrow(
      "memory has no column 'image'",
    );
    await expect(open({ source: new MemorySource([]), captions })).rejects.toThrow("no column 'alt'");
    const empty = Object.assign(new MemorySource(rows), { numRows: 0 });
    await expect(open({ source: empty })).rejects.toThrow('memory is empty: it has 0 rows.');
  });
});

describe('a loader', () => {
  it('works ahead by its prefetch and no further', async () => {
    for (const workers of [0, 2]) {
      const source = new MemorySource(
        Array.from({ length: 4000 }, (_, i) => ({ ...rows[i % 160], key: `${i}` }) as Row),
      );
      const loader = await open({ source, workers, batchSize: 16, prefetch: 3 });
      const handedOut = 6;
      await take(loader, handedOut);
      const capacity = workers === 0 ? 2 : 5;
      const ahead = 16 * (handedOut + 3 + capacity);
      await vi.waitFor(() => expect(source.numRead).toBe(ahead), { timeout: 100_000, interval: 5 });
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(source.numRead).toBe(ahead);
    }
  });

  it('closes in mid-epoch with work under way, and then refuses', async () => {
    for (const workers of [0, 2]) {
      const source = new MemorySource(rows);
      const loader = await open({ source, workers, imageSize: 64 });
      await loader.next();
      const pending = loader.next();
      const refused = expect(pending).rejects.toThrow('The loader was closed.');
      await loader.close();
      await loader.close();
      await refused;
      await expect(loader.next()).rejects.toThrow('The loader was closed.');
      expect(source.closed).toBe(false); // it is the caller's
      const read = source.numRead;
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(source.numRead).toBe(read);
    }
  });

  it('reports what its batches were made of', async () => {
    const loader = await open({ batchSize: 32 });
    const batches = await take(loader, 3);
    const kinds = batches.flatMap((batch) => batch.kinds);
    const lengths = batches.flatMap((batch) => [...batch.numTokens]);
    const { epoch, step, cumulative } = loader.stats();
    expect([epoch, step.samples, cumulative.samples]).toEqual([0, 32, 96]);
    expect(cumulative.ratios.alt).toBe(kinds.filter((kind) => kind === 'alt').length / 96);
    expect(cumulative.tokens.max).toBe(Math.max(...lengths));
    expect(cumulative.tokens.mean).toBeCloseTo(lengths.reduce((a, b) => a + b) / 96, 12);
  });

  it('passes on the failure of its source', async () => {
    const source = new MemorySource(rows);
    source.readRows = async () => {
      throw new DataError('shard 3 is cut off');
    };
    const loader = await open({ source });
    await expect(loader.next()).rejects.toThrow('shard 3 is cut off');
    await expect(loader.next()).rejects.toThrow('shard 3 is cut off');
  });
});
