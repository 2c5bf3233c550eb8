/** `capstan data download`: the images of a list of URLs. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { formatBytes } from '../../assets/index.js';
import {
  type DedupeKind,
  type DownloadFormat,
  dedupeKinds,
  downloadFormats,
  type Encoding,
  encodings,
  type ResizeMode,
  resizeModes,
} from '../../data/download/choices.js';
import type { DownloadReport } from '../../data/download/report.js';
import { DownloadBar } from '../download-progress.js';
import { formatTable } from '../format-table.js';
import { positiveInteger, wholeNumber } from '../numbers.js';
import { print, printError } from '../printer.js';
import { addReadingFlags, type ReadingFlags, withReading } from '../reading-flags.js';
import { abortOnSignals } from '../signals.js';

/** Flags of the command; those of the result and of fetching have the names of `downloadImages`' options. */
interface DownloadFlags extends ReadingFlags {
  readonly out: string;
  readonly to: DownloadFormat;
  readonly shardRows: number;
  readonly size?: number;
  readonly resizeMode?: ResizeMode;
  readonly onlyIfBigger?: boolean;
  readonly encode?: Encoding;
  readonly quality: number;
  readonly skipReencode?: boolean;
  readonly minSize: number;
  readonly maxAspectRatio?: number;
  readonly maxPixels?: number;
  readonly maxBytes?: number;
  readonly dedupe: DedupeKind;
  readonly verify?: boolean;
  readonly ignoreOptOut?: boolean;
  readonly concurrency: number;
  readonly perHost: number;
  readonly timeout: number;
  readonly retries: number;
  readonly retryDelay: number;
  readonly userAgent?: string;
  readonly allowPrivate?: boolean;
  readonly retryFailed?: boolean;
}

/** Adds `capstan data download`. */
export function registerDataDownload(data: Command): void {
  const command = data
    .command('download')
    .description('fetch the images of a list of URLs into shards to train on; run again, it goes on')
    .argument('<list>', 'the list: a directory, file or pattern of rows with URLs')
    .requiredOption('--out <directory>', 'where to put the shards');
  addReadingFlags(command);
  addResultOptions(command);
  addFetchOptions(command);
  command.action(async (list: string, flags: DownloadFlags) => {
    const { exitCode, report } = await download(list, flags);
    if (report !== undefined) print(describe(flags.out, report));
    process.exitCode = exitCode;
  });
}

function addResultOptions(command: Command): void {
  command
    .addOption(new Option('--to <format>', 'format of the shards').choices(downloadFormats).default('arrow'))
    .option('--shard-rows <rows>', 'rows of the list that go into a shard', positiveInteger, 10_000)
    .option('--size <pixels>', 'bring images to this size (default with --resize-mode: 256)', positiveInteger)
    .addOption(
      new Option(
        '--resize-mode <mode>',
        'what is brought to the size (default: keep-ratio with --size, else no)',
      ).choices(resizeModes),
    )
    .option('--only-if-bigger', 'leave smaller images as large as they are')
    .addOption(
      new Option(
        '--encode <format>',
        'encode images anew (default: jpg where they are resized, else as they came)',
      ).choices(encodings),
    )
    .option('--quality <number>', 'of JPEG and WebP, 1 to 100', positiveInteger, 95)
    .option('--skip-reencode', 'keep the bytes of images that are in the format and of the size already')
    .option('--min-size <pixels>', 'shorter side that images must have', wholeNumber, 0)
    .option('--max-aspect-ratio <ratio>', 'longer side over shorter side (default: any)', decimal)
    .option('--max-pixels <pixels>', 'refuse larger images undecoded (default: 178956970)', positiveInteger)
    .option('--max-bytes <bytes>', 'refuse larger files, as 20M (default: 32M)', byteCount)
    .addOption(
      new Option('--dedupe <what>', 'besides equal URLs, take images of equal bytes once')
        .choices(dedupeKinds)
        .default('none'),
    )
    .option('--verify', "hold images against the hashes in the list's column sha256 or md5")
    .option('--ignore-opt-out', 'take images whose servers say that they are not to be used');
}

function addFetchOptions(command: Command): void {
  command
    .option('--concurrency <number>', 'images under way at a time', positiveInteger, 64)
    .option('--per-host <number>', 'of these, from one host', positiveInteger, 8)
    .option('--timeout <seconds>', 'silence after which a server is given up', decimal, 10)
    .option('--retries <number>', 'further tries after a failure that may pass', wholeNumber, 2)
    .option('--retry-delay <seconds>', 'pause before the first further try; it doubles with each', decimal, 1)
    .option('--user-agent <text>', 'what servers are told (default: capstan/VERSION)')
    .option('--allow-private', 'fetch from this machine and private networks, too')
    .option('--retry-failed', 'try again what failed in an earlier run');
}

async function download(
  list: string,
  flags: DownloadFlags,
): Promise<{ exitCode: number; report?: DownloadReport }> {
  const { openSource } = await import('../../data/datasets/open.js');
  const { downloadImages } = await import('../../data/download/download-images.js');
  const watch = abortOnSignals(
    'leaving; finished shards are kept, and the same command goes on. Once more to leave at once.',
  );
  const bar = new DownloadBar(process.stderr);
  const { timeout, retryDelay, ...rest } = flags;
  try {
    const report = await withReading(flags, async (reading) => {
      const source = await openSource(list, reading);
      try {
        return await downloadImages({
          ...rest,
          source,
          timeoutSeconds: timeout,
          retryDelaySeconds: retryDelay,
          signal: watch.signal,
          onProgress: (progress) => bar.update(progress),
        });
      } finally {
        bar.stop();
        await source.close();
      }
    });
    return { exitCode: 0, report };
  } catch (error) {
    const exitCode = watch.exitCode();
    if (exitCode === undefined) throw error;
    printError('Ended before all images were there; finished shards are kept.');
    return { exitCode };
  } finally {
    watch.stop();
  }
}

/** Hosts that are shown; the report has more. */
const SHOWN_HOSTS = 5;

function describe(out: string, report: DownloadReport): string {
  const { rows, images, shards, failures, hosts, bytesStored, lastRun } = report;
  const share = (count: number): string => `${((100 * count) / rows).toFixed(1)} %`;
  const rate = lastRun.images / Math.max(lastRun.seconds, 1e-3);
  const lines = [
    `${out}: ${images} images of ${rows} rows (${share(images)}) in ${shards} shards, ${formatBytes(bytesStored)}`,
    `this run: ${lastRun.images} images, ${formatBytes(lastRun.bytes)} in ${lastRun.seconds.toFixed(1)} s, ${rate.toFixed(1)} img/s`,
  ];
  const counts = Object.entries(failures);
  if (counts.length > 0) {
    const table = counts.map(([reason, count]) => [reason, String(count), share(count)]);
    lines.push('', formatTable(['no image', 'rows', 'share'], table, ['rows', 'share']));
  }
  if (hosts.length > 0) {
    const table = hosts
      .slice(0, SHOWN_HOSTS)
      .map(({ host, failures: n, reason }) => [host, String(n), reason]);
    lines.push('', formatTable(['host', 'failures', 'mostly'], table, ['failures']));
  }
  if (counts.length > 0)
    lines.push('', `failures.jsonl has each row without an image; report.json has all counts.`);
  return lines.join('\n');
}

function decimal(text: string): number {
  const value = Number(text);
  if (/^[\d.]+$/.test(text) && value > 0) return value;
  throw new InvalidArgumentError('Expected a number above 0.');
}

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 };

function byteCount(text: string): number {
  const found = /^(\d{1,12})([KMG]?)$/i.exec(text);
  if (found === null) throw new InvalidArgumentError('Expected bytes, as 500000, 500K or 20M.');
  return Number(found[1]) * (UNITS[(found[2] as string).toUpperCase()] as number);
}
