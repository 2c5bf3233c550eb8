/** `capstan data bench PATH|CONFIG`: how fast the loader is on one's own data, and what bounds it. */
import type { Command } from 'commander';
import type { LoaderBench } from '../../data/loader-bench.js';
import { formatTable } from '../format-table.js';
import { positiveInteger, positiveNumber, wholeNumber } from '../numbers.js';
import { print, printError } from '../printer.js';
import { addReadingFlags, openOptionsOf, type ReadingFlags } from '../reading-flags.js';
import { abortOnSignals } from '../signals.js';
import { collect } from './train.js';

interface BenchFlags extends ReadingFlags {
  readonly set: string[];
  readonly batch?: number;
  readonly size?: number;
  readonly workers?: number;
  readonly steps?: number;
  readonly seconds?: number;
  readonly json?: string;
}

const DEFAULT_BATCH = 64;
const DEFAULT_SIZE = 224;
const CONTEXT_LENGTH = 77;

/** Adds `capstan data bench`. */
export function registerDataBench(data: Command): void {
  const command = data
    .command('bench')
    .description("measure the loader on one's own data, its limits, and what bounds it")
    .argument('<where>', 'a data set, or a configuration (.yaml), whose section data is taken');
  addReadingFlags(command)
    .option('--set <path=value>', 'with a configuration: change a key (repeatable)', collect, [])
    .option(
      '--batch <samples>',
      `samples of a batch (default: ${DEFAULT_BATCH}, or the configuration's)`,
      positiveInteger,
    )
    .option(
      '--size <pixels>',
      `side of the images (default: ${DEFAULT_SIZE}, or the model's)`,
      positiveInteger,
    )
    .option(
      '--workers <threads>',
      'threads that decode; 0 decodes in the main thread (default: by the cores)',
      wholeNumber,
    )
    .option('--steps <batches>', 'batches to time (default: as many as come in --seconds)', positiveInteger)
    .option('--seconds <seconds>', 'how long to time batches (default: 10)', positiveNumber)
    .option('--json <file>', 'write all figures there too')
    .action(run);
}

async function run(where: string, flags: BenchFlags): Promise<void> {
  const { benchLoader } = await import('../../data/loader-bench.js');
  const { replaceFile, requireReplaceable } = await import('../../replace-file.js');
  const { batch, size, workers, steps, seconds, json } = flags;
  if (json !== undefined) await requireReplaceable(json);
  const opened = /\.ya?ml$/i.test(where) ? await openConfig(where, flags) : await openPath(where, flags);
  const signals = abortOnSignals('ending the measurement. Once more to leave at once.');
  try {
    printError('Measuring: the loader, reading alone, then each stage alone.');
    const bench = await benchLoader({
      ...opened.options,
      ...(batch === undefined ? {} : { batchSize: batch }),
      ...(size === undefined ? {} : { imageSize: size }),
      ...(workers === undefined ? {} : { workers }),
      ...(steps === undefined ? {} : { steps }),
      ...(seconds === undefined ? {} : { seconds }),
      signal: signals.signal,
    });
    print(formatBench(bench));
    if (json !== undefined) await replaceFile(json, `${JSON.stringify(bench, null, 2)}\n`);
  } catch (error) {
    if (!signals.signal.aborted) throw error;
    process.exitCode = signals.exitCode() ?? 1;
  } finally {
    signals.stop();
    await opened.close();
  }
}

async function openConfig(path: string, flags: BenchFlags) {
  const { set, split, format, schema, column, images, cacheDir, cacheMib, s3Endpoint, s3Anonymous } = flags;
  const { loadConfig } = await import('../../config/load.js');
  const { ConfigError } = await import('../../errors.js');
  const { resolveModel } = await import('../../train/tasks/clip-config.js');
  const { loaderOptions, openTrainingData } = await import('../../train/training-data.js');
  const reading = [split, format, schema, column, images, cacheDir, cacheMib, s3Endpoint, s3Anonymous];
  if (reading.some((flag) => flag !== undefined)) {
    throw new ConfigError(
      'A configuration says itself how its data is read: change it with --set, as in --set data.split=val.',
    );
  }
  const config = await loadConfig(path, set);
  const data = await openTrainingData(config);
  return { options: loaderOptions(config, await resolveModel(config.model), data), close: data.close };
}

async function openPath(path: string, flags: BenchFlags) {
  const { openSource } = await import('../../data/datasets/open.js');
  const { captionKinds } = await import('../../data/schema.js');
  const { ConfigError } = await import('../../errors.js');
  if (flags.set.length > 0) {
    throw new ConfigError(
      '--set changes a configuration, and this is a data set: leave it out, or name a .yaml file.',
    );
  }
  const source = await openSource(path, openOptionsOf(flags));
  const kinds = captionKinds.filter((kind) => source.columns.includes(kind));
  if (kinds.length === 0) {
    await source.close();
    throw new ConfigError(
      `${path}: has no captions, only ${source.columns.join(', ')}. Say which column is one, as in --column alt=caption.`,
    );
  }
  const options = {
    source,
    captions: Object.fromEntries(kinds.map((kind) => [kind, 1 / kinds.length])),
    ...{ batchSize: DEFAULT_BATCH, imageSize: DEFAULT_SIZE, contextLength: CONTEXT_LENGTH, seed: 0 },
    transform: 'train' as const,
  };
  return { options, close: () => source.close() };
}

const HINTS: Readonly<Record<LoaderBench['bound'], string>> = {
  source:
    'the source: reading alone is hardly faster. Put the data on a faster disk or nearer, or convert it to shards ' +
    '(npx capstan data convert).',
  threads: 'the threads: all of them are busy and cores are free. Raise data.workers.',
  decode:
    'decoding: all cores are busy. Use more cores, store smaller images, or keep decoded ones with data.cacheMiB.',
  machine:
    'the machine: neither reading nor the threads are busy all the time. Other programs may take the cores.',
};

const number = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toPrecision(3);
const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;
const mebibytes = (bytes: number): string => `${number(bytes / 2 ** 20)} MiB`;

/** The figures as tables, with what bounds the loader. */
export function formatBench(bench: LoaderBench): string {
  const { batchMs, residentBytes, limits, stages } = bench;
  const figures = [
    ['images a second', number(bench.imgPerSec)],
    ['images per core-second', number(bench.imgPerCoreSec)],
    ['MB of image files a second', number(bench.mbPerSec)],
    ['first batch', `${number(bench.firstBatchMs)} ms`],
    ['wait for a batch: p50, p95', `${number(batchMs.p50)} ms, ${number(batchMs.p95)} ms`],
    ['resident memory: start, end', `${mebibytes(residentBytes.start)}, ${mebibytes(residentBytes.end)}`],
    [
      'limit: decoding alone',
      `${number(limits.decodePerCoreSec)} per core-second, reached ${percent(limits.decodeShare)}`,
    ],
    ['limit: reading alone', `${number(limits.readPerSec)} a second, reached ${percent(limits.readShare)}`],
    ...(bench.skipped > 0 ? [['broken samples passed over', number(bench.skipped)]] : []),
  ];
  const all = Object.values(stages).reduce((sum: number, ms) => sum + ms, 0);
  const rows = Object.entries(stages).map(([stage, ms]: [string, number]) => [
    stage,
    ms.toFixed(3),
    percent(ms / all),
  ]);
  const width = Math.max(...figures.map(([name = '']) => name.length));
  return [
    `${bench.batches} batches of ${bench.batchSize} at ${bench.imageSize} pixels, ${bench.workers} threads, ${bench.cores} cores`,
    figures.map(([name = '', value]) => `${name.padEnd(width)}  ${value}`).join('\n'),
    formatTable(['stage', 'CPU ms a sample', 'share'], rows, ['CPU ms a sample', 'share']),
    `What bounds it is ${HINTS[bench.bound]}`,
  ].join('\n\n');
}
