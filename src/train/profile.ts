/** Where a training step's time goes. */
import { mkdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { TrainConfig } from '../config/schema.js';
import { createLoader } from '../data/loader.js';
import { chromeTrace, type OpTiming, xplaneTrace } from '../engine/index.js';
import { createTask, loaderOptions, openTrainingData, startConfiguredEngine } from './setup.js';
import { resolveClipConfig } from './tasks/clip-config.js';

/** Operations of one kind together. */
export interface OpShare {
  /** TensorFlow's operation, or `cluster` with the operations in it. */
  readonly op: string;
  readonly count: number;
  readonly milliseconds: number;
  /** Of the sum over all operations. */
  readonly share: number;
  readonly gigabytesPerSecond: number;
  /** 0 where nothing is multiplied. */
  readonly gigaflopsPerSecond: number;
}

export interface StepProfile {
  /** Median of whole steps, as training runs them. */
  readonly stepMs: number;
  /** Median time that such a step waited for its batch. */
  readonly dataWaitMs: number;
  /** Sum over the operations of one step, each run alone. */
  readonly operationsMs: number;
  /** By falling time. */
  readonly shares: readonly OpShare[];
  /** A trace for chrome://tracing or Perfetto. */
  readonly trace: string;
  /** A file of TensorBoard's profile plugin; `outDir` is the log directory. */
  readonly xplane: string;
}

const WARM_UP_STEPS = 2;

/**
 * Trains a few steps from the start, then runs one operation by operation. Nothing of it is kept but the
 * traces in `outDir`: a run folder of that name is not touched.
 *
 * @throws ConfigError, DataError, EngineError
 */
export async function profileTraining(
  config: TrainConfig,
  options: { readonly outDir: string; readonly steps?: number },
): Promise<StepProfile> {
  const { outDir, steps = 10 } = options;
  const model = resolveClipConfig(config.model);
  const source = await openTrainingData(config);
  try {
    await startConfiguredEngine(config);
    const task = createTask(config, model);
    const loader = await createLoader(loaderOptions(config, model, source)).catch((error: unknown) => {
      task.dispose();
      throw error;
    });
    try {
      const stepMs: number[] = [];
      const dataWaitMs: number[] = [];
      for (let step = 0; step < WARM_UP_STEPS + steps; step++) {
        const start = performance.now();
        const batch = await loader.next();
        const ready = performance.now();
        await task.step(batch, config.train.lr);
        if (step < WARM_UP_STEPS) continue;
        stepMs.push(performance.now() - start);
        dataWaitMs.push(ready - start);
      }
      const batch = await loader.next();
      task.profile(batch, config.train.lr); // the clusters are compiled here
      const timings = task.profile(batch, config.train.lr);
      const operationsMs = timings.reduce((sum, t) => sum + t.durationUs, 0) / 1000;
      return {
        stepMs: median(stepMs),
        dataWaitMs: median(dataWaitMs),
        operationsMs,
        shares: sharesOf(timings, operationsMs),
        ...(await writeTraces(timings, outDir, config.run.name)),
      };
    } finally {
      await loader.close();
      task.dispose();
    }
  } finally {
    await source.close();
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** Joins operations of one kind, and clusters of equal contents. */
export function sharesOf(timings: readonly OpTiming[], totalMs: number): OpShare[] {
  const groups = new Map<string, OpTiming[]>();
  for (const timing of timings) {
    const op = timing.contents === '' ? timing.op : `cluster ${timing.contents}`;
    const group = groups.get(op);
    if (group) group.push(timing);
    else groups.set(op, [timing]);
  }
  const sum = (group: readonly OpTiming[], of: (t: OpTiming) => number): number =>
    group.reduce((total, t) => total + of(t), 0);
  return [...groups]
    .map(([op, group]) => {
      const us = sum(group, (t) => t.durationUs);
      return {
        op,
        count: group.length,
        milliseconds: us / 1000,
        share: us / 1000 / totalMs,
        gigabytesPerSecond: sum(group, (t) => t.bytes) / us / 1e3,
        gigaflopsPerSecond: sum(group, (t) => t.flops) / us / 1e3,
      };
    })
    .sort((a, b) => b.milliseconds - a.milliseconds);
}

async function writeTraces(
  timings: readonly OpTiming[],
  outDir: string,
  session: string,
): Promise<{ trace: string; xplane: string }> {
  const directory = join(outDir, 'plugins', 'profile', session.replaceAll('/', '-'));
  await mkdir(directory, { recursive: true });
  const trace = join(outDir, 'trace.json');
  const xplane = join(directory, `${hostname()}.xplane.pb`);
  await writeFile(trace, chromeTrace(timings));
  await writeFile(xplane, xplaneTrace(timings));
  return { trace, xplane };
}
