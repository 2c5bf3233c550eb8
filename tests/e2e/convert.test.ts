/** `capstan data convert`, `mix` and `bench` as a user runs them. */
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSource } from '../../src/index.js';
import { buildData, capstan, capstanWithin, start, writeTinyConfig } from '../support/cli.js';

const root = mkdtempSync(join(tmpdir(), 'capstan-convert-'));
const data = join(root, 'set');
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeAll(() => buildData(data));

/** The SHA-256 of every file below, by its path. */
function digests(directory: string): Record<string, string> {
  const files = readdirSync(directory, { recursive: true }).map(String).sort();
  return Object.fromEntries(
    files.flatMap((name) => {
      const path = join(directory, name);
      if (statSync(path).isDirectory()) return [];
      // The name of the set is that of its directory.
      const text = readFileSync(path, 'latin1').replace(/"name": "[^"]*",\n {2}"version"/, '"version"');
      return [[name, createHash('sha256').update(text, 'latin1').digest('hex')]];
    }),
  );
}

const convert = (out: string, ...more: string[]): string[] => [
  ...['data', 'convert', data, '--out', join(root, out), '--shard-rows', '25'],
  ...more,
];

describe('capstan data convert', () => {
  it.each(['webdataset', 'jsonl', 'parquet'])(
    'killed again and again, makes %s as it would have been',
    async (to) => {
      const whole = await capstan(...convert(`${to}-whole`, '--to', to, '--shuffle', '7'));
      expect(whole).toMatchObject({ code: 0 });
      const out = join(root, `${to}-killed`);
      const partial = `${out}.partial`;
      for (let kills = 0; kills < 3 && !existsSync(out); kills++) {
        const running = start(...convert(`${to}-killed`, '--to', to, '--shuffle', '7'));
        const before = existsSync(partial) ? readdirSync(partial).length : 0;
        while (running.process.exitCode === null && !existsSync(out)) {
          if (existsSync(partial) && readdirSync(partial).length > before + 1) break;
          await sleep(5);
        }
        running.process.kill('SIGKILL');
        await running.finished;
      }
      const last = await capstan(...convert(`${to}-killed`, '--to', to, '--shuffle', '7'));
      expect(last).toMatchObject({ code: 0 });
      expect(digests(out)).toEqual(digests(join(root, `${to}-whole`)));
      expect(readdirSync(root).filter((name) => name.includes('.partial'))).toEqual([]);
      const source = await openSource(out, { split: 'test' });
      expect(source.numRows).toBe(28);
      await source.close();
    },
  );

  it('leaves a finished result alone, and refuses other options, naming them', async () => {
    const out = join(root, 'parquet-whole');
    const before = statSync(join(out, 'dataset.json')).mtimeMs;
    const again = await capstan(...convert('parquet-whole', '--to', 'parquet', '--shuffle', '7'));
    expect(again.code).toBe(0);
    expect(again.stdout).toContain('is there already, and whole');
    expect(statSync(join(out, 'dataset.json')).mtimeMs).toBe(before);
    const other = await capstan(...convert('parquet-whole', '--to', 'parquet', '--shuffle', '8'));
    expect(other.code).toBe(2);
    expect(other.stderr).toContain('--shuffle was 7, is 8');
  });

  it('keeps what is whole when the disk is full, and goes on from it', async () => {
    // Shards of 25 pictures take some 60 kB; the whole file of Parquet for 200 does not fit.
    const full = await capstanWithin(40, ...convert('full', '--to', 'webdataset'));
    expect(full.code).toBe(1);
    expect(full.stderr).toMatch(/cannot be written .*Make room/);
    expect(full.stderr).not.toContain('    at ');
    expect((await capstan(...convert('full', '--to', 'webdataset'))).code).toBe(0);
  });

  it('says what is wrong with its options', async () => {
    const unknown = await capstan(...convert('no', '--to', 'csv', '--columns-out', 'key,subgrop'));
    expect(unknown.code).toBe(2);
    expect(unknown.stderr).toContain("did you mean 'subgroup'?");
    const codec = await capstan(...convert('no', '--to', 'csv', '--compression', 'zstd'));
    expect(codec.stderr).toContain("--compression is Parquet's");
    expect(existsSync(join(root, 'no'))).toBe(false);
  });
});

it('capstan data mix shows the mix, its bound and whole batches', async () => {
  const config = await writeTinyConfig(join(root, 'tiny.yaml'), { data, runs: join(root, 'runs') });
  const [json, jsonl] = [join(root, 'mix.json'), join(root, 'mix.jsonl')];
  const flags = ['--dry-run', '--steps', '5', '--show', '1', '--json', json, '--jsonl', jsonl];
  const { code, stdout } = await capstan('data', 'mix', config, '--set', 'data.mixing=batch', ...flags);
  expect(code).toBe(0);
  expect(stdout).toContain('Batch 0, epoch 0');
  const preview = JSON.parse(readFileSync(json, 'utf8'));
  expect(preview).toMatchObject({ steps: 5, samples: 40, epochs: 1, repeatedKeys: { count: 0 } });
  expect(preview.kinds.map(({ kind, configured, within }: never) => [kind, configured, within])).toEqual([
    ['alt', 0.5, true],
    ['ssc', 0.5, true],
  ]);
  const lines = readFileSync(jsonl, 'utf8').trim().split('\n');
  const batches = lines.map((line) => JSON.parse(line));
  expect(batches.map(({ step, indexInEpoch }) => [step, indexInEpoch])).toEqual(
    [0, 1, 2, 3, 4].map((step) => [step, expect.any(Number)]),
  );
  for (const { keys, kinds } of batches) {
    expect(new Set(keys).size).toBe(8);
    expect(kinds.filter((kind: string) => kind === 'alt')).toHaveLength(4);
  }
});

it('capstan data bench measures the loader and says what bounds it', async () => {
  const json = join(root, 'bench.json');
  const flags = ['--batch', '8', '--size', '32', '--steps', '3', '--workers', '1', '--json', json];
  const { code, stdout } = await capstan('data', 'bench', data, '--split', 'train', ...flags);
  expect(code).toBe(0);
  expect(stdout).toContain('3 batches of 8 at 32 pixels');
  expect(stdout).toContain('What bounds it is');
  const { stages, limits, imgPerSec, residentBytes } = JSON.parse(readFileSync(json, 'utf8'));
  for (const figure of [...Object.values(stages), ...Object.values(limits), imgPerSec, residentBytes.end]) {
    expect(figure).toBeGreaterThan(0);
  }
});
