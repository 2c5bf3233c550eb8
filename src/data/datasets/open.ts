/** Opening of data sets for reading. */
import { ConfigError, DataError } from '../../errors.js';
import { mapConcurrently } from '../map-concurrently.js';
import { type ShardFormat, shardFormats, splits } from '../schema.js';
import { applySchema, type SchemaOptions } from '../schemas/apply.js';
import { SchemaSource } from '../schemas/schema-source.js';
import { BlockCache } from '../sources/block-cache.js';
import { type OpenedShard, RowSubset, ShardedSource, type Source } from '../sources/source.js';
import { displayPath } from '../storage/location.js';
import type { StorageOptions } from '../storage/options.js';
import { borrowStorage, type Storage } from '../storage/storage.js';
import { type LocatedShards, locateShards, type ShardFile } from './locate.js';
import { formatOf, openShard, shardEndings, splitOf } from './shard-format.js';

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
  /**
   * Reads the files. One that is given stays the caller's to close, after the source; a process needs no more than
   * one. Of options, or if there are none, one is made that is closed with the source.
   */
  readonly storage?: Storage | StorageOptions;
  /** Told of each of several shards that cannot be opened, which is left out. Without it, that is an error. */
  readonly onDamage?: (path: string, error: DataError) => void;
}

/**
 * Shards opened at once: enough to hide what a disk or server takes to answer. Each that is scanned from a server is
 * read 8 MiB ahead, which together is less than what a storage holds in memory.
 */
const OPEN_AT_ONCE = 12;

/** Bytes of decoded shards kept in memory by each open source. */
export const BLOCK_CACHE_BYTES = 256 * 1024 * 1024;

/**
 * Opens a data set: a directory with a manifest, a directory of shards (in order of their names), the files of a
 * pattern (`{00000..00099}.tar` in order of the braces, `*.tar` of their names), or one file; on this machine, in S3 or
 * on the Hugging Face hub, all but directories without a manifest and wildcards also on a web server. The format goes by
 * the ending; a `.json` file may hold an array, an object, or lines. Columns of a schema that is known, named or given
 * are read as capstan's.
 *
 * @throws ConfigError if there is nothing at the path, no such format, no such split, no telling the splits, no
 *   such schema, or columns that it needs are missing.
 * @throws DataError if a shard is damaged or cannot be read, does not fit the manifest, or there are no rows.
 */
export async function openSource(path: string, options: OpenOptions = {}): Promise<Source> {
  const { storage, release } = borrowStorage(options.storage);
  try {
    const means = { storage, cache: new BlockCache(BLOCK_CACHE_BYTES), close: release };
    return await openBy(means, path, await locateShards(path, storage), options);
  } catch (error) {
    await release();
    throw error;
  }
}

/** A split of a data set, opened by itself. */
export interface OpenedSplit {
  readonly split: string;
  readonly source: Source;
}

/**
 * Opens the data sets at several paths, each split of each by itself. They share a cache and, where none is given, a
 * storage, which `close` closes: a source of them need not be closed.
 *
 * @returns `paths`: by path, its splits. Where neither the manifest, nor names of files, nor a column tell
 *   splits, all is `train`.
 * @throws as {@link openSource}
 */
export async function openSplits(
  paths: readonly string[],
  options: OpenOptions = {},
): Promise<{ readonly paths: readonly (readonly OpenedSplit[])[]; close(): Promise<void> }> {
  const { storage, release } = borrowStorage(options.storage);
  const cache = new BlockCache(BLOCK_CACHE_BYTES);
  const shared = { storage, cache, close: async () => undefined };
  const close = async (): Promise<void> => {
    cache.clear();
    await release();
  };
  try {
    const opened: OpenedSplit[][] = [];
    for (const path of paths) {
      const located = await locateShards(path, storage);
      const names = options.split === undefined ? namedSplits(path, located, options) : [options.split];
      if (names === undefined) {
        opened.push(await splitByColumn(await openBy(shared, path, located, options)));
        continue;
      }
      const named: OpenedSplit[] = [];
      for (const split of names) {
        named.push({ split, source: await openBy(shared, path, located, { ...options, split }) });
      }
      opened.push(named);
    }
    return { paths: opened, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What sources are read with. */
interface Means {
  readonly storage: Storage;
  readonly cache: BlockCache;
  /** When the source is closed. */
  readonly close: () => Promise<void>;
}

async function openBy(
  { storage, cache, close }: Means,
  path: string,
  { files, kind, reading }: LocatedShards,
  given: OpenOptions,
): Promise<Source> {
  const isTold = given.schema !== undefined || given.columns !== undefined;
  const options = isTold ? given : { ...reading, ...given };
  const { wanted, isOfSplit } = chooseShards(displayPath(path), files, kind, options);
  const { onDamage } = wanted.length > 1 ? options : {};
  const found = await mapConcurrently(wanted, OPEN_AT_ONCE, async (file) => {
    try {
      return { path: file.path, ...(await openOne(file, cache, storage)) };
    } catch (error) {
      if (!(error instanceof DataError) || onDamage === undefined) throw error;
      onDamage(displayPath(file.path), error);
      return undefined;
    }
  });
  const opened = found.filter((each) => each !== undefined);
  const raw = new ShardedSource(displayPath(path), opened, async () => {
    cache.clear();
    await close();
  });
  const names = opened.map((file) => file.path);
  const source = await applySchema(raw, names, options, (location) => storage.openFile(location));
  if (options.split === undefined) return source;
  // The column, if there is one, knows better than the name of a file that may hold all splits.
  const isSplit = isOfSplit && !(kind === 'alone' && source.columns.includes('split'));
  return isSplit ? source : await selectSplit(source, options.split, names);
}

/** The splits that a manifest lists, or for which all files are named; undefined if these do not tell. */
function namedSplits(
  path: string,
  { files, kind }: LocatedShards,
  options: OpenOptions,
): string[] | undefined {
  if (kind === 'alone' || files.length === 0) return undefined;
  const { wanted } = chooseShards(displayPath(path), files, kind, options);
  const names = [...new Set(wanted.map(({ split }) => split))];
  return kind === 'listed' || names.every((name) => SPLIT_NAMES.has(name)) ? names : undefined;
}

/** The rows of each value of the column `split`; without one, all as what the file is named for, or as `train`. */
async function splitByColumn(source: Source): Promise<OpenedSplit[]> {
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

/** The shards of the format and, as far as names or a manifest tell, of the split. */
function chooseShards(
  path: string,
  files: readonly ShardFile[],
  kind: LocatedShards['kind'],
  options: OpenOptions,
): { readonly wanted: readonly ShardFile[]; readonly isOfSplit: boolean } {
  if (files.length === 0) {
    throw new ConfigError(
      `${path}: holds no shards; expected files that end in one of ${shardEndings}. Check the path.`,
    );
  }
  const formats = new Set(files.map(({ format }) => format));
  const present = shardFormats.find((each) => formats.has(each)) as ShardFormat;
  const format = kind === 'alone' ? present : (options.format ?? present);
  if (!formats.has(format)) {
    throw new ConfigError(`${path}: holds no ${format} shards, only ${[...formats].join(', ')}.`);
  }
  const ofFormat = files.filter((file) => file.format === format);
  const { split } = options;
  const ofSplit = split === undefined ? ofFormat : ofFormat.filter((file) => file.split === split);
  if (ofSplit.length === 0 && kind === 'listed') {
    const listed = [...new Set(ofFormat.map((file) => file.split))].join(', ');
    throw new ConfigError(`${path}: there is no split '${split}'; present are ${listed}.`);
  }
  return ofSplit.length > 0 ? { wanted: ofSplit, isOfSplit: true } : { wanted: ofFormat, isOfSplit: false };
}

async function openOne(
  { format, rows, bytes, open }: ShardFile,
  cache: BlockCache,
  storage: Storage,
): Promise<OpenedShard> {
  const file = await open();
  const shard = await openShard(file, format, cache, storage);
  if (bytes !== undefined && (shard.size !== bytes || shard.numRows !== rows)) {
    throw new DataError(
      `${shard.path}: does not fit the manifest: expected ${rows} rows in ${bytes} bytes, ` +
        `found ${shard.numRows} in ${shard.size}. Build or copy the data set again.`,
    );
  }
  return { shard, tag: file.tag };
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
