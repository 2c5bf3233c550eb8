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
import { readManifest } from './manifest.js';
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
  /** Told of each of several shards that cannot be opened, which is left out. Without it, that is an error. */
  readonly onDamage?: (path: string, error: DataError) => void;
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
export async function openSource(path: string, options: OpenOptions = {}): Promise<Source> {
  const cache = new BlockCache(CACHE_BYTES);
  await restoreInterrupted(path);
  const info = await stat(path).catch(() => undefined);
  if (info === undefined && (hasWildcard(path) || path.includes('{'))) {
    const found = await listPatterns(path, (each) => ({ kind: 'local', path: each }));
    const paths = found.map((file) => file.path).filter((each) => isShardName(basename(each)));
    return openShards(path, paths.map(shardOf), false, options, cache);
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

async function openDirectory(path: string, options: OpenOptions, cache: BlockCache): Promise<Source> {
  const manifest = await readManifest(path);
  const names = manifest === undefined ? (await readdir(path)).filter(isShardName).sort() : [];
  const files = manifest?.shards.map((shard) => ({ ...shard, path: join(path, shard.name) }));
  const listed = files ?? names.map((name) => shardOf(join(path, name)));
  return openShards(path, listed, manifest !== undefined, options, cache);
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
  const opened = await mapConcurrently(wanted, OPEN_AT_ONCE, async (file) => {
    try {
      return { path: file.path, shard: await openListed(file, format, cache) };
    } catch (error) {
      if (!(error instanceof DataError) || options.onDamage === undefined) throw error;
      options.onDamage(file.path, error);
      return undefined;
    }
  });
  const whole = opened.filter((each) => each !== undefined);
  const names = whole.map((each) => each.path);
  const shards = whole.map(({ shard }) => shard);
  const raw = new ShardedSource(path, shards, () => cache.clear());
  const source = await applySchema(raw, names, options, openLocalFile);
  return split === undefined || ofSplit.length > 0 ? source : selectSplit(source, split, names);
}

/** @throws DataError if the shard is damaged or is not as the manifest, if one lists it, says. */
async function openListed(file: ShardFile, format: ShardFormat, cache: BlockCache): Promise<Shard> {
  const shard = await openLocalShard(file.path, format, cache);
  if (file.bytes !== undefined && (shard.size !== file.bytes || shard.numRows !== file.rows)) {
    throw new DataError(
      `${shard.path}: does not fit the manifest: expected ${file.rows} rows in ${file.bytes} bytes, ` +
        `found ${shard.numRows} in ${shard.size}. Build or copy the data set again.`,
    );
  }
  return shard;
}

/** Names of splits, one of which in a file's name says that others are elsewhere. */
export const SPLIT_NAMES: ReadonlySet<string> = new Set([...splits, 'valid', 'validation', 'dev', 'eval']);

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
