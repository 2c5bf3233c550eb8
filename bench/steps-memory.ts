/** Whether memory stays flat over many steps: resident bytes, tensors and native handles, beside open_clip. */
import type { Command } from 'commander';
import { positiveInteger } from '../src/cli/numbers.js';
import { ConfigError } from '../src/errors.js';
import { randomBatches, withScratch, writeBatches, writeWeights } from './lib/clip-inputs.js';
import { LONG_RUN, ourWorker, peerWorker } from './lib/clip-sides.js';
import { describeMachine, machineText } from './lib/machine.js';
import { type ClipBenchOptions, clipOptions, modelOf } from './lib/options.js';
import type { MemoryReply } from './lib/protocol.js';
import { peerPython } from './lib/python.js';
import { type Case, formatTable, report } from './lib/result.js';

interface StepsMemoryOptions extends ClipBenchOptions {
  readonly steps: number;
  readonly every: number;
}

/** Resident memory at the end over that after the first turn: an allocator's own noise is allowed. */
const LARGEST_GROWTH = 1.02;

export function registerStepsMemory(program: Command): void {
  const command = program
    .command('steps-memory')
    .description('resident memory, tensors and handles over many steps');
  clipOptions(command, { model: 'emoji-tiny', batch: 16 })
    .option('--steps <n>', 'training steps', positiveInteger, 1000)
    .option('--every <n>', 'steps from one reading to the next', positiveInteger, 100)
    .action((options: StepsMemoryOptions) => withScratch((folder) => stepsMemory(options, folder)));
}

async function stepsMemory(options: StepsMemoryOptions, folder: string): Promise<void> {
  if (options.steps <= options.every) {
    throw new ConfigError(
      `--steps is ${options.steps} and --every ${options.every}: that is one reading, which has none to be compared ` +
        'with. Give more steps, or fewer from one reading to the next.',
    );
  }
  const config = modelOf(options);
  const python = await peerPython();
  const machine = describeMachine();
  const setup = {
    config,
    precision: 'fp32',
    threads: options.threads,
    optimizer: LONG_RUN,
    weightsFile: writeWeights(folder, config, options.seed),
    batches: writeBatches(folder, randomBatches(config, 8, options.batch, options.seed)),
  } as const;
  const ours = ourWorker('capstan');
  const peer = peerWorker('open_clip', python);
  const versions = {
    ...(await ours.request('setup', { ...setup, mode: 'compiled' })).versions,
    ...(await peer.request('setup', { ...setup, mode: 'eager' })).versions,
  };
  const readings: { step: number; ours: MemoryReply; peer: MemoryReply }[] = [];
  for (let done = 0; done < options.steps; ) {
    const count = Math.min(options.every, options.steps - done);
    const memories: MemoryReply[] = [];
    for (const side of [ours, peer]) {
      await side.request('steps', { count });
      memories.push(await side.request('memory', {}));
    }
    done += count;
    console.log(`  ${done}/${options.steps} steps`);
    readings.push({ step: done, ours: memories[0]!, peer: memories[1]! });
  }
  await ours.close();
  await peer.close();

  const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
  const rows = readings.map((at) => [
    String(at.step),
    mib(at.ours.residentBytes),
    String(at.ours.numTensors),
    String(at.ours.numHandles),
    mib(at.peer.residentBytes),
  ]);
  console.log(`${options.model}, batch ${options.batch}, fp32\n`);
  console.log(formatTable(['steps', 'ours MiB', 'tensors', 'handles', 'open_clip MiB'], rows));
  console.log(`\n${machineText(machine, versions)}`);
  await report(
    {
      name: 'steps-memory',
      cases: casesOf(readings),
      machine,
      versions,
      options: { ...options },
      warnings: [],
      details: { readings },
    },
    options.json,
  );
}

type Reading = { readonly ours: MemoryReply; readonly peer: MemoryReply };

function casesOf(readings: readonly Reading[]): Case[] {
  const [first, last] = [readings[0]!, readings.at(-1)!];
  const growth = (side: 'ours' | 'peer'): number => last[side].residentBytes / first[side].residentBytes;
  // A ratio of 1 is no leak; each tensor or handle more makes it smaller.
  const leak = (name: string, count: number): Case => ({
    name: `${name} more than after the first turn`,
    unit: 'count',
    ours: count,
    peer: 0,
    ratio: 1 / (1 + Math.max(0, count)),
    target: 1,
  });
  return [
    {
      name: 'resident memory, last reading over first, and its limit',
      unit: 'ratio',
      ours: growth('ours'),
      peer: LARGEST_GROWTH,
      ratio: LARGEST_GROWTH / growth('ours'),
      target: 1,
    },
    {
      name: 'the same growth beside open_clip',
      unit: 'ratio',
      ours: growth('ours'),
      peer: growth('peer'),
      ratio: growth('peer') / growth('ours'),
    },
    leak('tensors', last.ours.numTensors! - first.ours.numTensors!),
    leak('native handles', last.ours.numHandles! - first.ours.numHandles!),
  ];
}
