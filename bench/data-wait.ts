/** How long a training run waits for its data: `capstan train` with its own loader on two cores, on photographs. */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { positiveInteger } from '../src/cli/numbers.js';
import { median } from '../src/statistics.js';
import { withScratch } from './lib/clip-inputs.js';
import { loaderData } from './lib/loader-data.js';
import { describeMachine, machineText } from './lib/machine.js';
import { precisionsOf } from './lib/options.js';
import { peerPython } from './lib/python.js';
import { type Case, formatTable, report } from './lib/result.js';
import { repositoryRoot } from './lib/root.js';
import { spreadOf } from './lib/statistics.js';

const execute = promisify(execFile);

interface DataWaitOptions {
  readonly json?: string;
  readonly model: string;
  readonly batch: number;
  readonly format: string;
  readonly precision: string;
  readonly steps: number;
  readonly warmup: number;
  readonly files: number;
  readonly copies: number;
  readonly seed: number;
}

const SHARD_SIZE = 250;
/** Of a step's time. */
const LARGEST_SHARE = 0.05;
const CORES = '0-1';

export function registerDataWait(program: Command): void {
  program
    .command('data-wait')
    .description("share of a step's time that a CLIP training on two cores waits for data")
    .option('--json <file>', 'write all figures there too')
    .option('--model <preset>', 'model, by its name in src/models/clip/config.ts', 'ViT-Ti-16')
    .option('--batch <n>', 'images of a step', positiveInteger, 16)
    .option('--format <tar|arrow|parquet>', 'shards that are read', 'tar')
    .option('--precision <fp32|bf16|both>', 'precision of the step', 'both')
    .option('--steps <n>', 'measured steps', positiveInteger, 60)
    .option('--warmup <n>', 'steps before them, of which the first compiles', positiveInteger, 5)
    .option('--files <n>', 'different photographs to make', positiveInteger, 2000)
    .option('--copies <n>', 'times that each shard is there', positiveInteger, 7)
    .option('--seed <n>', 'seed of weights, order and crops', Number, 1)
    .action((options: DataWaitOptions) => withScratch((folder) => benchDataWait(options, folder)));
}

/** Of a row of metrics.jsonl, what is used here. */
interface Step {
  readonly stepMs: number;
  readonly dataWaitMs: number;
}

async function benchDataWait(options: DataWaitOptions, folder: string): Promise<void> {
  const python = await peerPython(join(repositoryRoot(), 'bench', 'peer', 'loader-requirements.txt'));
  const { files: numFiles, copies } = options;
  const data = await loaderData(python, { numFiles, copies, shardSize: SHARD_SIZE });
  const machine = describeMachine();
  const runs: Record<string, readonly Step[]> = {};
  for (const precision of precisionsOf(options.precision)) {
    console.log(`${precision}: ${options.warmup} + ${options.steps} steps of ${options.model} …`);
    runs[precision] = await trainOn(join(data.folder, options.format), precision, options, folder);
  }
  const rows = Object.entries(runs).map(([precision, steps]) => [
    precision,
    median(steps.map(({ stepMs }) => stepMs)).toFixed(0),
    median(steps.map(({ dataWaitMs }) => dataWaitMs)).toFixed(1),
    Math.max(...steps.map(({ dataWaitMs }) => dataWaitMs)).toFixed(0),
    `${(100 * shareOf(steps)).toFixed(2)}%`,
    (options.batch / (total(steps, 'stepMs') / steps.length / 1000)).toFixed(1),
  ]);
  console.log(`\n${formatTable(['', 'step, ms', 'wait, ms', 'longest wait', 'share', 'img/s'], rows)}`);
  console.log(`\n${machineText(machine, {})}`);
  const cases = Object.entries(runs).map(([precision, steps]): Case => {
    const ours = shareOf(steps);
    return {
      ...{ name: `${precision}, waiting for data over the step`, unit: 'share', ours, peer: LARGEST_SHARE },
      // No wait at all would be a ratio without end.
      ratio: LARGEST_SHARE / Math.max(ours, LARGEST_SHARE / 1000),
      target: 1,
      oursSpread: spreadOf(steps.map(({ stepMs, dataWaitMs }) => dataWaitMs / stepMs)),
    };
  });
  await report(
    {
      ...{ name: 'data-wait', cases, machine, versions: {}, options: { ...options }, warnings: [] },
      details: { runs },
    },
    options.json,
  );
}

const total = (steps: readonly Step[], field: keyof Step): number =>
  steps.reduce((sum, step) => sum + step[field], 0);

/** Of all the time of the steps: batches come in bursts, so that a median would not say how many are waited for. */
const shareOf = (steps: readonly Step[]): number => total(steps, 'dataWaitMs') / total(steps, 'stepMs');

/** Runs the command line, whose loader is left at its defaults, and reads what it logged of each step. */
async function trainOn(
  path: string,
  precision: string,
  { model, batch, steps, warmup, seed }: DataWaitOptions,
  folder: string,
): Promise<Step[]> {
  const numSteps = warmup + steps;
  const config = join(folder, `${precision}.yaml`);
  writeFileSync(
    config,
    stringify({
      task: 'clip',
      model: { preset: model },
      data: { path, captions: { alt: 1 } },
      train: { batchSize: batch, steps: numSteps, lr: 5e-4, warmupSteps: numSteps, precision, seed },
      checkpoint: { every: numSteps },
      run: { dir: folder, name: precision },
    }),
  );
  const command = [process.execPath, join(repositoryRoot(), 'dist', 'cli', 'main.js'), 'train', config];
  const [program, ...args] = process.platform === 'linux' ? ['taskset', '-c', CORES, ...command] : command;
  await execute(program as string, args, { maxBuffer: 2 ** 26 });
  const rows = readFileSync(join(folder, precision, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n');
  return rows.slice(warmup).map((row) => {
    const { stepMs, dataWaitMs } = JSON.parse(row) as Step;
    return { stepMs, dataWaitMs };
  });
}
