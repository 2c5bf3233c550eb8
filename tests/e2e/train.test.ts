/** `capstan train` as a user runs it: what a run leaves, and what a dry run says. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { readSafetensors } from '../../src/safetensors.js';
import { buildData, capstan, checkpointOf, loggedRows, set, writeTinyConfig } from '../support/cli.js';
import { readEvents } from '../support/tensorboard.js';

const STEPS = 20;

let root = '';
let config = '';
let run = '';
/** What `capstan train` was given, besides the configuration. */
let sets: string[] = [];
let stdout = '';

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'capstan-train-'));
  await buildData(join(root, 'data'));
  config = await writeTinyConfig(join(root, 'tiny.yaml'), {
    data: join(root, 'data'),
    runs: join(root, 'runs'),
    steps: STEPS,
  });
  run = join(root, 'runs', 'first');
  sets = set(
    'run.name=first',
    'train.seed=7',
    'train.lr=2e-3',
    'data.captions={alt: 0.25, ssc: 0.75}',
    'checkpoint.keepLast=2',
    'checkpoint.keepBest=val/retrieval/textToImageR5',
    'eval.every=8',
    'eval.retrieval=true',
  );
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('capstan train --dry-run', () => {
  it('prints shapes, parameters, memory, FLOPs and the mix, with overrides, and writes nothing', async () => {
    const dry = await capstan('train', config, ...sets, '--dry-run');
    expect(dry.code, dry.stderr).toBe(0);
    for (const line of [
      /^model +emoji-tiny: [\d,]+ parameters in \d+ tensors$/m,
      /^image tower +\[8, 32, 32, 3\] → 5 tokens × 16, depth 1 → \[8, 16\]$/m,
      /^text tower +\[8, 16\] → 16 tokens × 16, depth 1 → \[8, 16\]$/m,
      /^memory +[\d.]+ MiB parameters, gradients and moments; about [\d.]+ KiB activations$/m,
      /^compute +[\d.]+ [kMG]FLOP a sample, [\d.]+ [MGT]FLOP a step, [\d.]+ [MGTP]FLOP in all$/m,
      /^data +.*data, split train: \d+ samples$/m,
      /^captions +alt 25\.0%, ssc 75\.0%$/m,
      /^run +20 steps of 8 = 160 samples, [\d.]+ epochs, fp32$/m,
      /^folder +.*runs\/first$/m,
    ]) {
      expect(dry.stdout).toMatch(line);
    }
    expect((await readdir(root)).sort()).toEqual(['data', 'tiny.yaml']);
  });

  it('expects less memory where blocks are computed again', async () => {
    const activations = async (remat: boolean): Promise<number> => {
      const deep = set('model.vision.depth=4', 'model.text.depth=4', `train.remat=${remat}`);
      const { stdout } = await capstan('train', config, ...deep, '--dry-run');
      return Number(/about ([\d.]+) KiB activations/.exec(stdout)?.[1]);
    };
    // Of a block's values one in 14 is its input, attention's weights not counted; one block is whole.
    expect((await activations(true)) / (await activations(false))).toBeCloseTo(1 / 14 + 1 / 4, 1);
  });
});

describe('capstan train', () => {
  beforeAll(async () => {
    const finished = await capstan('train', config, ...sets);
    expect(finished.code, finished.stderr).toBe(0);
    stdout = finished.stdout;
  });

  it('ends with the figures of the last evaluation and where the run is', async () => {
    const last = (await loggedRows(run, 'eval.jsonl')).at(-1) as Record<string, number>;
    expect(stdout).toContain(
      `val/retrieval/textToImageR5  ${last['val/retrieval/textToImageR5']?.toFixed(4)}\n`,
    );
    expect(stdout).toContain(`Done: 20 steps, 160 samples. Run: ${run}`);
    expect(stdout).not.toContain('passed over');
  });

  it('saves the configuration with every default and override, from which the same run can be made', async () => {
    const saved = parse(await readFile(join(run, 'config.yaml'), 'utf8')) as Record<string, unknown>;
    expect(saved).toMatchObject({
      data: { captions: { alt: 0.25, ssc: 0.75 }, split: 'train', prefetch: 4 },
      train: { lr: 2e-3, seed: 7, beta2: 0.98, schedule: 'cosine' },
      checkpoint: { every: 2, keepLast: 2 },
    });
    const again = await capstan('train', join(run, 'config.yaml'), '--dry-run');
    const original = await capstan('train', config, ...sets, '--dry-run');
    expect(again.code, again.stderr).toBe(0);
    expect(again.stdout).toBe(original.stdout);
  });

  it('saves versions, device and seed', async () => {
    const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
    const versions = JSON.parse(await readFile(join(run, 'versions.json'), 'utf8')) as Record<
      string,
      unknown
    >;
    expect(versions).toMatchObject({ capstan: version, node: process.version, device: 'cpu', seed: 7 });
    expect(versions.tensorflow).toMatch(/^2\.\d+\.\d+/);
    expect(versions.threads).toBeGreaterThan(0);
  });

  it('logs each step: loss, rate, times, the mix it really had, lengths and what was cut', async () => {
    const rows = (await loggedRows(run)) as (Record<string, number> & { mix: Record<string, number> })[];
    expect(rows.map(({ step }) => step)).toEqual(Array.from({ length: STEPS }, (_, i) => i + 1));
    const mean = (values: number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;
    for (const row of rows) {
      for (const name of ['loss', 'gradNorm', 'lr', 'logitScale', 'stepMs', 'dataWaitMs', 'imgPerSec']) {
        expect(row[name], name).toBeGreaterThanOrEqual(0);
      }
      expect(mean(Object.values(row.mix)) * Object.keys(row.mix).length).toBeCloseTo(1, 9);
      expect(row.tokensMean).toBeGreaterThan(2);
    }
    expect(rows.map(({ samplesSeen }) => samplesSeen)).toEqual(rows.map(({ step }) => 8 * (step as number)));
    expect(rows.at(-1)?.skipped).toBe(0);
    expect(rows.at(-1)?.epoch).toBeGreaterThan(0);
    // 160 draws of a quarter: the standard deviation is 0.034.
    const realised = mean(rows.map(({ mix }) => mix.alt ?? 0));
    expect(Math.abs(realised - 0.25)).toBeLessThan(4 * 0.034);
    const cut = rows.map((row) => row.truncatedShare as number);
    expect(Math.max(...cut), 'captions over 16 tokens are cut').toBeGreaterThan(0);
    expect(Math.max(...cut)).toBeLessThanOrEqual(1);
    expect(mean(rows.slice(-5).map((row) => row.loss as number))).toBeLessThan(
      mean(rows.slice(0, 5).map((row) => row.loss as number)),
    );
  });

  it('writes the same for TensorBoard', async () => {
    const [file] = (await readdir(run)).filter((name) => name.startsWith('events.out.tfevents.'));
    const events = readEvents(await readFile(join(run, file as string)));
    const rows = await loggedRows(run);
    const losses = events.filter(({ scalars }) => 'train/loss' in scalars);
    expect(losses.map(({ step, scalars }) => [step, scalars['train/loss']])).toEqual(
      rows.map(({ step, loss }) => [step, Math.fround(loss as number)]),
    );
    expect(losses[0]?.scalars).toHaveProperty(['train/mix/ssc']);
    const evaluated = events.filter(({ scalars }) => 'eval/val/retrieval/textToImageR5' in scalars);
    expect(evaluated.map(({ step }) => step)).toEqual([8, 16, 20]);
  });

  it('keeps the newest checkpoints and the best, with tensors by their names', async () => {
    const { best } = JSON.parse(await readFile(join(checkpointOf(run, STEPS), 'state.json'), 'utf8')) as {
      best: { metric: string; value: number; step: number };
    };
    const evaluations = await loggedRows(run, 'eval.jsonl');
    const values = evaluations.map((row) => row[best.metric] as number);
    expect(best.value).toBe(Math.max(...values));
    expect(best.step).toBe(evaluations[values.indexOf(best.value)]?.step);
    const kept = await readdir(join(run, 'checkpoints'));
    const expected = new Set([best.step, 18, 20].map((step) => `step-${String(step).padStart(8, '0')}`));
    expect(kept.sort()).toEqual([...expected].sort());
    const { tensors } = await readSafetensors(join(checkpointOf(run, STEPS), 'model.safetensors'));
    expect(tensors.get('visual.conv1.weight')?.shape).toEqual([16, 3, 16, 16]);
    expect(tensors.get('token_embedding.weight')?.shape).toEqual([49408, 16]);
    expect(existsSync(join(run, '.lock'))).toBe(false);
  });
});
