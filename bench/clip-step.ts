/**
 * A whole CLIP training step, optimizer included: capstan compiled, open_clip on PyTorch, and tfjs run
 * operation by operation on the same backend; then the first step's time and the memory.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { positiveInteger } from '../src/cli/numbers.js';
import { NumericError } from '../src/errors.js';
import { type ClipConfig, clipForwardFlops } from '../src/models/clip/index.js';
import { median } from '../src/statistics.js';
import { randomBatches, withScratch, writeBatches, writeWeights } from './lib/clip-inputs.js';
import { LONG_RUN, ourWorker, peerWorker } from './lib/clip-sides.js';
import { describeMachine, machineText } from './lib/machine.js';
import { type ClipBenchOptions, clipOptions, modelOf, precisionsOf } from './lib/options.js';
import type { MemoryReply, TrainingSetup } from './lib/protocol.js';
import { peerPython } from './lib/python.js';
import { disturbance, type Runs, race } from './lib/race.js';
import { type Case, formatNumber, formatTable, report } from './lib/result.js';
import { type Spread, spreadOf } from './lib/statistics.js';
import type { WorkerProcess } from './lib/worker-process.js';

interface ClipStepOptions extends ClipBenchOptions {
  readonly precision: string;
  readonly rounds: number;
  readonly steps: number;
  readonly starts: number;
  readonly torchCompile: boolean;
}

type Precision = TrainingSetup['precision'];

/** What a ratio has to reach, and the absolute limits that the others stand for. */
const TARGETS = { fp32: 1.1, bf16: 1.05, tfjs: 2.2, memory: 1 / 1.2 };
const FIRST_STEP_LIMIT_S = { cold: 20, warm: 10 };
const WARMUP_STEPS = 2;
/** Largest relative gap of the first step's losses: more means that the sides do different work. */
const LOSS_TOLERANCE = { fp32: 1e-4, bf16: 2e-2 };

export function registerClipStep(program: Command): void {
  const command = program
    .command('clip-step')
    .description('training step of CLIP: ours, open_clip, tfjs eager; first step; memory');
  clipOptions(command, { model: 'ViT-Ti-16', batch: 16 })
    .option('--precision <fp32|bf16|both>', 'precisions to race', 'both')
    .option('--rounds <n>', 'turns of each side', positiveInteger, 7)
    .option('--steps <n>', 'timed steps of a turn', positiveInteger, 4)
    .option('--starts <n>', 'cold and warm starts to take the median of', positiveInteger, 3)
    .option('--torch-compile', 'also race open_clip under torch.compile', false)
    .action((options: ClipStepOptions) => withScratch((folder) => clipStep(options, folder)));
}

/** One side's part in a race of one precision. */
interface Racer {
  readonly side: WorkerProcess;
  readonly kind: 'ours' | 'peer' | 'peerCompiled' | 'tfjs' | 'uncompiled';
}

interface Measured extends Racer {
  readonly runs: Runs;
  readonly memory: MemoryReply;
  readonly peakGflops: number;
  /** Images a second, over rounds. */
  readonly speed: Spread;
}

async function clipStep(options: ClipStepOptions, folder: string): Promise<void> {
  const precisions = precisionsOf(options.precision);
  const config = modelOf(options);
  const python = await peerPython();
  const machine = describeMachine();
  const shared = {
    config,
    threads: options.threads,
    optimizer: LONG_RUN,
    weightsFile: writeWeights(folder, config, options.seed),
    batches: writeBatches(folder, randomBatches(config, 1, options.batch, options.seed)),
  };
  const versions: Record<string, string> = {};
  const cases: Case[] = [];
  const warnings: string[] = [];
  const details: Record<string, unknown> = {};
  for (const precision of precisions) {
    console.log(`${options.model}, batch ${options.batch}, ${precision}`);
    const starts = await measureStarts({ ...shared, precision, mode: 'compiled' }, folder, options.starts);
    const setup = { ...shared, precision, compileCache: starts.compileCache };
    const racers = await setUpRacers(setup, python, options.torchCompile, versions);
    const measured = await runRace(racers, options, precision);
    printRates(measured, precision, config, options.batch);
    warnings.push(
      ...disturbance(
        precision,
        measured.map(({ runs }) => runs),
      ),
    );
    cases.push(...casesOf(precision, measured, starts));
    details[precision] = {
      starts,
      sides: measured.map(({ side, kind, ...rest }) => ({ side: side.label, kind, ...rest })),
    };
  }
  console.log(`\n${machineText(machine, versions)}`);
  await report(
    { name: 'clip-step', cases, machine, versions, options: { ...options }, warnings, details },
    options.json,
  );
}

interface Starts {
  readonly coldSeconds: number[];
  readonly warmSeconds: number[];
  /** Most memory that was resident while a cold start compiled. */
  readonly coldPeakBytes: number;
  /** Holds what the last cold start compiled. */
  readonly compileCache: string;
}

/**
 * Seconds from the start of a process to the end of its first step, libraries, weights and compilation
 * included: with an empty compile cache, then in another process with the cache that the first one left.
 */
async function measureStarts(setup: TrainingSetup, folder: string, repeats: number): Promise<Starts> {
  const coldSeconds: number[] = [];
  const warmSeconds: number[] = [];
  let coldPeakBytes = 0;
  let compileCache = '';
  for (let i = 0; i < repeats; i++) {
    compileCache = join(folder, `compiled-${setup.precision}-${i}`);
    mkdirSync(compileCache);
    for (const seconds of [coldSeconds, warmSeconds]) {
      const worker = ourWorker('capstan');
      await worker.request('setup', { ...setup, compileCache });
      await worker.request('steps', { count: 1 });
      seconds.push(worker.ageSeconds);
      const { peakBytes } = await worker.request('memory', {});
      if (seconds === coldSeconds) coldPeakBytes = Math.max(coldPeakBytes, peakBytes);
      await worker.close();
    }
    const last = (list: number[]): string => list.at(-1)!.toFixed(1);
    console.log(
      `  first step, ${i + 1}/${repeats}: cold ${last(coldSeconds)} s, warm ${last(warmSeconds)} s`,
    );
  }
  return { coldSeconds, warmSeconds, coldPeakBytes, compileCache };
}

async function setUpRacers(
  setup: Omit<TrainingSetup, 'mode'>,
  python: string,
  torchCompile: boolean,
  versions: Record<string, string>,
): Promise<Racer[]> {
  const racers: [kind: Racer['kind'], side: WorkerProcess, mode: TrainingSetup['mode']][] = [
    ['ours', ourWorker('capstan'), 'compiled'],
    ['peer', peerWorker('open_clip', python), 'eager'],
  ];
  // tfjs has no bfloat16, so there is nothing to race in it.
  if (setup.precision === 'fp32') {
    racers.push(['tfjs', ourWorker('tfjs eager'), 'tfjs']);
    racers.push(['uncompiled', ourWorker('capstan, not compiled'), 'eager']);
  }
  if (torchCompile) {
    racers.push(['peerCompiled', peerWorker('open_clip, torch.compile', python), 'compiled']);
  }
  for (const [, side, mode] of racers) {
    const reply = await side.request('setup', { ...setup, mode });
    Object.assign(versions, reply.versions);
  }
  return racers.map(([kind, side]) => ({ kind, side }));
}

async function runRace(
  racers: readonly Racer[],
  options: ClipStepOptions,
  precision: Precision,
): Promise<Measured[]> {
  const all = await race(
    racers.map(({ side }) => side),
    { rounds: options.rounds, steps: options.steps, warmup: WARMUP_STEPS },
  );
  const reference = all[racers.findIndex(({ kind }) => kind === 'peer')]!.losses[0]!;
  const measured: Measured[] = [];
  for (const [i, racer] of racers.entries()) {
    const runs = all[i]!;
    const gap = Math.abs(runs.losses[0]! - reference) / reference;
    if (!(gap <= LOSS_TOLERANCE[precision])) {
      throw new NumericError(
        `${racer.side.label} has a loss of ${runs.losses[0]} at the first step in ${precision}, open_clip ` +
          `${reference}: they do not do the same work, so racing them says nothing.`,
      );
    }
    const memory = await racer.side.request('memory', {});
    const { gflopsPerSecond } = await racer.side.request('matmul', { size: 2048, repeats: 5 });
    const speed = spreadOf(runs.roundMs.map((ms) => (1000 * options.batch) / ms));
    measured.push({ ...racer, runs, memory, peakGflops: gflopsPerSecond, speed });
  }
  for (const { side } of racers) await side.close();
  return measured;
}

/** Floating-point operations of a training step, by the usual count of three forward passes. */
const trainFlops = (config: ClipConfig, batch: number): number => 3 * batch * clipForwardFlops(config);

const percent = (share: number): string => `${(100 * share).toFixed(0)}%`;

function printRates(
  measured: readonly Measured[],
  precision: Precision,
  config: ClipConfig,
  batch: number,
): void {
  const rows = measured.map(({ side, runs, memory, peakGflops, speed }) => {
    const gflops = (trainFlops(config, batch) * speed.median) / batch / 1e9;
    return [
      side.label,
      formatNumber(speed.median),
      `${formatNumber(speed.min)}–${formatNumber(speed.max)}`,
      formatNumber(median(runs.roundMs)),
      formatNumber(gflops),
      formatNumber(peakGflops),
      percent(gflops / peakGflops),
      formatNumber(memory.peakBytes / 2 ** 20),
      percent(median(runs.othersShare)),
    ];
  });
  const header = ['img/s', 'rounds', 'step ms', 'GFLOP/s', 'matmul GFLOP/s', 'reached', 'peak MiB', 'others'];
  console.log(`\n${formatTable([precision, ...header], rows)}\n`);
}

/** The first step's and the memory's ratios are of the limit, or of the peer's memory, over ours. */
function casesOf(precision: Precision, measured: readonly Measured[], starts: Starts): Case[] {
  const of = (kind: Racer['kind']): Measured | undefined => measured.find((m) => m.kind === kind);
  const ours = of('ours')!;
  const peer = of('peer')!;
  const speed = (name: string, other: Measured, target?: number): Case => ({
    name: `${precision} ${name}`,
    unit: 'img/s',
    ours: ours.speed.median,
    peer: other.speed.median,
    ratio: ours.speed.median / other.speed.median,
    ...(target === undefined ? {} : { target }),
    oursSpread: ours.speed,
    peerSpread: other.speed,
  });
  const memory = (name: string, bytes: number): Case => ({
    name: `${precision} ${name}`,
    unit: 'MiB',
    ours: bytes / 2 ** 20,
    peer: peer.memory.peakBytes / 2 ** 20,
    ratio: peer.memory.peakBytes / bytes,
    target: TARGETS.memory,
  });
  const firstStep = (kind: 'cold' | 'warm', seconds: readonly number[]): Case => ({
    name: `${precision} first step, ${kind} compile cache`,
    unit: 's',
    ours: median(seconds),
    peer: FIRST_STEP_LIMIT_S[kind],
    ratio: FIRST_STEP_LIMIT_S[kind] / median(seconds),
    target: 1,
    oursSpread: spreadOf(seconds),
  });
  const tfjs = of('tfjs');
  const uncompiled = of('uncompiled');
  const compiled = of('peerCompiled');
  return [
    speed('vs open_clip', peer, TARGETS[precision]),
    ...(tfjs ? [speed('vs tfjs eager', tfjs, TARGETS.tfjs)] : []),
    ...(uncompiled ? [speed('vs the same step, not compiled', uncompiled)] : []),
    ...(compiled ? [speed('vs open_clip under torch.compile', compiled)] : []),
    firstStep('cold', starts.coldSeconds),
    firstStep('warm', starts.warmSeconds),
    memory('peak memory, training', ours.memory.peakBytes),
    memory('peak memory, compiling', starts.coldPeakBytes),
  ];
}
