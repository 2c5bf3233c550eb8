/** Alternating runs of several sides. */
import { availableParallelism, cpus } from 'node:os';
import { median } from '../../src/statistics.js';
import { formatNumber } from './result.js';
import type { WorkerProcess } from './worker-process.js';

/** What one side did in all its turns. */
export interface Runs {
  /** Median milliseconds of a step in each round. */
  readonly roundMs: number[];
  readonly stepMs: number[];
  /** Milliseconds that all its threads together worked for a step, in each round. */
  readonly processorMs: number[];
  /** Share of the machine's cores that other processes used in each round: what the timings suffered from. */
  readonly othersShare: number[];
  /** Every step's loss, the untimed ones' too. */
  readonly losses: number[];
}

export interface RaceOptions {
  /** How often each side has its turn. */
  readonly rounds: number;
  /** Timed steps of a turn. */
  readonly steps: number;
  /** Steps before the first round. */
  readonly warmup: number;
}

/**
 * Lets the sides run in turn, in one order and then in the other, so that none is always the one that
 * comes after a given other. Each turn begins with one untimed step, which fills the caches again.
 */
export async function race(sides: readonly WorkerProcess[], options: RaceOptions): Promise<Runs[]> {
  const runs: Runs[] = sides.map(() => ({
    roundMs: [],
    stepMs: [],
    processorMs: [],
    othersShare: [],
    losses: [],
  }));
  for (const [i, side] of sides.entries()) {
    const { losses } = await side.request('steps', { count: options.warmup });
    runs[i]!.losses.push(...losses);
  }
  const order = sides.map((side, i) => [side, runs[i]!] as const);
  for (let round = 0; round < options.rounds; round++) {
    for (const [side, run] of round % 2 === 0 ? order : order.toReversed()) {
      const before = { busyMs: busyMs(), at: performance.now() };
      const { stepMs, losses, processorMs } = await side.request('steps', { count: options.steps + 1 });
      const othersMs = busyMs() - before.busyMs - processorMs;
      const wallMs = performance.now() - before.at;
      run.othersShare.push(Math.max(0, othersMs / (wallMs * availableParallelism())));
      run.processorMs.push(processorMs / stepMs.length);
      const timed = stepMs.slice(1);
      run.stepMs.push(...timed);
      run.losses.push(...losses);
      run.roundMs.push(median(timed));
    }
    const times = order.map(([{ label }, run]) => `${label} ${formatNumber(run.roundMs.at(-1)!)} ms`);
    console.log(`  round ${round + 1}/${options.rounds}: ${times.join(', ')}`);
  }
  return runs;
}

/** A share of the machine that others may use before the timings are doubtful. */
const QUIET = 0.05;

/** What to say of a race that was disturbed by other processes, if it was. */
export function disturbance(what: string, runs: readonly Runs[]): string[] {
  const largest = Math.max(...runs.map(({ othersShare }) => median(othersShare)));
  if (largest <= QUIET) return [];
  return [
    `other processes used ${(100 * largest).toFixed(0)}% of the machine during the ${what} race. Threads that ` +
      'wait for each other suffer most from that, so the ratios mean nothing; run it again on a quiet machine.',
  ];
}

/** Milliseconds that all cores together have worked since the machine's start. */
function busyMs(): number {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
}
