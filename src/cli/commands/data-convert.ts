/** `capstan data convert PATH...`: data sets from any format to another. */
import { type Command, Option } from 'commander';
import type { ConvertResult } from '../../data/convert/convert.js';
import type { TargetFormat } from '../../data/convert/formats.js';
import type { ParquetCompression } from '../../data/sources/parquet-encoder.js';
import { positiveInteger, positiveNumber, share, wholeNumber } from '../numbers.js';
import { print, printError } from '../printer.js';
import { commandLine } from '../quoted.js';
import { addReadingFlags, type ReadingFlags, withReading } from '../reading-flags.js';
import { abortOnSignals } from '../signals.js';

interface ConvertFlags extends ReadingFlags {
  readonly to: TargetFormat;
  readonly out: string;
  readonly shardRows?: number;
  readonly shardMib: number;
  readonly columnsOut?: readonly string[];
  readonly compression?: ParquetCompression;
  readonly shuffle?: number;
  readonly maxSkipRatio: number;
}

/** Adds `capstan data convert`. */
export function registerDataConvert(data: Command): void {
  const command = data
    .command('convert')
    .description('write data sets anew in another format, in shards; goes on where it was ended')
    .argument('<paths...>', 'data sets: directories, shards, or patterns of these')
    .addOption(
      new Option('--to <format>', 'format of the result')
        .choices(['arrow', 'parquet', 'webdataset', 'jsonl', 'csv'])
        .makeOptionMandatory(),
    )
    .requiredOption('--out <directory>', 'where to put it; OUT.partial is used until it is whole');
  addReadingFlags(command)
    .option('--shard-rows <rows>', 'most rows of a shard (default: as --shard-mib says)', positiveInteger)
    .option(
      '--shard-mib <mebibytes>',
      'most MiB of values in a shard, before compression',
      positiveNumber,
      256,
    )
    .option('--columns-out <names>', 'columns of the result, by commas (default: all)', (text: string) =>
      text.split(',').map((name) => name.trim()),
    )
    .addOption(
      new Option('--compression <codec>', "of Parquet's text and numbers (default: snappy)").choices([
        'snappy',
        'zstd',
        'gzip',
        'none',
      ]),
    )
    .option('--shuffle <seed>', 'permute the rows of each split by this seed', wholeNumber)
    .option('--max-skip-ratio <share>', 'share of the rows that may be faulty and left out', share, 0.01)
    .action(run);
}

async function run(paths: readonly string[], flags: ConvertFlags): Promise<void> {
  const { convertDataset } = await import('../../data/convert/convert.js');
  const { ConvertProgressBar } = await import('../convert-progress.js');
  const { to, out, shardMib, maxSkipRatio, shardRows, columnsOut, compression, shuffle } = flags;
  const signals = abortOnSignals(
    'ending after this row. Once more to leave at once; both lose no whole shard.',
  );
  const bar = new ConvertProgressBar(process.stderr);
  const started = performance.now();
  try {
    const result = await withReading(flags, (reading) =>
      convertDataset({
        ...reading,
        ...{ paths, to, out, shardMib, maxSkipRatio },
        ...(shardRows === undefined ? {} : { shardRows }),
        ...(columnsOut === undefined ? {} : { columnsOut }),
        ...(compression === undefined ? {} : { compression }),
        ...(shuffle === undefined ? {} : { shuffle }),
        signal: signals.signal,
        onProgress: (progress) => bar.update(progress),
        onResume: (shards, rows) =>
          printError(`Going on behind ${shards} whole shards of ${rows.toLocaleString('en-US')} rows.`),
      }),
    );
    bar.stop();
    if (!result.finished) {
      const again = ['npx', 'capstan', ...process.argv.slice(2)];
      print(
        `Stopped; ${result.shards} whole shards of ${result.rows.toLocaleString('en-US')} rows are in ` +
          `${result.directory}. Go on with: ${commandLine(again)}`,
      );
      process.exitCode = signals.exitCode() ?? 1;
      return;
    }
    print(describe(result, (performance.now() - started) / 1000));
  } finally {
    bar.stop();
    signals.stop();
  }
}

/** Reasons shown for rows left out; convert_stats.json names more. */
const SHOWN_SKIPS = 5;

function describe(result: ConvertResult, seconds: number): string {
  const { directory, rows, shards, splits, bytes, skipped, numSkipped, already } = result;
  const parts = Object.entries(splits).map(([split, count]) => `${split} ${count.toLocaleString('en-US')}`);
  const size = `${rows.toLocaleString('en-US')} rows (${parts.join(', ')}), ${(bytes / 1e6).toFixed(1)} MB in ${shards} shards`;
  if (already) return `${directory}: is there already, and whole: ${size}. Nothing was done.`;
  const lines = [`${directory}: ${size}, in ${seconds.toFixed(1)} s`];
  if (numSkipped > 0) {
    lines.push(`  ${numSkipped} faulty rows left out; convert_stats.json names them:`);
    lines.push(
      ...skipped
        .slice(0, SHOWN_SKIPS)
        .map(
          ({ path, split, row, key, reason }) =>
            `    ${path}, row ${row} of ${split}, key ${key ?? 'none'}: ${reason}`,
        ),
    );
  }
  return lines.join('\n');
}
