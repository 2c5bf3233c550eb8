/** What all builds of data sets share: options checked, rows made several at a time and written split by split. */
import { join } from 'node:path';
import { ConfigError } from '../../errors.js';
import { mapConcurrently } from '../map-concurrently.js';
import { type Column, type Row, type Split, splits } from '../schema.js';
import { writeArrow, writeParquet } from '../sources/writers.js';
import type { ManifestShard } from './manifest.js';
import { describeFile } from './publish.js';

/** Options that every build has. */
export interface BuildOptions {
  /** Directory of the data set; replaced if it holds one already. Default data/ and the set's name. */
  readonly out?: string;
  /** Side of the pictures in pixels, 16 to 1024. */
  readonly size?: number;
  /** Seed of every draw. Default 0. */
  readonly seed?: number;
  readonly format?: ManifestShard['format'] | 'both';
  /** Pictures rendered at a time. Default: the number of cores. */
  readonly workers?: number;
  readonly onProgress?: (done: number, total: number) => void;
  /** Stops the build; nothing is left behind. */
  readonly signal?: AbortSignal;
}

/** The pictures of a set and how each becomes a row. */
export interface ShardPlan<P> {
  readonly columns: readonly Column[];
  readonly pictures: readonly P[];
  readonly splitOf: (picture: P) => Split;
  /** Called once for each picture, several at a time. */
  readonly makeRow: (picture: P) => Promise<Row>;
}

/** Rows of a shard. */
const SHARD_ROWS = 1000;
/** Rows that a reader reads at once, half a megabyte of small pictures. */
const GROUP_ROWS = 100;

/** Makes every row and writes the shards into the directory; only a shard's rows are in memory at a time. */
export async function writeShards<P>(
  directory: string,
  { columns, pictures, splitOf, makeRow }: ShardPlan<P>,
  { format = 'both', signal, onProgress }: BuildOptions,
  workers: number,
): Promise<ManifestShard[]> {
  const formats: readonly ManifestShard['format'][] = format === 'both' ? ['arrow', 'parquet'] : [format];
  const shards: ManifestShard[] = [];
  let done = 0;
  for (const split of splits) {
    const ofSplit = pictures.filter((picture) => splitOf(picture) === split);
    for (let start = 0; start < ofSplit.length; start += SHARD_ROWS) {
      const rows = await mapConcurrently(
        ofSplit.slice(start, start + SHARD_ROWS),
        workers,
        async (picture) => {
          signal?.throwIfAborted();
          const row = await makeRow(picture);
          onProgress?.(++done, pictures.length);
          return row;
        },
      );
      for (const each of formats) {
        const name = `${split}-${String(start / SHARD_ROWS).padStart(5, '0')}.${each}`;
        const path = join(directory, name);
        await (each === 'arrow' ? writeArrow : writeParquet)(path, columns, rows, GROUP_ROWS);
        shards.push({ name, format: each, split, rows: rows.length, ...(await describeFile(path)) });
      }
    }
  }
  return shards;
}

/** @throws ConfigError unless the option's value is an integer within the bounds. */
export function checkInteger(name: string, value: number, low: number, high: number): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  throw new ConfigError(`--${name} is ${value}; expected an integer from ${low} to ${high}.`);
}

/** @throws ConfigError unless the option's value is within [0, high]. */
export function checkShare(name: string, value: number, high = 1): void {
  if (value >= 0 && value <= high) return;
  throw new ConfigError(`--${name} is ${value}; expected a number from 0 to ${high}.`);
}

/** @throws ConfigError for a size, a seed or a number of workers out of range. */
export function checkCommon(size: number, seed: number, workers: number): void {
  checkInteger('size', size, 16, 1024);
  checkInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER);
  checkInteger('workers', workers, 1, 256);
}

/** How many of the items have each name. */
export function countBy<T>(items: readonly T[], nameOf: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[nameOf(item)] = (counts[nameOf(item)] ?? 0) + 1;
  return counts;
}
