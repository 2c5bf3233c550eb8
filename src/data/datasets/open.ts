/** Opening of data sets for reading. */
import { readdir, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { ConfigError, DataError } from '../../errors.js';
import { openArrowShard } from '../sources/arrow.js';
import { BlockCache } from '../sources/block-cache.js';
import { openParquetShard } from '../sources/parquet.js';
import { RowSubset, type Shard, ShardedSource, type Source } from '../sources/source.js';
import { openLocalFile } from '../storage/stored-file.js';
import { readManifest } from './manifest.js';
import { restoreInterrupted } from './publish.js';

/** The formats of shards. Shards of both may lie in one directory, with the same rows. */
export type ShardFormat = 'arrow' | 'parquet';

/** What to open of a data set. */
export interface OpenOptions {
  /**
   * Only the rows of this split: the shards that the manifest lists for it or, in a directory without one, whose
   * names begin with it and a dash; else the rows that have it in the column `split`, which is read at once.
   */
  readonly split?: string;
  /** Which shards, where both formats are there (Arrow by default: it is the quicker to read). */
  readonly format?: ShardFormat;
}

/** Bytes of decoded shards kept in memory by each open source. */
const CACHE_BYTES = 256 * 1024 * 1024;

/**
 * Opens a data set: a directory with a manifest, a directory of shards (in order of their names), or
 * one file (`.arrow`, `.parquet`).
 *
 * @throws ConfigError if there is nothing at the path, no such format, no such split, or no telling the splits.
 * @throws DataError if a shard is damaged, does not fit the manifest, or there are no rows.
 */
export async function openSource(path: string, options: OpenOptions = {}): Promise<Source> {
  const cache = new BlockCache(CACHE_BYTES);
  await restoreInterrupted(path);
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) {
    throw new ConfigError(
      `${path}: there is no such data set. Build the built-in one with: npx capstan data build emoji --out ${path}`,
    );
  }
  if (!info.isDirectory()) {
    const format = formatOf(path);
    if (format === undefined) {
      throw new ConfigError(`${path}: has no known ending; expected .arrow or .parquet.`);
    }
    const source = new ShardedSource(path, [await openShard(path, format, cache)], () => cache.clear());
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
  const files: readonly ShardFile[] = manifest?.shards ?? (await listShards(path));
  if (files.length === 0) {
    throw new DataError(`${path}: holds no shards; expected .arrow or .parquet files. Check the path.`);
  }
  const formats = new Set(files.map(({ format }) => format));
  const format = options.format ?? (formats.has('arrow') ? 'arrow' : 'parquet');
  if (!formats.has(format)) {
    throw new ConfigError(`${path}: holds no ${format} shards, only ${[...formats].join(', ')}.`);
  }
  const ofFormat = files.filter((file) => file.format === format);
  const { split } = options;
  const ofSplit = split === undefined ? ofFormat : ofFormat.filter((file) => file.split === split);
  if (ofSplit.length === 0 && manifest !== undefined) {
    const present = [...new Set(ofFormat.map((file) => file.split))].join(', ');
    throw new ConfigError(`${path}: there is no split '${split}'; present are ${present}.`);
  }
  const wanted = ofSplit.length > 0 ? ofSplit : ofFormat;
  const shards: Shard[] = [];
  for (const file of wanted) {
    const shard = await openShard(join(path, file.name), format, cache);
    if (file.bytes !== undefined && (shard.size !== file.bytes || shard.numRows !== file.rows)) {
      throw new DataError(
        `${shard.path}: does not fit the manifest: expected ${file.rows} rows in ${file.bytes} bytes, ` +
          `found ${shard.numRows} in ${shard.size}. Build or copy the data set again.`,
      );
    }
    shards.push(shard);
  }
  const source = new ShardedSource(path, shards, () => cache.clear());
  if (split === undefined || ofSplit.length > 0) return source;
  return selectSplit(
    source,
    split,
    ofFormat.map(({ name }) => name),
  );
}

/** The rows that have the split in their column `split`. */
async function selectSplit(source: Source, split: string, files: readonly string[]): Promise<Source> {
  if (!source.columns.includes('split')) {
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
  readonly name: string;
  readonly format: ShardFormat;
  readonly split: string;
  readonly rows?: number;
  readonly bytes?: number;
}

async function listShards(path: string): Promise<ShardFile[]> {
  const found: ShardFile[] = [];
  for (const name of (await readdir(path)).sort()) {
    const format = formatOf(name);
    if (format !== undefined) found.push({ name, format, split: splitOf(name) });
  }
  return found;
}

/** What a shard's name says of its split: `train` of `train-00000.arrow`, and of `train.arrow`. */
function splitOf(path: string): string {
  return basename(path, extname(path)).split('-')[0] as string;
}

function formatOf(path: string): ShardFormat | undefined {
  const ending = extname(path);
  if (ending === '.arrow') return 'arrow';
  return ending === '.parquet' ? 'parquet' : undefined;
}

async function openShard(path: string, format: ShardFormat, cache: BlockCache): Promise<Shard> {
  const file = await openLocalFile(path);
  return format === 'arrow' ? openArrowShard(file, cache) : openParquetShard(file, cache);
}
