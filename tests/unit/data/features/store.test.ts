import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { openFeatures } from '../../../../src/data/features/store.js';
import { FeatureWriter } from '../../../../src/data/features/writer.js';
import { ConfigError, DataError, NumericError, ShapeError } from '../../../../src/errors.js';
import { featureOf, writeTestStore } from '../../../support/features.js';

const root = mkdtempSync(join(tmpdir(), 'capstan-features-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let count = 0;
let out = '';
beforeEach(() => {
  out = join(root, `store-${count++}`);
});

const row = (number: number, size = 6, variant = 0): number[] =>
  Array.from({ length: size }, (_, i) => featureOf(number, i, variant));

const shard = (number: number): string => join(out, `features-0000${number}.safetensors`);

/** Flips a bit of a file. */
function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at < 0 ? bytes.length + at : at] = (bytes.at(at) as number) ^ 4;
  writeFileSync(path, bytes);
}

describe('openFeatures', () => {
  it.each(['float32', 'float16', 'bfloat16'] as const)('reads rows of %s in any order', async (dtype) => {
    await writeTestStore(out, { dtype });
    const store = await openFeatures(out);
    expect(store).toMatchObject({
      dtype,
      shape: [6],
      variants: 1,
      numRows: 20,
      numBroken: 0,
      source: 'data-1',
      madeOf: { model: 'abc', imageSize: 224 },
    });
    const wanted = [19, 0, 7, 8, 7, 3];
    expect([...(await store.read(wanted))]).toEqual(wanted.flatMap((number) => row(number)));
    expect(await store.readKeys()).toEqual(Array.from({ length: 20 }, (_, i) => `k${i}`));
    expect(await store.read([])).toEqual(new Float32Array(0));
    await store.close();
  });

  it('reads one variant or another, and latents', async () => {
    await writeTestStore(out, { shape: [2, 3, 3], variants: 3, dtype: 'float16' });
    const store = await openFeatures(out);
    const read = await store.read([9, 2, 9], [2, 0, 1]);
    expect([...read]).toEqual([...row(9, 18, 2), ...row(2, 18, 0), ...row(9, 18, 1)]);
    await expect(store.read([0], [3])).rejects.toThrow('there is no variant 3; they run from 0 to 2');
    await store.close();
  });

  it('streams all rows in order, with those that have no features', async () => {
    await writeTestStore(out, { missing: [0, 9] });
    const store = await openFeatures(out);
    expect(store.numBroken).toBe(2);
    const batches = [];
    for await (const batch of store.batches(7)) batches.push(batch);
    expect(batches.map(({ first, keys }) => [first, keys.length])).toEqual([
      [0, 7],
      [7, 7],
      [14, 6],
    ]);
    expect(batches.map(({ missing }) => [...missing.keys()])).toEqual([[0], [9], []]);
    const values = batches.flatMap((batch) => [...batch.values]);
    const expected = Array.from({ length: 20 }, (_, i) => ([0, 9].includes(i) ? [0, 0, 0, 0, 0, 0] : row(i)));
    expect(values).toEqual(expected.flat());
    expect(await store.look([9, 10])).toEqual([
      { key: 'k9', missing: { broken: true, reason: 'It is broken.' } },
      { key: 'k10', missing: undefined },
    ]);
    await expect(store.read([3, 9])).rejects.toThrow(/row 9 \(k9\) has no features: It is broken\./);
    await expect(store.read([20])).rejects.toThrow('there is no row 20; rows run from 0 to 19');
    await store.close();
  });

  it('is a safetensors file that Python reads: header, types, shapes, no holes', async () => {
    await writeTestStore(out, { dtype: 'bfloat16', shape: [3], variants: 2 });
    const bytes = readFileSync(shard(2));
    const length = Number(bytes.readBigUInt64LE(0));
    const { __metadata__: metadata, ...tensors } = JSON.parse(bytes.toString('utf8', 8, 8 + length));
    expect(metadata).toMatchObject({ format: 'capstan-features-1', shard: '2' });
    expect(tensors).toMatchObject({
      checksums: { dtype: 'U32', shape: [4, 2] },
      keyEnds: { dtype: 'U32', shape: [4] },
      keyBytes: { dtype: 'U8', shape: [16] },
      features: { dtype: 'BF16', shape: [4, 2, 3] },
    });
    let at = 0;
    for (const {
      data_offsets: [begin, end],
    } of Object.values(tensors) as { data_offsets: number[] }[]) {
      expect(begin).toBe(at);
      at = end as number;
    }
    expect(8 + length + at).toBe(bytes.length);
    expect((8 + length + tensors.features.data_offsets[0]) % 8).toBe(0);
  });

  it('says what is wrong: no store, an unfinished one, a shard gone, cut off or damaged', async () => {
    await expect(openFeatures(out)).rejects.toThrow(/there is no store of features \(no features\.json\)/);
    await writeTestStore(out);
    flip(shard(1), -1);
    const store = await openFeatures(out);
    expect([...(await store.read([14]))]).toEqual(row(14));
    await expect(store.read([14, 15])).rejects.toThrow(
      /features-00001\.safetensors: row 15 \(k15\) is damaged: its features do not have their checksum/,
    );
    await store.close();
    flip(shard(0), 200);
    const other = await openFeatures(out);
    await expect(other.read([0])).rejects.toThrow(
      /features-00000\.safetensors: the shard is damaged: the SHA-256/,
    );
    await other.close();
    truncateSync(shard(2), 200);
    await expect(openFeatures(out)).rejects.toThrow(
      /features-00002\.safetensors: the shard is cut off or damaged/,
    );
    rmSync(shard(2));
    await expect(openFeatures(out)).rejects.toThrow(/features-00002\.safetensors: the shard is gone/);
    const manifest = JSON.parse(readFileSync(join(out, 'features.json'), 'utf8'));
    manifest.shards[1] = null;
    writeFileSync(join(out, 'features.json'), JSON.stringify(manifest));
    await expect(openFeatures(out)).rejects.toThrow('the store is unfinished: 2 of 3 shards are there');
    manifest.shards.pop();
    writeFileSync(join(out, 'features.json'), JSON.stringify(manifest));
    await expect(openFeatures(out)).rejects.toThrow('20 rows, 8 to a shard, are 3 shards; it lists 2');
    writeFileSync(join(out, 'features.json'), '{"format":');
    await expect(openFeatures(out)).rejects.toThrow(DataError);
  });

  it('finds every bit that is flipped in a shard, and does not read one of another store', async () => {
    await writeTestStore(out, { numRows: 4, shape: [2] });
    const path = shard(0);
    const whole = readFileSync(path);
    for (let at = 0; at < whole.length; at++) {
      const bytes = Buffer.from(whole);
      bytes[at] = (bytes[at] as number) ^ (1 << (at % 8));
      writeFileSync(path, bytes);
      const store = await openFeatures(out);
      await expect(store.read([0, 1, 2, 3])).rejects.toThrow(DataError);
      await store.close();
    }
    writeFileSync(path, whole);
    const other = join(root, `store-${count++}`);
    await writeTestStore(other, { numRows: 4, shape: [2], madeOf: { model: 'abd', imageSize: 224 } });
    writeFileSync(path, readFileSync(join(other, 'features-00000.safetensors')));
    const store = await openFeatures(out);
    await expect(store.read([0])).rejects.toThrow('the shard is damaged');
    await store.close();
  });
});

describe('writeFeatures', () => {
  it('refuses a directory of other data, another model or other settings, and names what differs', async () => {
    await writeTestStore(out);
    const refused = async (change: Parameters<typeof writeTestStore>[1]): Promise<string> => {
      const error = await writeTestStore(out, change).then(
        () => new Error('it was written'),
        (cause: Error) => cause,
      );
      expect(error).toBeInstanceOf(ConfigError);
      return error.message;
    };
    expect(await refused({ source: 'data-2' })).toContain('data: is "data-1", expected "data-2"');
    expect(await refused({ madeOf: { model: 'xyz', imageSize: 224 } })).toContain(
      'made of model: is "abc", expected "xyz"',
    );
    expect(await refused({ madeOf: { model: 'abc', imageSize: 256, crop: 'centre' } })).toMatch(
      /made of imageSize: is 224, expected 256; made of crop: is absent, expected "centre"/,
    );
    expect(await refused({ dtype: 'float16' })).toContain('dtype: is "float32", expected "float16"');
    expect(await refused({ shape: [7] })).toContain('shape: is [6], expected [7]');
    expect(await refused({ numRows: 21 })).toContain('rows: is 20, expected 21');
    const strange = join(root, 'strange');
    const { mkdirSync } = await import('node:fs');
    mkdirSync(strange);
    writeFileSync(join(strange, 'thesis.tex'), '');
    await expect(writeTestStore(strange)).rejects.toThrow('it holds thesis.tex and no features.json');
  });

  it('says what is wrong with features: size, number, not finite, too large', async () => {
    const write = (values: number[], change = {}) =>
      writeTestStore(join(root, `store-${count++}`), {
        numRows: 1,
        shape: [2],
        rows: () => [{ key: 'k0', values: Float32Array.from(values) }],
        ...change,
      });
    await expect(write([1])).rejects.toThrow(ShapeError);
    await expect(write([1, Number.NaN])).rejects.toThrow(NumericError);
    await expect(write([1, Number.NaN])).rejects.toThrow(
      'The features of k0 hold NaN; expected finite numbers',
    );
    await expect(write([1, 70_000], { dtype: 'float16' })).rejects.toThrow('too large for float16');
    await write([1, 70_000], { dtype: 'bfloat16' });
    await expect(write([1, 2], { numRows: 2 })).rejects.toThrow(
      'Asked for the rows 0 to 1: expected 2, found 1',
    );
    await expect(write([1, 2], { shape: [] })).rejects.toThrow(ConfigError);
  });

  it('makes anew what is damaged, gone or left over, and nothing else', async () => {
    await writeTestStore(out);
    const whole = readdirSync(out).map((name) => [name, readFileSync(join(out, name), 'utf8')]);
    rmSync(shard(0));
    flip(shard(2), 300);
    writeFileSync(join(out, 'features-00001.safetensors.abcd.part'), 'half');
    const asked: number[] = [];
    const told: string[] = [];
    const spec = {
      source: 'data-1',
      madeOf: { model: 'abc', imageSize: 224 },
      dtype: 'float32',
      shape: [6],
      variants: 1,
      numRows: 20,
    } as const;
    const writer = await FeatureWriter.open(out, spec, { warn: (message) => told.push(message) });
    expect(writer.missing).toEqual([0, 2]);
    expect(writer.done).toEqual({ rows: 8, broken: 0, noCaption: 0 });
    await expect(
      writer.writeShard(0, { keys: ['k0'], values: new Float32Array(6), missing: new Map() }),
    ).rejects.toThrow(ShapeError);
    await writer.close();
    expect(told).toEqual([
      expect.stringContaining('expected 688 bytes, found no file. It is made anew.'),
      expect.stringContaining('features-00002.safetensors is damaged. It is made anew.'),
    ]);
    await writeTestStore(out, {
      rows: function* (first, end) {
        for (let number = first; number < end; number++) {
          asked.push(number);
          yield { key: `k${number}`, values: Float32Array.from(row(number)) };
        }
      },
    });
    expect(asked).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19]);
    expect(readdirSync(out).map((name) => [name, readFileSync(join(out, name), 'utf8')])).toEqual(whole);
  });

  it('is refused while another writes, and not afterwards', async () => {
    const spec = { source: 's', madeOf: {}, dtype: 'float32', shape: [1], variants: 1, numRows: 1 } as const;
    // This process's own lock could be one left by another of its number; a parent's is not.
    const { writeFile, mkdir } = await import('node:fs/promises');
    const { hostname } = await import('node:os');
    await mkdir(out);
    await writeFile(join(out, '.lock'), JSON.stringify({ pid: process.ppid, host: hostname(), token: 'x' }));
    await expect(FeatureWriter.open(out, spec)).rejects.toThrow(
      `Process ${process.ppid} on ${hostname()} writes`,
    );
    rmSync(join(out, '.lock'));
    const writer = await FeatureWriter.open(out, spec);
    expect(writer.missing).toEqual([0]);
    await writer.close();
    expect(readdirSync(out)).toEqual([]);
  });
});
