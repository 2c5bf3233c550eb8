/** Where a training step's time goes. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { TrainConfig } from '../config/schema.js';
import { createLoader } from '../data/loader.js';
import { makeDirectories } from '../directories.js';
import { chromeTrace, type OpTiming, opLabel, xplaneTrace } from '../engine/index.js';
import { replaceFile } from '../replace-file.js';
import { median } from '../statistics.js';
import { createTask, type PrepareOptions, prepareEngine } from './setup.js';
import { resolveModel } from './tasks/clip-config.js';
import { loaderOptions, openTrainingData } from './training-data.js';

/** Operations of one kind together. */
export interface OpShare {
  readonly op: string;
  /** Their result, the largest if they have several; empty where it is not the same for all. */
  readonly output: string;
  readonly count: number;
  readonly milliseconds: number;
  /** Of the time of all operations. */
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
  /** The most bytes of intermediate values alive at once, see `ProgramStats`. */
  readonly peakBytes: number;
  /** All operations of one step, each run alone; the fastest of some passes. */
  readonly total: OpShare;
  /** By matrix products, fused operations, single ones and variables; by falling time. */
  readonly kinds: readonly OpShare[];
  /** By operation and result; by falling time. */
  readonly operations: readonly OpShare[];
  /** A trace for chrome://tracing or Perfetto. */
  readonly trace: string;
  /** A file of TensorBoard's profile plugin; `outDir` is the log directory. */
  readonly xplane: string;
}

const WARM_UP_STEPS = 2;
/** Of the passes operation by operation the fastest counts, in which the least was disturbed by others. */
const PASSES = 5;

/**
 * Trains a few steps from the start, then runs some operation by operation. Nothing of it is kept but the
 * traces in `outDir`, named after the run and the time: a run's folder is not touched.
 *
 * @throws ConfigError, DataError, EngineError, AssetError; the file system's error if the traces cannot be written;
 *   the signal's reason when aborted
 */
export async function profileTraining(
  config: TrainConfig,
  options: PrepareOptions & { readonly outDir: string; readonly steps?: number },
): Promise<StepProfile> {
  const { outDir, steps = 10, signal } = options;
  const model = await resolveModel(config.model);
  const data = await openTrainingData(config);
  try {
    const files = await prepareFiles(outDir, config.run.name);
    await prepareEngine(config, options);
    const task = createTask(config, model);
    const loader = await createLoader(loaderOptions(config, model, data)).catch((error: unknown) => {
      task.dispose();
      throw error;
    });
    try {
      const stepMs: number[] = [];
      const dataWaitMs: number[] = [];
      for (let step = 0; step < WARM_UP_STEPS + steps; step++) {
        signal?.throwIfAborted();
        const start = performance.now();
        const batch = await loader.next();
        const ready = performance.now();
        await task.step(batch, config.train.lr);
        if (step < WARM_UP_STEPS) continue;
        stepMs.push(performance.now() - start);
        dataWaitMs.push(ready - start);
      }
      signal?.throwIfAborted();
      const batch = await loader.next();
      task.profile(batch, config.train.lr); // the clusters are compiled here
      const passes = Array.from({ length: PASSES }, () => task.profile(batch, config.train.lr));
      const timings = passes.reduce((a, b) => (totalUs(b) < totalUs(a) ? b : a));
      return {
        stepMs: median(stepMs),
        dataWaitMs: median(dataWaitMs),
        peakBytes: Math.max(...task.stats().map((program) => program.peakBytes)),
        total: sharesOf(timings, () => ({ op: 'all' }))[0] as OpShare,
        kinds: sharesOf(timings, kindOf),
        operations: sharesOf(timings, (t) => ({ op: opLabel(t), output: t.outputs[0] ?? '' })),
        ...(await writeTraces(timings, files)),
      };
    } finally {
      await loader.close();
      task.dispose();
    }
  } finally {
    await data.close();
  }
}

const totalUs = (timings: readonly OpTiming[]): number => timings.reduce((sum, t) => sum + t.durationUs, 0);

function kindOf({ op, contents, flops }: OpTiming): { readonly op: string } {
  if (contents !== '') return { op: 'fused operations' };
  if (/^(Read|Assign)Variable$/.test(op)) return { op: 'variables' };
  return { op: flops > 0 ? 'matrix products' : 'single operations' };
}

/** Joins the timings that `kind` gives the same names; by falling time. */
export function sharesOf(
  timings: readonly OpTiming[],
  kind: (timing: OpTiming) => { readonly op: string; readonly output?: string },
): OpShare[] {
  const sum = (group: readonly OpTiming[], of: (t: OpTiming) => number): number =>
    group.reduce((total, t) => total + of(t), 0);
  const all = totalUs(timings);
  const groups = new Map<string, { op: string; output: string; members: OpTiming[] }>();
  for (const timing of timings) {
    const { op, output = '' } = kind(timing);
    const key = `${op}\n${output}`;
    const group = groups.get(key) ?? { op, output, members: [] };
    group.members.push(timing);
    groups.set(key, group);
  }
  return [...groups.values()]
    .map(({ op, output, members }) => {
      const us = sum(members, (t) => t.durationUs);
      return {
        op,
        output,
        count: members.length,
        milliseconds: us / 1000,
        share: us / all,
        gigabytesPerSecond: sum(members, (t) => t.bytes) / us / 1e3,
        gigaflopsPerSecond: sum(members, (t) => t.flops) / us / 1e3,
      };
    })
    .sort((a, b) => b.milliseconds - a.milliseconds);
}

interface TraceFiles {
  readonly trace: string;
  readonly xplane: string;
}

/**
 * Makes the directories before anything takes time. Each profile is a session of its own to TensorBoard,
 * which keeps what it made of a session's files and would not look at newer ones of that name.
 */
async function prepareFiles(outDir: string, run: string): Promise<TraceFiles> {
  const time = new Date().toISOString().slice(0, 19).replaceAll(':', '-');
  const session = `${run.replaceAll('/', '-')}-${time}`;
  const directory = join(outDir, 'plugins', 'profile', session);
  await makeDirectories(directory);
  return {
    trace: join(outDir, `${session}.trace.json`),
    xplane: join(directory, `${hostname()}.xplane.pb`),
  };
}

async function writeTraces(timings: readonly OpTiming[], files: TraceFiles): Promise<TraceFiles> {
  await replaceFile(files.trace, chromeTrace(timings));
  await replaceFile(files.xplane, xplaneTrace(timings));
  return files;
}
