/** Opening of data sets for reading. */
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ConfigError, DataError } from '../../errors.js';
import { mapConcurrently } from '../map-concurrently.js';
import { type ShardFormat, shardFormats, splits } from '../schema.js';
import { applySchema, type SchemaOptions } from '../schemas/apply.js';
import { SchemaSource } from '../schemas/schema-source.js';
import { BlockCache } from '../sources/block-cache.js';
import { RowSubset, type Shard, ShardedSource, type Source } from '../sources/source.js';
import { listPatterns } from '../storage/list.js';
import { hasWildcard } from '../storage/patterns.js';
import { openLocalFile } from '../storage/stored-file.js';
import { type Reading, readShardList } from './manifest.js';
import { restoreInterrupted } from './publish.js';
import { formatOf, isShardName, openShard, shardEndings, splitOf } from './shard-format.js';

/** What to open of a data set, and how to read its columns. */
export interface OpenOptions extends SchemaOptions {
  /**
   * Only the rows of this split: the shards that the manifest lists for it or, in a directory without one, whose
   * names begin with it and a dash; else the rows that have it in the column `split`, which is read at once. A data
   * set of another schema than capstan's that tells no splits is all `train`.
   */
  readonly split?: string;
  /** Which shards, where several formats are there. Default: the first of `shardFormats` that is there. */
  readonly format?: ShardFormat;
}

/** Shards opened at once: enough to hide what a disk or server takes to answer, with little memory. */
const OPEN_AT_ONCE = 8;

/** Bytes of decoded shards kept in memory by each open source. */
const CACHE_BYTES = 256 * 1024 * 1024;

/**
 * Opens a data set: a directory with a manifest, a directory of shards (in order of their names), the files of a
 * pattern (`{00000..00099}.tar` in order of the braces, `*.tar` of their names), or one file. The format goes by the
 * ending; a `.json` file may hold an array, an object, or lines. Columns of a schema that is known, named or given are
 * read as capstan's.
 *
 * @throws ConfigError if there is nothing at the path, no such format, no such split, no telling the splits, no
 *   such schema, or columns that it needs are missing.
 * @throws DataError if a shard is damaged, does not fit the manifest, or there are no rows.
 */
export function openSource(path: string, options: OpenOptions = {}): Promise<Source> {
  return openCached(path, options, new BlockCache(CACHE_BYTES));
}

/**
 * Opens the data sets at several paths, each split of each by itself. They share one cache, which closing any of them
 * empties.
 *
 * @returns by path, sources and their splits. Where neither the manifest, nor names of files, nor a column tell
 *   splits, all is `train`.
 * @throws as {@link openSource}
 */
export async function openSplits(
  paths: readonly string[],
  options: OpenOptions = {},
): Promise<readonly { readonly split: string; readonly source: Source }[][]> {
  const cache = new BlockCache(CACHE_BYTES);
  const opened: { split: string; source: Source }[][] = [];
  for (const path of paths) {
    const { split } = options;
    const names = split === undefined ? await namedSplits(path, options.format) : [split];
    if (names !== undefined) {
      const sources: { split: string; source: Source }[] = [];
      for (const name of names) {
        sources.push({ split: name, source: await openCached(path, { ...options, split: name }, cache) });
      }
      opened.push(sources);
    } else opened.push(await splitByColumn(await openCached(path, options, cache)));
  }
  return opened;
}

/** The splits that a manifest lists, or for which all files are named; undefined if these do not tell. */
async function namedSplits(path: string, format: ShardFormat | undefined): Promise<string[] | undefined> {
  await restoreInterrupted(path);
  const info = await stat(path).catch(() => undefined);
  const list = info?.isDirectory() ? await readShardList(path) : undefined;
  let shards: readonly { readonly format: ShardFormat; readonly split: string }[];
  if (list !== undefined) shards = list.shards;
  else if (info?.isDirectory()) shards = (await readdir(path)).filter(isShardName).map(shardOf);
  else if (info === undefined && (hasWildcard(path) || path.includes('{')))
    shards = await patternShards(path);
  else return undefined;
  const formats = new Set(shards.map((shard) => shard.format));
  const chosen = format ?? shardFormats.find((each) => formats.has(each));
  const names = [...new Set(shards.filter((shard) => shard.format === chosen).map(({ split }) => split))];
  return list !== undefined || (names.length > 0 && names.every((name) => SPLIT_NAMES.has(name)))
    ? names
    : undefined;
}

/** The rows of each value of the column `split`; without one, all as what the file is named for, or as `train`. */
async function splitByColumn(source: Source): Promise<{ split: string; source: Source }[]> {
  if (!source.columns.includes('split')) {
    const name = formatOf(source.path) === undefined ? 'train' : splitOf(source.path);
    return [{ split: SPLIT_NAMES.has(name) ? name : 'train', source }];
  }
  const rows = new Map<string, number[]>();
  for (const [row, value] of (await source.readColumn('split')).entries()) {
    if (typeof value !== 'string' || value === '') {
      throw new DataError(
        `${source.path}: row ${row} has no split in the column 'split'; expected text. Name a split to take its rows ` +
          'only, or mend the column.',
      );
    }
    const found = rows.get(value);
    if (found === undefined) rows.set(value, [row]);
    else found.push(row);
  }
  return [...rows].map(([split, indices]) => ({
    split,
    source: new RowSubset(source, indices, `split ${split}`),
  }));
}

async function openCached(path: string, options: OpenOptions, cache: BlockCache): Promise<Source> {
  await restoreInterrupted(path);
  const info = await stat(path).catch(() => undefined);
  if (info === undefined && (hasWildcard(path) || path.includes('{'))) {
    return openShards(path, await patternShards(path), false, options, cache);
  }
  if (info === undefined) {
    throw new ConfigError(
      `${path}: there is no such data set. Build the built-in one with: npx capstan data build emoji --out ${path}`,
    );
  }
  if (!info.isDirectory()) {
    const format = formatOf(path);
    if (format === undefined) {
      throw new ConfigError(`${path}: has no known ending; expected one of ${shardEndings}.`);
    }
    const shards = new ShardedSource(path, [await openLocalShard(path, format, cache)], () => cache.clear());
    const source = await applySchema(shards, [path], options, openLocalFile);
    if (options.split === undefined) return source;
    // The column, if there is one, knows better than the name of a file that may hold all splits.
    if (source.columns.includes('split') || splitOf(path) !== options.split) {
      return selectSplit(source, options.split, [path]);
    }
    return source;
  }
  return openDirectory(path, options, cache);
}

async function patternShards(path: string): Promise<ShardFile[]> {
  const found = await listPatterns(path, (each) => ({ kind: 'local', path: each }));
  return found
    .map((file) => file.path)
    .filter((each) => isShardName(basename(each)))
    .map(shardOf);
}

async function openDirectory(path: string, options: OpenOptions, cache: BlockCache): Promise<Source> {
  const manifest = await readShardList(path);
  const names = manifest === undefined ? (await readdir(path)).filter(isShardName).sort() : [];
  const files = manifest?.shards.map((shard) => ({ ...shard, path: join(path, shard.name) }));
  const listed = files ?? names.map((name) => shardOf(join(path, name)));
  return openShards(
    path,
    listed,
    manifest !== undefined,
    { ...readingOf(path, manifest?.reading, options), ...options },
    cache,
  );
}

/** How the manifest says that columns are read, unless the options say anything of it. */
function readingOf(path: string, reading: Reading = {}, options: OpenOptions): OpenOptions {
  const { images, ...columns } = reading;
  if (options.schema !== undefined || options.columns !== undefined) return {};
  return { ...columns, ...(images === undefined ? {} : { images: join(path, images) }) };
}

/** @param isListed whether a manifest lists the files with their splits. */
async function openShards(
  path: string,
  files: readonly ShardFile[],
  isListed: boolean,
  options: OpenOptions,
  cache: BlockCache,
): Promise<Source> {
  if (files.length === 0) {
    throw new DataError(
      `${path}: holds no shards; expected files that end in one of ${shardEndings}. Check the path.`,
    );
  }
  const formats = new Set(files.map(({ format }) => format));
  const format = options.format ?? (shardFormats.find((each) => formats.has(each)) as ShardFormat);
  if (!formats.has(format)) {
    throw new ConfigError(`${path}: holds no ${format} shards, only ${[...formats].join(', ')}.`);
  }
  const ofFormat = files.filter((file) => file.format === format);
  const { split } = options;
  const ofSplit = split === undefined ? ofFormat : ofFormat.filter((file) => file.split === split);
  if (ofSplit.length === 0 && isListed) {
    const present = [...new Set(ofFormat.map((file) => file.split))].join(', ');
    throw new ConfigError(`${path}: there is no split '${split}'; present are ${present}.`);
  }
  const wanted = ofSplit.length > 0 ? ofSplit : ofFormat;
  const shards = await mapConcurrently(wanted, OPEN_AT_ONCE, async (file) => {
    const shard = await openLocalShard(file.path, format, cache);
    if (file.bytes !== undefined && (shard.size !== file.bytes || shard.numRows !== file.rows)) {
      throw new DataError(
        `${shard.path}: does not fit the manifest: expected ${file.rows} rows in ${file.bytes} bytes, ` +
          `found ${shard.numRows} in ${shard.size}. Build or copy the data set again.`,
      );
    }
    return shard;
  });
  const names = wanted.map((file) => file.path);
  const raw = new ShardedSource(path, shards, () => cache.clear());
  const source = await applySchema(raw, names, options, openLocalFile);
  return split === undefined || ofSplit.length > 0 ? source : selectSplit(source, split, names);
}

/** Names of splits, one of which in a file's name says that others are elsewhere. */
const SPLIT_NAMES: ReadonlySet<string> = new Set([...splits, 'valid', 'validation', 'dev', 'eval']);

/** The rows that have the split in their column `split`. */
async function selectSplit(source: Source, split: string, files: readonly string[]): Promise<Source> {
  if (!source.columns.includes('split')) {
    const allTrain = source instanceof SchemaSource && !files.some((file) => SPLIT_NAMES.has(splitOf(file)));
    if (allTrain && split === 'train') return source;
    if (allTrain) {
      throw new ConfigError(
        `${source.path}: there is no split '${split}'; a data set of schema ${source.schema} is all split 'train'.`,
      );
    }
    const named = [...new Set(files.map(splitOf))].join(', ');
    throw new ConfigError(
      `${source.path}: cannot tell which rows are of split '${split}': there is no column 'split', and files are ` +
        `named for ${named}. Choose one of these, add the column, or put the split's rows into a directory ` +
        `as ${split}-00000.arrow or .parquet.`,
    );
  }
  const values = await source.readColumn('split');
  const rows = [...values.keys()].filter((row) => values[row] === split);
  if (rows.length === 0) {
    const present = [...new Set(values.map(String))].join(', ');
    throw new ConfigError(
      `${source.path}: there is no split '${split}'; present in column 'split' are ${present}.`,
    );
  }
  return new RowSubset(source, rows, `split ${split}`);
}

/** A shard as the manifest or, without rows and bytes, its name tells. */
interface ShardFile {
  readonly path: string;
  readonly format: ShardFormat;
  readonly split: string;
  readonly rows?: number;
  readonly bytes?: number;
}

function shardOf(path: string): ShardFile {
  return { path, format: formatOf(path) as ShardFormat, split: splitOf(path) };
}

async function openLocalShard(path: string, format: ShardFormat, cache: BlockCache): Promise<Shard> {
  return openShard(await openLocalFile(path), format, cache);
}
