/** `capstan data build emoji` as a user runs it: the compiled command line, on small sets. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Manifest, readManifest } from '../../src/data/datasets/manifest.js';
import { openSource } from '../../src/data/datasets/open.js';
import { decodeImage } from '../../src/data/image/decode.js';
import { captionKinds, type Row, splits } from '../../src/data/schema.js';
import { DataError } from '../../src/errors.js';

const root = mkdtempSync(join(tmpdir(), 'capstan-data-'));
const out = join(root, 'set');
afterAll(() => rmSync(root, { recursive: true, force: true }));

function start(...args: string[]): ChildProcess {
  return spawn(process.execPath, ['dist/cli/main.js', 'data', 'build', 'emoji', ...args]);
}

async function finish(child: ChildProcess): Promise<{ code: number | null; stdout: string; stderr: string }> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (text: Buffer) => {
    stdout += text.toString();
  });
  child.stderr?.on('data', (text: Buffer) => {
    stderr += text.toString();
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

const build = (...args: string[]) => finish(start(...args));

async function manifestOf(directory: string): Promise<Manifest> {
  const manifest = await readManifest(directory);
  if (manifest === undefined) throw new Error(`${directory} has no manifest`);
  return manifest;
}

async function rowsOf(format: 'arrow' | 'parquet', split: string): Promise<Row[]> {
  const source = await openSource(out, { format, split });
  try {
    return await source.readRows([...Array(source.numRows).keys()], source.columns);
  } finally {
    await source.close();
  }
}

/** Names beside the data set that a build left there. */
const leftBehind = (directory: string): string[] =>
  readdirSync(directory).filter((name) => name.startsWith('.'));

/** Waits until a build has begun to work in its directory, which is hidden beside its target. */
async function untilWorking(directory: string): Promise<void> {
  for (let i = 0; i < 600 && leftBehind(directory).length === 0; i++) await sleep(50);
  expect(leftBehind(directory)).toHaveLength(1);
}

describe('capstan data build emoji', () => {
  let stdout = '';
  beforeAll(async () => {
    const built = await build('--out', out, '--limit', '12', '--size', '32', '--seed', '3');
    expect(built).toMatchObject({ code: 0 });
    stdout = built.stdout;
  });

  it('says what it built: rows, splits, and each style with its licence', async () => {
    const { rows, art } = await manifestOf(out);
    expect(stdout).toContain(`${rows} pictures`);
    for (const [name, { licence, images }] of Object.entries(art)) {
      const line = stdout.split('\n').find((text) => text.trim().startsWith(`${name} `));
      expect(line).toContain(licence);
      expect(line).toContain(` ${images} `);
    }
  });

  it('lists every shard with its true size, checksum and number of rows', async () => {
    const { shards, rows } = await manifestOf(out);
    expect(readdirSync(out).sort()).toEqual(['dataset.json', ...shards.map(({ name }) => name)].sort());
    for (const { name, bytes, sha256 } of shards) {
      const content = readFileSync(join(out, name));
      expect(content.length).toBe(bytes);
      expect(createHash('sha256').update(content).digest('hex')).toBe(sha256);
    }
    for (const format of ['arrow', 'parquet']) {
      const ofFormat = shards.filter((shard) => shard.format === format);
      expect(ofFormat.reduce((sum, shard) => sum + shard.rows, 0)).toBe(rows);
    }
  });

  it('holds the same rows as Arrow and as Parquet', async () => {
    // An empty list is written as no value by the Parquet writer.
    const comparable = (rows: Row[]) => rows.map((row) => ({ ...row, captions: row.captions ?? [] }));
    for (const split of splits) {
      expect(comparable(await rowsOf('parquet', split))).toEqual(comparable(await rowsOf('arrow', split)));
    }
  });

  it('splits by style: one to validate with, two to test with, none of them trained on', async () => {
    const styles: Record<string, Set<unknown>> = {};
    for (const split of splits) {
      const rows = await rowsOf('arrow', split);
      expect(rows.every((row) => row.split === split)).toBe(true);
      styles[split] = new Set(rows.map(({ style }) => style));
    }
    const { train = new Set(), val = new Set(), test = new Set() } = styles;
    expect(train.size).toBe(3);
    expect(val.size).toBe(1);
    expect(test.size).toBe(2);
    expect(new Set([...train, ...val, ...test]).size).toBe(6);
  });

  it('gives each row a key of its own, a picture of the size asked for, and its captions', async () => {
    const keys = new Set<unknown>();
    for (const split of splits) {
      for (const row of await rowsOf('arrow', split)) {
        keys.add(row.key);
        const image = await decodeImage(row.image as Uint8Array);
        expect([image.width, image.height]).toEqual([32, 32]);
        expect(row.caption_source).toBe('rules');
        for (const kind of captionKinds) {
          // Only AltText may be empty: on the web it often is.
          if (kind !== 'alt') expect(row[kind], `${String(row.key)} ${kind}`).toMatch(/\w/);
        }
        if (split !== 'train') expect(new Set(row.captions as string[]).size).toBe(5);
      }
    }
    expect(keys.size).toBe((await manifestOf(out)).rows);
  });

  it('has three pictures of each drawing to train on, one of each other, or as many as --renderings says', async () => {
    const keysOf = async (split: string) => (await rowsOf('arrow', split)).map(({ key }) => key);
    const trained = await keysOf('train');
    const drawings = new Set(trained.map((key) => String(key).split('/', 2).join('/')));
    expect(trained).toHaveLength(3 * drawings.size);
    for (const split of ['val', 'test']) {
      for (const key of await keysOf(split)) expect(key).toMatch(/^[a-z]+\/[0-9a-f-]+$/);
    }
    const directory = join(root, 'five');
    const options = ['--out', directory, '--limit', '1', '--size', '32', '--renderings', '5'];
    expect((await build(...options, '--format', 'arrow')).code).toBe(0);
    const source = await openSource(directory, { split: 'train' });
    const keys = (await source.readColumn('key')).filter((key) => String(key).startsWith('openmoji/'));
    await source.close();
    const first = String(keys[0]);
    expect(keys).toEqual([first, `${first}/1`, `${first}/2`, `${first}/3`, `${first}/4`]);
  });

  it('is the same to the byte for the same seed, and another set for another', async () => {
    const digests = async (seed: string) => {
      const directory = join(root, `seed-${seed}`);
      const options = ['--out', directory, '--limit', '12', '--size', '32', '--seed', seed, '--workers', '1'];
      expect((await build(...options)).code).toBe(0);
      return (await manifestOf(directory)).shards.map(({ name, sha256 }) => `${name} ${sha256}`);
    };
    const ours = (await manifestOf(out)).shards.map(({ name, sha256 }) => `${name} ${sha256}`);
    expect(await digests('3')).toEqual(ours);
    const other = await digests('4');
    expect(other.filter((line) => ours.includes(line))).toEqual([]);
  });

  it('refuses to replace a directory that is no data set, and leaves it alone', async () => {
    const precious = mkdtempSync(join(root, 'precious-'));
    writeFileSync(join(precious, 'thesis.txt'), 'years of work');
    const { code, stderr } = await build('--out', precious, '--limit', '2', '--size', '32');
    expect(code).toBe(2);
    expect(stderr).toContain(precious);
    expect(stderr).toContain('dataset.json');
    expect(stderr).not.toContain('    at ');
    expect(readdirSync(precious)).toEqual(['thesis.txt']);
  });

  it.each([
    ['a size out of range', ['--size', '4'], '--size'],
    ['a size that is no number', ['--size', 'big'], '--size'],
    ['no concepts', ['--limit', '0'], '--limit'],
    ['no pictures', ['--renderings', '0'], '--renderings'],
    ['an unknown format', ['--format', 'tar'], '--format'],
  ])('names the option for %s, and builds nothing', async (_what, options, named) => {
    const directory = join(root, 'never');
    const { code, stderr } = await build('--out', directory, ...options);
    expect(code).not.toBe(0);
    expect(stderr).toContain(named);
    expect(stderr).not.toContain('    at ');
    expect(existsSync(directory)).toBe(false);
  });

  it('leaves an earlier set whole when it is killed, and cleans up in the next build', async () => {
    const home = mkdtempSync(join(root, 'killed-'));
    const set = join(home, 'set');
    expect((await build('--out', set, '--limit', '2', '--size', '32')).code).toBe(0);
    const before = readFileSync(join(set, 'dataset.json'), 'utf8');

    const child = start('--out', set, '--size', '32');
    const ended = finish(child);
    await untilWorking(home);
    child.kill('SIGKILL');
    await ended;
    expect(readFileSync(join(set, 'dataset.json'), 'utf8')).toBe(before);
    const source = await openSource(set, { split: 'train' });
    expect(source.numRows).toBeGreaterThan(0);
    await source.close();

    expect((await build('--out', set, '--limit', '3', '--size', '32')).code).toBe(0);
    expect(leftBehind(home)).toEqual([]);
    expect(readFileSync(join(set, 'dataset.json'), 'utf8')).not.toBe(before);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('stops at %s with code %i and leaves nothing', async (signal, exitCode) => {
    const home = mkdtempSync(join(root, 'stopped-'));
    const child = start('--out', join(home, 'set'), '--size', '32');
    const ended = finish(child);
    await untilWorking(home);
    child.kill(signal);
    expect((await ended).code).toBe(exitCode);
    expect(readdirSync(home)).toEqual([]);
  });

  it('is refused with the name of the shard once a shard is cut off', async () => {
    const directory = join(root, 'cut');
    expect((await build('--out', directory, '--limit', '2', '--size', '32')).code).toBe(0);
    for (const { name, format, split, bytes } of (await manifestOf(directory)).shards) {
      truncateSync(join(directory, name), bytes - 100);
      const opened = openSource(directory, { format, split });
      await expect(opened).rejects.toThrow(DataError);
      await expect(opened).rejects.toThrow(name);
    }
  });
});
