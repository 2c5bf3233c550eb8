/** Formats of shards and what the names of files say of them. */
import type { ShardFormat } from '../schema.js';
import type { BlockCache } from '../sources/block-cache.js';
import { openCsvShard } from '../sources/csv.js';
import { openJsonShard } from '../sources/json.js';
import type { Shard } from '../sources/source.js';
import { openWebDatasetShard } from '../sources/webdataset.js';
import { fileNameOf } from '../storage/location.js';
import type { Storage } from '../storage/storage.js';
import type { StoredFile } from '../storage/stored-file.js';

const ENDINGS: ReadonlyMap<string, ShardFormat> = new Map([
  ['.arrow', 'arrow'],
  ['.parquet', 'parquet'],
  ['.tar', 'webdataset'],
  ['.tgz', 'webdataset'],
  ['.json', 'json'],
  ['.jsonl', 'jsonl'],
  ['.jsonlines', 'jsonl'],
  ['.ndjson', 'jsonl'],
  ['.csv', 'csv'],
  ['.tsv', 'csv'],
]);

/** What may be compressed as a whole; Arrow and Parquet compress within. */
const PACKED: ReadonlySet<ShardFormat> = new Set(['webdataset', 'json', 'jsonl', 'csv']);

/** The endings of shards' names, for messages. */
export const shardEndings = `${[...ENDINGS.keys()].join(', ')}, and those of text and tar with .gz`;

/** What Hugging Face and img2dataset put beside the shards, which is no data. */
const NO_DATA = /^(?:dataset|dataset_infos?|dataset_dict|state|.*_stats)\.json$/;

interface Ending {
  readonly text: string;
  readonly format: ShardFormat;
  readonly isPacked: boolean;
}

function endingOf(path: string): Ending | undefined {
  const found = /(\.[^.]+?)(\.gz)?$/i.exec(fileNameOf(path));
  const [text = '', first = '', gz] = found ?? [];
  const format = ENDINGS.get(first.toLowerCase());
  if (format === undefined || (gz !== undefined && !PACKED.has(format))) return undefined;
  return { text, format, isPacked: gz !== undefined || first.toLowerCase() === '.tgz' };
}

/** The format that a file's name tells; undefined if it is no shard's. */
export function formatOf(path: string): ShardFormat | undefined {
  return endingOf(path)?.format;
}

/** Whether a file in a directory of shards is one, by its name. */
export function isShardName(name: string): boolean {
  return formatOf(name) !== undefined && !NO_DATA.test(name) && !name.startsWith('.');
}

/** What a shard's name says of its split: `train` of `train-00000.arrow`, and of `train.jsonl.gz`. */
export function splitOf(path: string): string {
  const name = fileNameOf(path);
  return name.slice(0, name.length - (endingOf(path)?.text.length ?? 0)).split('-')[0] as string;
}

/**
 * Opens a shard in the format that its name tells; `file.path` has one.
 *
 * @param storage unpacks what is packed as a whole
 * @throws DataError if the file is damaged or of another format.
 */
export async function openShard(
  file: StoredFile,
  format: ShardFormat,
  cache: BlockCache,
  storage: Storage,
): Promise<Shard> {
  const { size } = file;
  const { text, isPacked } = endingOf(file.path) as Ending;
  const plain = isPacked ? await storage.openUnpacked(file) : file;
  switch (format) {
    // Their libraries take long to load, which the first batch of other formats should not wait for.
    case 'arrow':
      return (await import('../sources/arrow.js')).openArrowShard(plain, cache);
    case 'parquet':
      return (await import('../sources/parquet.js')).openParquetShard(plain, cache);
    case 'webdataset':
      return openWebDatasetShard(plain, cache, size);
    case 'csv':
      return openCsvShard(plain, cache, /^\.tsv/i.test(text) ? '\t' : ',', size);
    default:
      return openJsonShard(plain, cache, format, size);
  }
}
