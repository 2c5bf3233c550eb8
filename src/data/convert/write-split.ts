/** Writes the rows of one split as shards, from where the journal ends. */
import { join } from 'node:path';
import { DataError } from '../../errors.js';
import { describeFile, syncToDisk } from '../datasets/publish.js';
import { rowFault, sampleKey } from '../schema.js';
import { skipBudget } from '../skip-budget.js';
import { rowBytes } from '../sources/cells.js';
import type { ParquetCompression } from '../sources/parquet-encoder.js';
import { RecordFault } from '../sources/records/record-format.js';
import { endings, openTargetShard, type TargetFormat } from './formats.js';
import type { Journal, JournalEntry, JournalHead, SkippedRow } from './journal.js';
import type { NumberedRow, SplitRows } from './split-rows.js';
import type { TargetShard } from './target.js';

/** Rows left out so far, of all that there are. */
export interface Skips {
  count: number;
  readonly total: number;
  readonly maxRatio: number;
}

/** What a split is written with. */
export interface SplitJob {
  readonly rows: SplitRows;
  readonly directory: string;
  readonly journal: Journal;
  readonly head: JournalHead;
  readonly to: TargetFormat;
  readonly compression: ParquetCompression;
  readonly shardRows: number;
  readonly shardBytes: number;
  readonly skips: Skips;
  readonly signal: AbortSignal | undefined;
  /** Told of each row: how many of the split are done, and the bytes of its values. */
  readonly onRow: (done: number, bytes: number) => void;
}

/** The shard that is being written. */
interface OpenShard {
  readonly name: string;
  readonly target: TargetShard;
  rows: number;
  bytes: number;
  images: number;
}

/** What a shard is called. */
export function shardName(split: string, number: number): string {
  return `${split.replaceAll(/[^\p{L}\p{N}_]/gu, '_')}-${String(number).padStart(5, '0')}`;
}

/**
 * Writes what is left of a split. Where a shard ends goes by its rows alone, so that the shards are the same whether or
 * not it was ever interrupted.
 *
 * @returns false if the signal ended it
 * @throws DataError if too many rows are faulty, or the disk fails; what is whole stays
 */
export async function writeSplit(job: SplitJob): Promise<boolean> {
  const { rows, journal, head, signal, shardRows, shardBytes } = job;
  const done = journal.entries.filter(({ split }) => split === rows.split);
  let number = done.filter((entry) => entry.shard !== undefined).length;
  const start = done.at(-1)?.next ?? 0;
  const columns = head.columns.map(({ name }) => name);
  // Besides, the key says which row is faulty.
  const read = columns.includes('key') || !rows.sources.some((source) => source.columns.includes('key'));
  let shard: OpenShard | undefined;
  let skipped: SkippedRow[] = [];
  const finish = async (next: number): Promise<void> => {
    if (shard?.rows === 0) {
      // All its rows were refused by the format.
      await shard.target.abort();
      shard = undefined;
      number--;
    }
    if (shard === undefined && skipped.length === 0) return;
    const images = shard?.images ?? 0;
    const entry = { split: rows.split, next, images, valueBytes: shard?.bytes ?? 0, skipped };
    const written = shard === undefined ? {} : { shard: await closeShard(job, shard) };
    await journal.add({ ...entry, ...written });
    shard = undefined;
    skipped = [];
  };
  try {
    for await (const numbered of rows.from(start, read ? columns : [...columns, 'key'])) {
      if (signal?.aborted) return false;
      const { row, position } = numbered;
      const bytes = rowBytes(row);
      if (shard !== undefined && (shard.rows >= shardRows || shard.bytes + bytes > shardBytes)) {
        await finish(position);
      }
      const fault = rowFault(row);
      if (fault === undefined) {
        shard ??= await openShard(job, shardName(rows.split, number++));
        try {
          await shard.target.add(row, position);
          shard.rows++;
          shard.bytes += bytes;
          if (row.image instanceof Uint8Array) shard.images++;
        } catch (error) {
          if (!(error instanceof RecordFault)) throw error;
          skipped.push(skip(job, numbered, error.message));
        }
      } else skipped.push(skip(job, numbered, fault));
      job.onRow(position + 1, bytes);
    }
    await finish(rows.numRows);
    return true;
  } finally {
    await (shard as OpenShard | undefined)?.target.abort();
  }
}

async function openShard({ directory, to, head, compression }: SplitJob, name: string): Promise<OpenShard> {
  const target = await openTargetShard(directory, name, to, head, compression);
  return { name, target, rows: 0, bytes: 0, images: 0 };
}

async function closeShard(
  { rows, directory, to }: SplitJob,
  { name, target, rows: numRows }: OpenShard,
): Promise<NonNullable<JournalEntry['shard']>> {
  await target.close();
  const file = `${name}.${endings[to]}`;
  await syncToDisk(directory);
  const described = await describeFile(join(directory, file));
  return { name: file, format: to, split: rows.split, rows: numRows, ...described };
}

/** Notes a row that is left out. @throws DataError if it is one too many */
function skip({ skips, rows }: SplitJob, { row, source, index }: NumberedRow, reason: string): SkippedRow {
  const key = sampleKey(row) ?? null;
  const budget = skipBudget(skips.maxRatio, skips.total);
  if (++skips.count > budget) {
    throw new DataError(
      `${source.path}: faulty rows: ${skips.count}, more than the ${budget} of ${skips.total} that --max-skip-ratio ` +
        `${skips.maxRatio} allows. Mend the data, or raise it if the loss is acceptable. The last is row ${index} ` +
        `of split '${rows.split}'${key === null ? '' : `, key ${key}`}: ${reason}`,
    );
  }
  return { split: rows.split, path: source.path, row: index, key, reason };
}
