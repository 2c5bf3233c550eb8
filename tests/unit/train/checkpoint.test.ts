import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MixRecorder } from '../../../src/data/mix-stats.js';
import { CheckpointError } from '../../../src/errors.js';
import type { HostTensor } from '../../../src/safetensors.js';
import {
  checkpointName,
  listCheckpoints,
  loadCheckpoint,
  newestCheckpoint,
  pruneCheckpoints,
  type RunState,
  saveCheckpoint,
} from '../../../src/train/checkpoint.js';

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'checkpoints-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const state = (step: number): RunState => ({
  step,
  samplesSeen: step * 8,
  skipped: 2,
  noCaption: 3,
  seed: 3,
  model: { kind: 'clip', config: { embedDim: 4 } },
  loader: {
    epoch: 1,
    position: 16,
    broken: 1,
    batches: 5,
    carries: [[0.5, -0.5]],
    seed: 3,
    fingerprint: 'abc',
  },
  best: { metric: 'zeroShot/top1', value: 0.5, step: 1 },
});

const tensors = (value: number): { model: Map<string, HostTensor>; optimizer: Map<string, HostTensor> } => ({
  model: new Map([['w', { shape: [2], data: Float32Array.of(value, 2) }]]),
  optimizer: new Map([['step', { shape: [], data: Int32Array.of(value) }]]),
});

const mix = new MixRecorder().save();

const ignore = (): void => {};

describe('checkpoints', () => {
  it('come back as they were saved', async () => {
    const directory = await saveCheckpoint(root, state(5), tensors(5), mix);
    expect(directory).toBe(join(root, 'step-00000005'));
    const loaded = await loadCheckpoint(directory);
    expect(loaded.state).toEqual(state(5));
    expect(loaded.model).toEqual(tensors(5).model);
    expect(loaded.optimizer).toEqual(tensors(5).optimizer);
    expect(loaded.mix).toEqual(mix);
    expect((await readdir(directory)).sort()).toEqual([
      'mix.json',
      'model.safetensors',
      'optimizer.safetensors',
      'state.json',
    ]);
  });

  it('replace one of the same step', async () => {
    await saveCheckpoint(root, state(5), tensors(5), mix);
    await saveCheckpoint(root, state(5), tensors(6), mix);
    expect((await loadCheckpoint(join(root, checkpointName(5)))).model).toEqual(tensors(6).model);
  });

  it('that are cut off or changed are noticed, by file', async () => {
    const directory = await saveCheckpoint(root, state(5), tensors(5), mix);
    const model = join(directory, 'model.safetensors');
    const whole = await readFile(model);
    await truncate(model, whole.length - 3);
    await expect(loadCheckpoint(directory)).rejects.toThrow(
      `model.safetensors is cut off: expected ${whole.length} bytes, found ${whole.length - 3}`,
    );
    whole[whole.length - 1]! ^= 1;
    await writeFile(model, whole);
    await expect(loadCheckpoint(directory)).rejects.toThrow(/model.safetensors is damaged/);
    await rm(model);
    await expect(loadCheckpoint(directory)).rejects.toThrow(/lacks model.safetensors/);
  });

  it('whose state has a wrong field: one line with the file, the field and what to do', async () => {
    const directory = await saveCheckpoint(root, state(5), tensors(5), mix);
    const path = join(directory, 'state.json');
    const whole = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    const { step: _, ...without } = whole;
    const wrong = async (json: unknown, part: string): Promise<void> => {
      await writeFile(path, JSON.stringify(json));
      const error = await loadCheckpoint(directory).catch((thrown: unknown) => thrown as Error);
      expect(error).toBeInstanceOf(CheckpointError);
      expect((error as Error).message).toBe(
        `${path} is damaged: ${part}. Put the file back from a copy, or take another checkpoint.`,
      );
    };
    await wrong({ ...without, seed: 'x' }, 'step: expected number, received undefined');
    await wrong({ ...whole, loader: { epoch: -1 } }, 'loader.epoch: Too small: expected number to be >=0');
    await wrong([], 'all of it: expected object, received array');
  });

  it('without a readable state are refused', async () => {
    const directory = await saveCheckpoint(root, state(5), tensors(5), mix);
    await appendFile(join(directory, 'state.json'), '}');
    await expect(loadCheckpoint(directory)).rejects.toThrow(/no readable state.json/);
    await writeFile(join(directory, 'state.json'), '{"format":1}');
    await expect(loadCheckpoint(directory)).rejects.toThrow(CheckpointError);
  });

  it('are passed over when damaged, and the one before is used', async () => {
    await saveCheckpoint(root, state(1), tensors(1), mix);
    const damaged = await saveCheckpoint(root, state(2), tensors(2), mix);
    await truncate(join(damaged, 'optimizer.safetensors'), 10);
    const warnings: string[] = [];
    const newest = await newestCheckpoint(root, (message) => warnings.push(message));
    expect(newest?.state.step).toBe(1);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/step-00000002.optimizer.safetensors is cut off/);
  });

  it('are an error when all are damaged, and none when there are none', async () => {
    expect(await newestCheckpoint(join(root, 'absent'), ignore)).toBeUndefined();
    const only = await saveCheckpoint(root, state(1), tensors(1), mix);
    await rm(join(only, 'state.json'));
    await expect(newestCheckpoint(root, ignore)).rejects.toThrow(
      /The only checkpoint under .* is not whole\. Put the files of one back from a copy, or begin anew/,
    );
  });

  it('half written by a killed process are not seen, and swept away', async () => {
    await saveCheckpoint(root, state(1), tensors(1), mix);
    await mkdir(join(root, 'step-00000002.12345.tmp'));
    expect((await newestCheckpoint(root, ignore))?.state.step).toBe(1);
    await pruneCheckpoints(root, 3, []);
    expect(await readdir(root)).toEqual(['step-00000001']);
  });

  it('are pruned to the newest and the best', async () => {
    for (const step of [1, 2, 3, 4]) await saveCheckpoint(root, state(step), tensors(step), mix);
    await pruneCheckpoints(root, 2, [1]);
    expect((await listCheckpoints(root)).map((d) => d.slice(root.length + 1))).toEqual([
      'step-00000001',
      'step-00000003',
      'step-00000004',
    ]);
  });

  it('leave nothing behind when they cannot be written', async () => {
    await writeFile(join(root, 'file'), '');
    await expect(saveCheckpoint(join(root, 'file'), state(1), tensors(1), mix)).rejects.toThrow();
    expect(await readdir(root)).toEqual(['file']);
  });
});
