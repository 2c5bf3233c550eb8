/** `capstan data embed` as a user runs it, killed and gone on with, and evaluations that keep embeddings. */
import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLoader, openFeatures, openSource, readFeatures } from '../../src/index.js';
import { buildData, capstan, follow, start, writeTinyConfig } from '../support/cli.js';

const root = mkdtempSync(join(tmpdir(), 'capstan-features-e2e-'));
const data = join(root, 'emoji');
const run = join(root, 'runs', 'tiny');
afterAll(() => rmSync(root, { recursive: true, force: true }));

beforeAll(async () => {
  await buildData(data);
  const config = await writeTinyConfig(join(root, 'tiny.yaml'), { data, runs: join(root, 'runs') });
  expect(await capstan('train', config)).toMatchObject({ code: 0 });
});

const embed = (out: string, ...args: string[]): string[] => [
  ...['data', 'embed', data, '--run', run, '--out', join(root, out), '--split', 'train', ...args],
];

const filesOf = (path: string): unknown =>
  readdirSync(path)
    .sort()
    .map((name) => [name, readFileSync(join(path, name), 'base64')]);

describe('capstan data embed', () => {
  it('keeps the embeddings of a split, which have length 1, and labels are read beside them', async () => {
    const result = await capstan(...embed('whole'));
    expect(result).toMatchObject({ code: 0 });
    expect(result.stdout).toMatch(/whole: (\d+) of \1 rows; \1 embedded in \d+\.\d s\n$/);
    const source = await openSource(data, { split: 'train' });
    const { features, labels, shape, keys } = await readFeatures(join(root, 'whole'), {
      source,
      column: 'label',
    });
    expect(shape).toEqual([16]);
    expect(keys).toHaveLength(source.numRows);
    expect(labels).toEqual(await source.readColumn('label'));
    for (let row = 0; row < keys.length; row++) {
      expect(Math.hypot(...features.subarray(row * 16, (row + 1) * 16))).toBeCloseTo(1, 5);
    }
    const store = await openFeatures(join(root, 'whole'));
    expect(store.madeOf).toMatchObject({
      input: 'image',
      imageSize: 32,
      transform: 'eval',
      preset: 'emoji-tiny',
    });
    const loader = await createLoader({
      source,
      features: store,
      contextLength: 16,
      captions: { alt: 0.5, ssc: 0.5 },
      batchSize: 8,
      seed: 1,
    });
    const batch = await loader.next();
    expect(batch.features).toEqual(await store.read(batch.keys.map((key) => keys.indexOf(key))));
    await loader.close();
    await store.close();
    await source.close();
    expect((await capstan(...embed('whole'))).stdout).toMatch(/; 0 embedded in .* s, \d+ were there\n$/);
  });

  it('refuses another dtype, model or split in the same place, naming what differs', async () => {
    const whole = join(root, 'whole');
    const refused = async (...args: string[]): Promise<string> => {
      const { code, stderr } = await capstan('data', 'embed', data, '--run', run, '--out', whole, ...args);
      expect(code).toBe(2);
      return stderr;
    };
    expect(await refused('--split', 'train', '--dtype', 'float16')).toContain(
      'dtype: is "float32", expected "float16"',
    );
    expect(await refused('--split', 'train', '--checkpoint', '2')).toMatch(
      /made of model: is "[0-9a-f]{64}", expected/,
    );
    expect(await refused('--split', 'val')).toMatch(
      /data: is "[0-9a-f]{64}", expected .*; rows: is \d+, expected/,
    );
    expect(await refused('--split', 'train', '--what', 'picture')).toContain(
      'Allowed choices are image, alt',
    );
  });

  it('embeds captions, and crops as variants', async () => {
    const text = await capstan(...embed('text', '--what', 'ssc', '--dtype', 'bfloat16'));
    expect(text).toMatchObject({ code: 0 });
    const crops = await capstan(...embed('crops', '--variants', '2', '--seed', '3', '--dtype', 'float16'));
    expect(crops).toMatchObject({ code: 0 });
    const store = await openFeatures(join(root, 'crops'));
    expect(store).toMatchObject({ variants: 2, dtype: 'float16', madeOf: { seed: 3 } });
    expect(await store.read([0], [0])).not.toEqual(await store.read([0], [1]));
    await store.close();
  });

  it('leaves on SIGINT and goes on to the same bytes', async () => {
    const running = start(...embed('stopped', '--batch', '1'));
    while (!readdirSync(root).includes('stopped') && running.process.exitCode === null) await delay(5);
    running.process.kill('SIGINT');
    // It may have been done already.
    expect([130, 0]).toContain((await running.finished).code);
    expect(readdirSync(join(root, 'stopped'))).not.toContain('.lock');
    expect(await capstan(...embed('stopped'))).toMatchObject({ code: 0 });
    expect(filesOf(join(root, 'stopped'))).toEqual(filesOf(join(root, 'whole')));
  });

  it('makes anew a shard that was cut off', async () => {
    const out = join(root, 'cut');
    cpSync(join(root, 'whole'), out, { recursive: true });
    truncateSync(join(out, 'features-00000.safetensors'), 1000);
    const { code, stderr } = await capstan(...embed('cut'));
    expect(code).toBe(0);
    expect(stderr).toContain('found 1000. It is made anew.');
    expect(filesOf(out)).toEqual(filesOf(join(root, 'whole')));
  });
});

describe('cacheFeatures', () => {
  /** Embeds by an encoder that takes some milliseconds for each batch, into shards of four rows. */
  const script = (out: string): string => `
    import { cacheFeatures } from ${JSON.stringify(join(process.cwd(), 'dist/index.js'))};
    const encode = async (pixels, count) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return Float32Array.from({ length: 2 * count }, (_, i) => pixels[(i >> 1) * 12 + (i & 1)]);
    };
    const input = { kind: 'image', imageSize: 2, encode };
    const options = { split: 'train', out: ${JSON.stringify(out)}, madeOf: {}, shape: [2], batchSize: 2, shardRows: 4 };
    await cacheFeatures({ source: ${JSON.stringify(data)}, input, ...options, workers: 0 });
  `;
  const embedding = (out: string) =>
    follow(spawn(process.execPath, ['--input-type=module', '-e', script(join(root, out))]));

  it('killed again and again leaves the bytes of one that was not', async () => {
    expect(await embedding('undisturbed').finished).toMatchObject({ code: 0, stderr: '' });
    const killed = join(root, 'killed');
    const numFiles = (): number => (existsSync(killed) ? readdirSync(killed).length : 0);
    for (let kill = 0; kill < 3; kill++) {
      const before = numFiles();
      const running = embedding('killed');
      while (numFiles() < before + 4 && running.process.exitCode === null) await delay(1);
      running.process.kill('SIGKILL');
      expect((await running.finished).signal).toBe('SIGKILL');
      const lock = join(killed, '.lock');
      expect(existsSync(lock)).toBe(true);
      rmSync(lock); // its owner is dead; to wait for that takes three seconds
      await expect(openFeatures(killed)).rejects.toThrow('the store is unfinished');
    }
    const shards = readdirSync(killed).filter((name) => name.endsWith('.safetensors'));
    const times = shards.slice(0, -1).map((name) => statSync(join(killed, name)).mtimeMs);
    expect(await embedding('killed').finished).toMatchObject({ code: 0, stderr: '' });
    expect(filesOf(killed)).toEqual(filesOf(join(root, 'undisturbed')));
    // What was whole was not made anew.
    expect(shards.slice(0, -1).map((name) => statSync(join(killed, name)).mtimeMs)).toEqual(times);
  });
});

describe('capstan eval', () => {
  const evaluate = async (task: string, ...args: string[]) => {
    const json = join(root, `${task}.json`);
    const result = await capstan('eval', task, '--run', run, '--json', json, ...args);
    expect(result).toMatchObject({ code: 0 });
    return { ...result, json: readFileSync(json, 'utf8') };
  };

  it('keeps the embeddings of a split and gives the same results, to the bit, with them as without', async () => {
    const without = await evaluate('zero-shot', '--no-cache');
    expect(readdirSync(run)).not.toContain('features');
    expect((await evaluate('zero-shot')).json).toBe(without.json);
    const [name = ''] = readdirSync(join(run, 'features'));
    expect(name).toMatch(/^test-[0-9a-f]{12}$/);
    const shard = join(run, 'features', name, 'features-00000.safetensors');
    const { mtimeMs } = statSync(shard);
    const retrieval = await evaluate('retrieval');
    expect(statSync(shard).mtimeMs).toBe(mtimeMs);
    expect(retrieval.json).toBe((await evaluate('retrieval', '--no-cache')).json);
    const bytes = readFileSync(shard);
    bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
    writeFileSync(shard, bytes);
    const again = await evaluate('zero-shot');
    expect(again.stderr).toMatch(/is damaged: its features do not have their checksum.* made anew/);
    expect(again.json).toBe(without.json);
  });
});
