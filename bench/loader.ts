/**
 * A training loader at 224 pixels: capstan, open_clip's WebDataset pipeline with Pillow, and Hugging Face datasets'
 * streaming, on the same photographs and the same cores; then the first batch, scaling, memory, and JPEG decoding
 * alone, which no loader can outrun.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, Option } from 'commander';
import { positiveInteger, wholeNumber } from '../src/cli/numbers.js';
import { median } from '../src/statistics.js';
import { type LoaderData, loaderData } from './lib/loader-data.js';
import {
  checkWatched,
  FILL_SHARE,
  folderBytes,
  type LoaderMemory,
  loaderMemory,
} from './lib/loader-memory.js';
import { describeMachine, machineText } from './lib/machine.js';
import type { LoaderSetup } from './lib/protocol.js';
import { peerPython } from './lib/python.js';
import { disturbance, type Runs, race } from './lib/race.js';
import { type Case, formatNumber, formatTable, report } from './lib/result.js';
import { repositoryRoot } from './lib/root.js';
import { spreadOf } from './lib/statistics.js';
import { WorkerProcess } from './lib/worker-process.js';

interface LoaderBenchOptions {
  readonly json?: string;
  readonly batch: number;
  readonly format: keyof typeof FOLDERS;
  readonly memoryOnly?: boolean;
  readonly rounds: number;
  readonly steps: number;
  readonly samples: number;
  readonly files: number;
  readonly copies: number;
  readonly starts: number;
  readonly seed: number;
}

/** Formats by the folder of their shards. */
const FOLDERS = { webdataset: 'tar', arrow: 'arrow', parquet: 'parquet' };

const IMAGE_SIZE = 224;
const SHARD_SIZE = 250;
const WARMUP_STEPS = 4;
const DECODE_SECONDS = 5;
const READINGS = 20;
const TARGETS = { open_clip: 1.5, datasets: 1.2 };
const FIRST_BATCH_LIMIT_S = 2;
/** Of the images a second on two cores, over twice those on one. */
const LEAST_SCALING = 0.95;
/** Of the resident memory at the end, over that after a quarter of the samples. */
const LARGEST_GROWTH = 1.05;

export function registerLoader(program: Command): void {
  program
    .command('loader')
    .description('images a second: ours, open_clip with WebDataset, datasets; first batch; memory')
    .option('--json <file>', 'write all figures there too')
    .option('--batch <n>', 'images of a batch', positiveInteger, 64)
    .addOption(
      new Option('--format <format>', 'shards that capstan reads')
        .choices(Object.keys(FOLDERS))
        .default('webdataset'),
    )
    .option('--memory-only', 'watch the memory, and nothing else')
    .option('--rounds <n>', 'turns of each side', positiveInteger, 5)
    .option('--steps <n>', 'timed batches of a turn', positiveInteger, 12)
    .option('--samples <n>', 'samples over which memory is watched', positiveInteger, 100_000)
    .option('--files <n>', 'different photographs to make', positiveInteger, 2000)
    .option('--copies <n>', 'times that each shard is there', positiveInteger, 7)
    .option('--starts <n>', 'starts to take the median of', positiveInteger, 3)
    .option('--seed <n>', 'seed of order and crops', wholeNumber, 1)
    .action(benchLoader);
}

interface Bench {
  readonly options: LoaderBenchOptions;
  readonly python: string;
  readonly data: LoaderData;
  readonly versions: Record<string, string>;
}

type Side = LoaderSetup['side'];
const SIDES: readonly Side[] = ['capstan', 'open_clip', 'datasets'];

/** A process on the first so many cores, with as many loading workers, that has taken its first batch. */
async function openSide(
  { options, python, data, versions }: Bench,
  side: Side,
  cores: number,
): Promise<WorkerProcess> {
  const program: [string, string] =
    side === 'capstan'
      ? [process.execPath, fileURLToPath(new URL('./loader-worker.js', import.meta.url))]
      : [python, join(repositoryRoot(), 'bench', 'peer', 'loader_worker.py')];
  const pinned =
    process.platform === 'linux' ? (['taskset', '-c', `0-${cores - 1}`, ...program] as const) : program;
  const worker = new WorkerProcess(side, pinned);
  const { folder, numSamples } = data;
  const reply = await worker.request('load', {
    ...{
      side,
      folder,
      format: FOLDERS[options.format],
      numSamples,
      imageSize: IMAGE_SIZE,
      batchSize: options.batch,
      workers: cores,
    },
    seed: options.seed,
  });
  Object.assign(versions, reply.versions);
  return worker;
}

interface Raced {
  readonly side: Side;
  readonly runs: Runs;
  /** Images of each second that a core worked, by round. */
  readonly perCore: number[];
  /** Images of each second of time, by round. */
  readonly perSecond: number[];
}

async function benchLoader(options: LoaderBenchOptions): Promise<void> {
  const python = await peerPython(join(repositoryRoot(), 'bench', 'peer', 'loader-requirements.txt'));
  const { files: numFiles, copies } = options;
  const data = await loaderData(python, { numFiles, copies, shardSize: SHARD_SIZE });
  const bench: Bench = { options, python, data, versions: {} };
  const machine = describeMachine();
  const held = loaderMemory(data.numSamples, await folderBytes(join(data.folder, FOLDERS[options.format])));
  checkWatched(options.samples, held); // before the minutes that the rest takes
  if (options.memoryOnly === true) {
    const memory = await watchMemory(bench, held);
    console.log(`\n${machineText(machine, bench.versions)}`);
    const { versions } = bench;
    const cases = [memoryCase(memory)];
    await report(
      {
        name: 'loader',
        cases,
        machine,
        versions,
        options: { ...options },
        warnings: [],
        details: { memory },
      },
      options.json,
    );
    return;
  }
  const firstBatch = await measureStarts(bench);
  const one = await raceOn(bench, 1);
  const two = await raceOn(bench, 2);
  const limit = await decodeLimit(bench);
  const memory = await watchMemory(bench, held);
  const ours = one.find(({ side }) => side === 'capstan')!;
  const share = median(ours.perCore) / limit;
  console.log(
    `\nDecoding alone: ${formatNumber(limit)} img/s on one core, of which the loader reaches ${(100 * share).toFixed(0)}%.`,
  );
  console.log(`\n${machineText(machine, bench.versions)}`);
  const cases = [
    ...speedCases('1 core', one),
    ...speedCases('2 cores', two),
    scalingCase(ours, two.find(({ side }) => side === 'capstan')!),
    firstBatchCase(firstBatch),
    memoryCase(memory),
  ];
  const warnings = [one, two].flatMap((raced, i) =>
    disturbance(
      `${i + 1}-core`,
      raced.map(({ runs }) => runs),
    ),
  );
  const details = { firstBatch, one, two, limit, share, memory };
  await report(
    { name: 'loader', cases, machine, versions: bench.versions, options: { ...options }, warnings, details },
    options.json,
  );
}

/** Seconds from the start of a process to its first batch. */
async function measureStarts(bench: Bench): Promise<number[]> {
  const seconds: number[] = [];
  for (let i = 0; i < bench.options.starts; i++) {
    const worker = await openSide(bench, 'capstan', 2);
    seconds.push(worker.ageSeconds);
    await worker.close();
  }
  console.log(`first batch: ${seconds.map((s) => s.toFixed(2)).join(', ')} s`);
  return seconds;
}

async function raceOn(bench: Bench, cores: number): Promise<Raced[]> {
  const { batch, rounds, steps } = bench.options;
  console.log(`${cores} core${cores > 1 ? 's' : ''}, batch ${batch}`);
  const workers: WorkerProcess[] = [];
  for (const side of SIDES) workers.push(await openSide(bench, side, cores));
  const all = await race(workers, { rounds, steps, warmup: WARMUP_STEPS });
  for (const worker of workers) await worker.close();
  const rates = (ms: readonly number[]): number[] => ms.map((each) => (1000 * batch) / each);
  const raced = SIDES.map((side, i) => {
    const runs = all[i]!;
    // Batches come in bursts, as workers finish theirs: only the mean says how many there are in a second.
    const meanMs = Array.from({ length: rounds }, (_, round) => {
      const ofRound = runs.stepMs.slice(round * steps, (round + 1) * steps);
      return ofRound.reduce((sum, ms) => sum + ms, 0) / steps;
    });
    return { side, runs, perCore: rates(runs.processorMs), perSecond: rates(meanMs) };
  });
  const rows = raced.map(({ side, runs, perCore, perSecond }) => [
    side,
    formatNumber(median(perCore)),
    `${formatNumber(Math.min(...perCore))}–${formatNumber(Math.max(...perCore))}`,
    formatNumber(median(perSecond)),
    `${(100 * median(runs.othersShare)).toFixed(0)}%`,
  ]);
  console.log(`\n${formatTable(['', 'img per core-second', 'rounds', 'img/s', 'others'], rows)}\n`);
  return raced;
}

async function decodeLimit(bench: Bench): Promise<number> {
  const worker = await openSide(bench, 'capstan', 1);
  const { images, processorMs } = await worker.request('decode', { seconds: DECODE_SECONDS });
  await worker.close();
  return (1000 * images) / processorMs;
}

/** Resident bytes at even distances over many samples, next to what is expected. */
async function watchMemory(bench: Bench, { windowBytes, cacheBytes }: LoaderMemory): Promise<number[]> {
  const { batch, samples } = bench.options;
  const worker = await openSide(bench, 'capstan', 2);
  const started = (await worker.request('memory', {})).residentBytes;
  const resident: number[] = [];
  const count = Math.max(1, Math.round(samples / batch / READINGS));
  let mainThreadMs: number | undefined = 0;
  for (let i = 0; i < READINGS; i++) {
    const reply = await worker.request('steps', { count });
    if (reply.mainThreadMs === undefined || mainThreadMs === undefined) mainThreadMs = undefined;
    else mainThreadMs += reply.mainThreadMs;
    resident.push((await worker.request('memory', {})).residentBytes);
  }
  await worker.close();
  if (mainThreadMs !== undefined) {
    const perThousand = (1000 * mainThreadMs) / (READINGS * count * batch);
    const most = formatNumber(Math.round(1e6 / perThousand));
    console.log(
      `main thread: ${perThousand.toFixed(0)} ms per 1,000 images, so at most ${most} img/s a process`,
    );
  }
  const mebi = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
  console.log(
    `expected at most ${mebi(started + windowBytes + cacheBytes)} MiB: ${mebi(started)} of the process and its workers ` +
      `after a batch, ${mebi(windowBytes)} of a window's rows, ${mebi(cacheBytes)} of the cache of pieces of shards`,
  );
  console.log(`resident MiB: ${resident.map(mebi).join(' ')}`);
  return resident;
}

function speedCases(where: string, raced: readonly Raced[]): Case[] {
  const ours = raced.find(({ side }) => side === 'capstan')!;
  return (['open_clip', 'datasets'] as const).map((side) => {
    const peer = raced.find((other) => other.side === side)!;
    return {
      name: `${where}, vs ${side}`,
      unit: 'img per core-second',
      ours: median(ours.perCore),
      peer: median(peer.perCore),
      ratio: median(ours.perCore) / median(peer.perCore),
      target: TARGETS[side],
      oursSpread: spreadOf(ours.perCore),
      peerSpread: spreadOf(peer.perCore),
    };
  });
}

function scalingCase(one: Raced, two: Raced): Case {
  const scaling = median(two.perSecond) / (2 * median(one.perSecond));
  const name = 'img/s on 2 cores over twice those on 1';
  return { name, unit: '', ours: scaling, peer: LEAST_SCALING, ratio: scaling / LEAST_SCALING, target: 1 };
}

function firstBatchCase(seconds: readonly number[]): Case {
  const ours = median(seconds);
  const ratio = FIRST_BATCH_LIMIT_S / ours;
  return {
    ...{
      name: 'first batch, from the start of the process',
      unit: 's',
      ours,
      peer: FIRST_BATCH_LIMIT_S,
      ratio,
      target: 1,
    },
    oursSpread: spreadOf(seconds),
  };
}

function memoryCase(resident: readonly number[]): Case {
  const ours = resident.at(-1)! / 2 ** 20;
  const peer = (LARGEST_GROWTH * resident[Math.floor(resident.length * FILL_SHARE)]!) / 2 ** 20;
  return { name: 'resident memory at the end', unit: 'MiB', ours, peer, ratio: peer / ours, target: 1 };
}
