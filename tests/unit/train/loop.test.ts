import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NumericError } from '../../../src/errors.js';
import { listCheckpoints, loadCheckpoint, newestCheckpoint } from '../../../src/train/checkpoint.js';
import type { Evaluator } from '../../../src/train/evaluator.js';
import { TrainLogger } from '../../../src/train/logging/logger.js';
import { type LoopOptions, type LoopResult, runLoop } from '../../../src/train/loop.js';
import { ToyTask, toyLoader } from './toy.js';

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'loop-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const SEED = 9;
const schedule = { kind: 'cosine', lr: 0.1, warmupSteps: 3, totalSteps: 12 } as const;

interface Setup extends Partial<Omit<LoopOptions, 'task' | 'loader' | 'logger'>> {
  readonly directory?: string;
  readonly task?: ToyTask;
}

/** A run in a folder, going on from its newest checkpoint if there is one, as `--resume auto` does. */
async function run({ directory = root, task = new ToyTask(), ...options }: Setup = {}): Promise<LoopResult> {
  const checkpointRoot = join(directory, 'checkpoints');
  await mkdir(checkpointRoot, { recursive: true });
  const checkpoint = await newestCheckpoint(checkpointRoot, () => {});
  if (checkpoint) task.restore(checkpoint.model, checkpoint.optimizer);
  const logger = new TrainLogger(directory, {
    totalSteps: schedule.totalSteps,
    ...(checkpoint ? { resumeStep: checkpoint.state.step } : {}),
  });
  try {
    return await runLoop({
      task,
      loader: toyLoader(SEED, checkpoint?.state.loader, checkpoint?.mix),
      logger,
      schedule,
      seed: SEED,
      directory,
      checkpointRoot,
      checkpointEvery: 5,
      keepLast: 2,
      keepBest: null,
      evalEvery: null,
      evaluators: [],
      start: checkpoint?.state,
      ...options,
    });
  } finally {
    logger.close();
  }
}

type Row = Record<string, unknown>;

async function rows(directory: string, file = 'metrics.jsonl'): Promise<Row[]> {
  const text = await readFile(join(directory, file), 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Row);
}

/** What does not depend on the clock. */
const untimed = (all: Row[]): Row[] =>
  all.map((row) =>
    Object.fromEntries(
      Object.entries(row).filter(([name]) => !['stepMs', 'dataWaitMs', 'imgPerSec'].includes(name)),
    ),
  );

/** Figures that rise and fall with the step, so that the best is not the last. */
const peaked = (peak: number): Evaluator => {
  let call = 0;
  return {
    name: 'peaked',
    figures: ['val/top1'],
    evaluate: async () => {
      call++;
      return { 'val/top1': 1 - Math.abs(call - peak) / 10 };
    },
  };
};

describe('runLoop', () => {
  it('trains to the last step and saves it', async () => {
    const result = await run();
    expect(result).toMatchObject({ step: 12, samplesSeen: 48, skipped: 2, finished: true });
    expect((await listCheckpoints(join(root, 'checkpoints'))).map((d) => basename(d))).toEqual([
      'step-00000010',
      'step-00000012',
    ]);
    const { state } = await loadCheckpoint(result.checkpoint as string);
    expect(state).toMatchObject({
      step: 12,
      samplesSeen: 48,
      skipped: 2,
      noCaption: 6,
      seed: SEED,
      model: { kind: 'toy' },
    });
    expect(state.loader).toMatchObject({ epoch: 2, position: 2 });
  });

  it('logs what each batch was made of, and the learning rate that the step used', async () => {
    await run();
    const metrics = await rows(root);
    expect(metrics.map((row) => row.step)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
    expect(metrics[0]).toMatchObject({
      epoch: 0,
      samplesSeen: 4,
      mix: { alt: 0.75, ssc: 0.25 },
      tokensMean: 5,
      truncatedShare: 0.25,
      skipped: 0,
      noCaption: 0,
    });
    expect(metrics[0]?.lr).toBeCloseTo(0.1 / 3, 12);
    expect(metrics[2]?.lr).toBeCloseTo(0.1, 12);
    expect(metrics[2]?.skipped).toBe(1);
    expect(metrics[1]?.noCaption).toBe(2);
    expect(metrics[11]?.epoch).toBe(2);
    for (const row of metrics) expect(row.dataWaitMs as number).toBeLessThanOrEqual(row.stepMs as number);
  });

  it('logs what each epoch was made of when it ends, and the last so far', async () => {
    await run();
    const epochs = await rows(root, 'data.jsonl');
    expect(epochs.map(({ step, epoch, samples }) => [step, epoch, samples])).toEqual([
      [5, 0, 20],
      [10, 1, 20],
      [12, 2, 8],
    ]);
    expect(epochs[0]).toMatchObject({
      ratios: { alt: 0.75, ssc: 0.25 },
      skips: { 'cut off': 1 },
      noCaption: 2,
    });
  });

  it('goes on after a stop at any step as if it had not stopped', async () => {
    const whole = join(root, 'whole');
    const expectedTask = new ToyTask();
    await run({ directory: whole, task: expectedTask });
    const expectedRows = untimed(await rows(whole));
    let attempt = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 11 }), { minLength: 1, maxLength: 3 }),
        async (stops) => {
          const directory = join(root, `stopped-${attempt++}`);
          for (const stop of [...stops].sort((a, b) => a - b)) {
            const controller = new AbortController();
            const task = new StoppingTask(controller, stop);
            await run({ directory, task, signal: controller.signal });
          }
          const task = new ToyTask();
          expect(await run({ directory, task })).toMatchObject({ step: 12, finished: true });
          expect(task.modelTensors()).toEqual(expectedTask.modelTensors());
          expect(task.optimizerTensors()).toEqual(expectedTask.optimizerTensors());
          expect(untimed(await rows(directory))).toEqual(expectedRows);
          expect(await rows(directory, 'data.jsonl')).toEqual(await rows(whole, 'data.jsonl'));
        },
      ),
      { numRuns: 15 },
    );
  });

  it('goes on after a crash between checkpoints, and repeats what was lost in the same way', async () => {
    const whole = join(root, 'whole');
    const expectedTask = new ToyTask();
    await run({ directory: whole, task: expectedTask });
    const crashed = join(root, 'crashed');
    await expect(run({ directory: crashed, task: new CrashingTask(8) })).rejects.toThrow('power cut');
    const task = new ToyTask();
    await run({ directory: crashed, task });
    expect(task.steppedKeys[0]).toBe('e1-b0-0');
    expect(task.modelTensors()).toEqual(expectedTask.modelTensors());
    expect(untimed(await rows(crashed))).toEqual(untimed(await rows(whole)));
    expect(await rows(crashed, 'data.jsonl')).toEqual(await rows(whole, 'data.jsonl'));
  });

  it('stops at a loss that is not finite, and keeps the last good checkpoint', async () => {
    const error = await run({ task: new ToyTask(7) }).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(NumericError);
    const { message } = error as NumericError;
    expect(message).toContain('Step 8: the loss is NaN');
    expect(message).toContain('Not finite after it: w.');
    expect(message).toContain('e1-b2-0, e1-b2-1, e1-b2-2, e1-b2-3');
    const path = join(root, 'nan-step-8.json');
    expect(message).toContain(`All 4 samples, with their captions, are in ${path}.`);
    const record = JSON.parse(await readFile(path, 'utf8')) as { samples: { key: string; kind: string }[] };
    expect(record).toMatchObject({ step: 8, loss: 'NaN', nonFiniteParameters: ['w'], epoch: 1 });
    expect(record.samples.map(({ key }) => key)).toEqual(['e1-b2-0', 'e1-b2-1', 'e1-b2-2', 'e1-b2-3']);
    for (const { kind } of record.samples) expect(kind).toMatch(/./);
    expect(message).toContain(join(root, 'checkpoints', 'step-00000005'));
    const kept = await newestCheckpoint(join(root, 'checkpoints'), () => {});
    expect(kept?.state.step).toBe(5);
    expect(kept?.model.get('w')?.data.every(Number.isFinite)).toBe(true);
    expect((await rows(root)).at(-1)?.step).toBe(7);
  });

  it('saves no parameter that is not finite, even if the loss before it was', async () => {
    await expect(run({ task: new OverflowingTask() })).rejects.toThrow(
      /Step 5: the loss is 0\.\d+ .*Not finite after it: w\./,
    );
    expect(await listCheckpoints(join(root, 'checkpoints'))).toEqual([]);
  });

  it('ends after the step under way when told to, with a checkpoint', async () => {
    const controller = new AbortController();
    const result = await run({ task: new StoppingTask(controller, 3), signal: controller.signal });
    expect(result).toMatchObject({ step: 3, finished: false });
    expect(basename(result.checkpoint as string)).toBe('step-00000003');
  });

  it('keeps what was learnt when an evaluation fails', async () => {
    const failing: Evaluator = {
      name: 'val',
      figures: [],
      evaluate: async () => {
        throw new Error('an image is cut off');
      },
    };
    await expect(run({ evaluators: [failing], evalEvery: 3, checkpointEvery: 100 })).rejects.toThrow(
      'cut off',
    );
    expect((await newestCheckpoint(join(root, 'checkpoints'), () => {}))?.state.step).toBe(3);
  });

  it('evaluates when it is due and at the end, and keeps the best', async () => {
    const result = await run({
      evalEvery: 3,
      evaluators: [peaked(2)],
      keepBest: 'val/top1',
      keepLast: 1,
    });
    expect(result.evaluation).toEqual({ 'val/top1': 0.8 });
    const evaluations = await rows(root, 'eval.jsonl');
    expect(evaluations.map((row) => [row.step, row['val/top1']])).toEqual([
      [3, 0.9],
      [6, 1],
      [9, 0.9],
      [12, 0.8],
    ]);
    expect((await listCheckpoints(join(root, 'checkpoints'))).map((d) => basename(d))).toEqual([
      'step-00000006',
      'step-00000012',
    ]);
    const { state } = await loadCheckpoint(result.checkpoint as string);
    expect(state.best).toEqual({ metric: 'val/top1', value: 1, step: 6 });
  });

  it('takes the best anew when another figure is to decide', async () => {
    const options = {
      evalEvery: 3,
      evaluators: [{ ...peaked(2), evaluate: async () => ({ high: 5, low: 1 }) }],
    };
    const controller = new AbortController();
    await run({
      ...options,
      keepBest: 'high',
      task: new StoppingTask(controller, 4),
      signal: controller.signal,
    });
    const { checkpoint } = await run({ ...options, keepBest: 'low' });
    const { state } = await loadCheckpoint(checkpoint as string);
    expect(state.best).toEqual({ metric: 'low', value: 1, step: 6 });
  });
});

class StoppingTask extends ToyTask {
  constructor(
    private readonly controller: AbortController,
    private readonly stopAt: number,
  ) {
    super();
  }

  override async step(...args: Parameters<ToyTask['step']>): ReturnType<ToyTask['step']> {
    const metrics = await super.step(...args);
    const [{ epoch, indexInEpoch }] = args;
    if (epoch * 5 + indexInEpoch + 1 === this.stopAt) this.controller.abort();
    return metrics;
  }
}

class OverflowingTask extends ToyTask {
  override nonFiniteParams(): string[] {
    return ['w'];
  }
}

class CrashingTask extends ToyTask {
  constructor(private readonly crashAt: number) {
    super();
  }

  override async step(...args: Parameters<ToyTask['step']>): ReturnType<ToyTask['step']> {
    if (this.steppedKeys.length / 4 === this.crashAt) throw new Error('power cut');
    return super.step(...args);
  }
}
