/** capstan and open_clip train from the same weights on the same batches: their loss curves side by side. */
import type { Command } from 'commander';
import { positiveInteger } from '../src/cli/numbers.js';
import { ConfigError } from '../src/errors.js';
import { OPEN_CLIP_ADAMW } from '../src/train/optim/adamw.js';
import { datasetBatches, withScratch, writeBatches, writeWeights } from './lib/clip-inputs.js';
import { ourWorker, peerWorker } from './lib/clip-sides.js';
import { describeMachine, machineText } from './lib/machine.js';
import { type ClipBenchOptions, clipOptions, modelOf, positiveNumber, precisionsOf } from './lib/options.js';
import { peerPython } from './lib/python.js';
import { type Case, formatTable, report } from './lib/result.js';

interface LossCurveOptions extends ClipBenchOptions {
  readonly precision: string;
  readonly data: string;
  readonly steps: number;
  readonly lr: number;
  readonly warmup: number;
}

/** The largest relative gap that two equal trainings may show. */
const LARGEST_GAP = { fp32: 0.01, bf16: 0.05 };
/** Steps of a turn. */
const TURN = 10;

export function registerLossCurve(program: Command): void {
  const command = program
    .command('loss-curve')
    .description('loss curves of ours and open_clip from the same weights on the same batches');
  clipOptions(command, { model: 'emoji-tiny', batch: 64 })
    .option('--precision <fp32|bf16>', 'precision of both sides', 'fp32')
    .option('--data <path>', 'data set, such as `npx capstan data build emoji` makes', 'data/emoji')
    .option('--steps <n>', 'training steps', positiveInteger, 50)
    .option('--lr <rate>', 'highest learning rate', positiveNumber, 1e-3)
    .option('--warmup <n>', 'steps of warm-up', positiveInteger, 10)
    .action((options: LossCurveOptions) => withScratch((folder) => lossCurve(options, folder)));
}

async function lossCurve(options: LossCurveOptions, folder: string): Promise<void> {
  const [precision, second] = precisionsOf(options.precision);
  if (precision === undefined || second !== undefined)
    throw new ConfigError('loss-curve takes one --precision.');
  const config = modelOf(options);
  const python = await peerPython();
  const machine = describeMachine();
  const { steps, batch, lr, warmup } = options;
  const setup = {
    config,
    precision,
    threads: options.threads,
    optimizer: { ...OPEN_CLIP_ADAMW, lr, warmupSteps: warmup, totalSteps: Math.max(steps, warmup + 1) },
    weightsFile: writeWeights(folder, config, options.seed),
    batches: writeBatches(folder, await datasetBatches(options.data, config, steps, batch, options.seed)),
  };
  const ours = ourWorker('capstan');
  const peer = peerWorker('open_clip', python);
  const versions = {
    ...(await ours.request('setup', { ...setup, mode: 'compiled' })).versions,
    ...(await peer.request('setup', { ...setup, mode: 'eager' })).versions,
  };
  const curves: Record<'ours' | 'peer', number[]> = { ours: [], peer: [] };
  while (curves.peer.length < steps) {
    const count = Math.min(TURN, steps - curves.peer.length);
    curves.ours.push(...(await ours.request('steps', { count })).losses);
    curves.peer.push(...(await peer.request('steps', { count })).losses);
  }
  await ours.close();
  await peer.close();

  const gaps = curves.ours.map((loss, i) => Math.abs(loss - curves.peer[i]!) / Math.abs(curves.peer[i]!));
  const rows = gaps.map((gap, i) => [
    String(i),
    curves.ours[i]!.toFixed(6),
    curves.peer[i]!.toFixed(6),
    `${(100 * gap).toFixed(5)}%`,
  ]);
  console.log(
    `${options.model} on ${options.data}, batch ${batch}, ${precision}, lr ${lr} after ${warmup} steps of warm-up\n`,
  );
  console.log(formatTable(['step', 'capstan', 'open_clip', 'gap'], rows));
  console.log(`\n${machineText(machine, versions)}`);
  const largest = Math.max(...gaps);
  const limit = LARGEST_GAP[precision];
  const cases: Case[] = [
    {
      name: `${precision} largest gap over ${steps} steps, step ${gaps.indexOf(largest)}, and its limit`,
      unit: 'relative',
      ours: largest,
      peer: limit,
      // Equal to the bit is as good as can be measured.
      ratio: limit / Math.max(largest, 2 ** -24),
      target: 1,
    },
  ];
  await report(
    {
      name: 'loss-curve',
      cases,
      machine,
      versions,
      options: { ...options },
      warnings: [],
      details: { curves, gaps },
    },
    options.json,
  );
}
