/**
 * Data sets from one format to another, shard by shard. What is done lies in `OUT.partial` with a journal, from which a
 * conversion that was ended goes on; when all is done the directory gets its name.
 */
import { mkdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { makeDirectories } from '../../directories.js';
import { ConfigError, DataError } from '../../errors.js';
import { takeLock } from '../../lock.js';
import { MANIFEST_NAME } from '../datasets/manifest.js';
import type { OpenOptions } from '../datasets/open.js';
import { syncToDisk, writeJson } from '../datasets/publish.js';
import type { ParquetCompression } from '../sources/parquet-encoder.js';
import { checkColumns, type TargetFormat } from './formats.js';
import { type ConvertSettings, JOURNAL_NAME, Journal, type JournalHead, type SkippedRow } from './journal.js';
import { type ConvertedManifest, manifestOf } from './manifest.js';
import { chooseColumns, findBinaries, inferColumns, type OpenedSplits, openAll } from './plan.js';
import { checkTarget, removeOrphans, resumable } from './resume.js';
import { type Skips, writeSplit } from './write-split.js';

/** What a conversion is told. */
export interface ConvertOptions extends OpenOptions {
  /** Data sets, whose rows are written one after the other. */
  readonly paths: readonly string[];
  readonly to: TargetFormat;
  /** Directory of the result; `OUT.partial` is used until it is whole. */
  readonly out: string;
  /** Most rows of a shard. Default: as many as `shardMib` hold. */
  readonly shardRows?: number;
  /** Most MiB of values of a shard. Default 256. */
  readonly shardMib?: number;
  /** Columns of the result. Default: all, under capstan's names where a schema maps them. */
  readonly columnsOut?: readonly string[];
  /** Of Parquet's text and numbers. Default `snappy`. */
  readonly compression?: ParquetCompression;
  /** Seed by which the rows of each split are permuted. Default: they stay in their order. */
  readonly shuffle?: number;
  /** Share of the rows that may be left out as faulty; one more is an error. Default 0.01. */
  readonly maxSkipRatio?: number;
  readonly onProgress?: (progress: ConvertProgress) => void;
  /** Told once, where shards of an earlier conversion are kept. */
  readonly onResume?: (shards: number, rows: number) => void;
  /** Ends the conversion between two rows. What is whole stays, and the same options go on from it. */
  readonly signal?: AbortSignal;
}

/** How far a conversion is. */
export interface ConvertProgress {
  /** `columns`: all values but images are read for their types. `rows`: rows are written. */
  readonly phase: 'columns' | 'rows';
  readonly rows: number;
  readonly totalRows: number;
  /** Bytes of the values written, about. */
  readonly bytes: number;
}

/** What came of a conversion. */
export interface ConvertResult {
  /** False if the signal ended it. */
  readonly finished: boolean;
  /** Where it lies: `out`, or `OUT.partial` if it is not finished. */
  readonly directory: string;
  /** Rows written so far. */
  readonly rows: number;
  readonly shards: number;
  /** Rows by split. */
  readonly splits: Readonly<Record<string, number>>;
  /** Bytes of all shards. */
  readonly bytes: number;
  /** Rows that were left out: the first 10,000 of them, and how many there are in all. */
  readonly skipped: readonly SkippedRow[];
  readonly numSkipped: number;
  /** It had been finished before, and nothing was done. */
  readonly already: boolean;
}

const WRITER = 1;

/**
 * Converts data sets. The result has a manifest, so that `openSource` opens it with the splits of the sources. Killed at
 * any moment, the same call goes on from the last whole shard, to the same bytes.
 *
 * @throws ConfigError for wrong options, and where something else is at `out`; DataError if a source is damaged, too many
 *   rows are faulty, the disk fails, or `OUT.partial` is of another conversion
 */
export async function convertDataset(options: ConvertOptions): Promise<ConvertResult> {
  checkOptions(options);
  const { paths, shuffle } = options;
  const opened = await openAll(paths, options, shuffle);
  try {
    const settings = settingsOf(options, opened);
    const done = await checkTarget(options.out, settings);
    if (done !== undefined) return resultOf(done, resolve(options.out), true);
    const partial = `${resolve(options.out)}.partial`;
    await makeDirectories(dirname(partial));
    const unlock = await takeLock(`${partial}.lock`, {
      refusal: ({ pid, host }) =>
        new ConfigError(
          `${partial}: process ${pid} on ${host} converts there. Wait for it, or choose another --out.`,
        ),
    });
    try {
      return await convertInto(partial, options, settings, opened);
    } finally {
      await unlock();
    }
  } finally {
    await opened.close();
  }
}

async function convertInto(
  partial: string,
  options: ConvertOptions,
  settings: ConvertSettings,
  opened: OpenedSplits,
): Promise<ConvertResult> {
  const { to, signal, onProgress } = options;
  const found = await resumable(partial, settings);
  let head: JournalHead;
  try {
    head = found?.head ?? { settings, ...(await describeColumns(options, opened)) };
  } catch (error) {
    if (signal?.aborted !== true || error !== signal.reason) throw error;
    return { ...NOTHING, directory: partial };
  }
  checkColumns(to, head);
  await mkdir(partial, { recursive: true });
  await removeOrphans(partial, found?.entries ?? []);
  const journal = await Journal.open(partial, head, found?.entries ?? []);
  const skips: Skips = { count: 0, total: opened.numRows, maxRatio: options.maxSkipRatio ?? 0.01 };
  let bytes = 0;
  for (const entry of journal.entries) {
    skips.count += entry.skipped.length;
    bytes += entry.valueBytes;
  }
  const kept = journal.entries.filter(({ shard }) => shard !== undefined);
  if (kept.length > 0) {
    options.onResume?.(
      kept.length,
      kept.reduce((sum, { shard }) => sum + (shard?.rows ?? 0), 0),
    );
  }
  try {
    let before = 0;
    for (const rows of opened.splits) {
      const start = before;
      const finished = await writeSplit({
        ...{ rows, directory: partial, journal, head, to, skips, signal },
        compression: options.compression ?? 'snappy',
        shardRows: options.shardRows ?? Number.POSITIVE_INFINITY,
        shardBytes: (options.shardMib ?? 256) * 2 ** 20,
        onRow: (position, added) => {
          bytes += added;
          onProgress?.({ phase: 'rows', rows: start + position, totalRows: opened.numRows, bytes });
        },
      });
      if (!finished) return resultOf(manifestOf(basename(resolve(options.out)), to, journal), partial, false);
      before += rows.numRows;
    }
  } finally {
    await journal.close();
  }
  const manifest = manifestOf(basename(resolve(options.out)), to, journal);
  if (manifest.rows === 0) {
    const [first] = manifest.skipped.named;
    throw new DataError(
      `${options.paths.join(', ')}: none of the ${opened.numRows} rows can be used. The first, row ${first?.row}: ${first?.reason}`,
    );
  }
  await publish(partial, resolve(options.out), manifest);
  return resultOf(manifest, resolve(options.out), false);
}

/** The columns with what the format has to know of them. */
async function describeColumns(
  options: ConvertOptions,
  opened: OpenedSplits,
): Promise<Pick<JournalHead, 'columns' | 'binaries'>> {
  const { to, signal, onProgress } = options;
  const columns = chooseColumns(opened, options.columnsOut);
  const found = await findBinaries(opened, columns);
  const binaries = found.filter((column) => column !== 'image');
  if (to !== 'arrow' && to !== 'parquet') return { columns: columns.map((name) => ({ name })), binaries };
  let rows = 0;
  const onRow = (): void => {
    signal?.throwIfAborted();
    onProgress?.({ phase: 'columns', rows: ++rows, totalRows: opened.numRows, bytes: 0 });
  };
  return { columns: await inferColumns(opened, columns, found, onRow), binaries };
}

/** Writes the manifest and the report, and gives the directory its name. */
async function publish(partial: string, out: string, manifest: ConvertedManifest): Promise<void> {
  const { named, ...counts } = manifest.skipped;
  await writeJson(join(partial, 'convert_stats.json'), {
    converted: manifest.rows,
    ...counts,
    skipped: named,
  });
  await writeJson(join(partial, MANIFEST_NAME), { ...manifest, skipped: counts });
  await syncToDisk(join(partial, 'convert_stats.json'));
  await syncToDisk(join(partial, MANIFEST_NAME));
  await syncToDisk(partial);
  await rename(partial, out);
  await rm(join(out, JOURNAL_NAME), { force: true });
  await syncToDisk(dirname(out));
}

const NOTHING: Omit<ConvertResult, 'directory'> = {
  finished: false,
  rows: 0,
  shards: 0,
  splits: {},
  bytes: 0,
  skipped: [],
  numSkipped: 0,
  already: false,
};

function resultOf(manifest: ConvertedManifest, directory: string, already: boolean): ConvertResult {
  return {
    finished: !directory.endsWith('.partial'),
    directory,
    rows: manifest.rows,
    shards: manifest.shards.length,
    splits: manifest.splits,
    bytes: manifest.shards.reduce((sum, shard) => sum + shard.bytes, 0),
    skipped: manifest.skipped.named,
    numSkipped: manifest.skipped.rows,
    already,
  };
}

/** All that decides the bytes of the result. */
function settingsOf(options: ConvertOptions, opened: OpenedSplits): ConvertSettings {
  const {
    to,
    split,
    format,
    schema,
    columns,
    images,
    columnsOut,
    shardRows,
    shardMib,
    compression,
    shuffle,
  } = options;
  const given = {
    to,
    split,
    format,
    schema,
    column: columns,
    images,
    'columns-out': columnsOut,
    'shard-rows': shardRows,
    'shard-mib': shardMib ?? 256,
    compression: to === 'parquet' ? (compression ?? 'snappy') : compression,
    shuffle,
  };
  return {
    writer: WRITER,
    sources: [...opened.fingerprints],
    options: Object.fromEntries(
      Object.entries(given).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, typeof value === 'string' ? value : JSON.stringify(value)]],
      ),
    ),
  };
}

function checkOptions(options: ConvertOptions): void {
  const { paths, to, out, shardRows, shardMib, compression, shuffle, maxSkipRatio } = options;
  const above = (name: string, value: number | undefined, whole: boolean): void => {
    if (value === undefined || (value > 0 && (whole ? Number.isSafeInteger(value) : Number.isFinite(value))))
      return;
    throw new ConfigError(`--${name} is ${value}; expected a ${whole ? 'whole ' : ''}number above 0.`);
  };
  if (paths.length === 0) throw new ConfigError('There is nothing to convert: name at least one data set.');
  above('shard-rows', shardRows, true);
  above('shard-mib', shardMib, false);
  if (shuffle !== undefined && !Number.isSafeInteger(shuffle)) {
    throw new ConfigError(`--shuffle is ${shuffle}; expected a whole number, the seed.`);
  }
  if (maxSkipRatio !== undefined && !(maxSkipRatio >= 0 && maxSkipRatio <= 1)) {
    throw new ConfigError(`--max-skip-ratio is ${maxSkipRatio}; expected a share from 0 to 1.`);
  }
  if (compression !== undefined && to !== 'parquet') {
    throw new ConfigError(`--compression is Parquet's; ${to} is written as it is. Leave it out.`);
  }
  const target = resolve(out);
  for (const path of paths) {
    const source = resolve(path);
    if (source !== target && !source.startsWith(`${target}/`)) continue;
    throw new ConfigError(`--out is ${out}, which holds ${path}, a source. Choose another place.`);
  }
}
