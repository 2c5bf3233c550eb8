/** Shards of comma- or tab-separated values with a head (DreamLIP). Values are text, as they stand. */
import { DataError } from '../../errors.js';
import { cutOff, message, type StoredFile } from '../storage/stored-file.js';
import type { BlockCache } from './block-cache.js';
import { CsvSplitter, csvFields } from './csv-splitter.js';
import { ColumnSet } from './records/column-set.js';
import { cachedIndex } from './records/index-store.js';
import { decodeText, MAX_TEXT_RECORD, RecordFault, type RecordFormat } from './records/record-format.js';
import { GroupBuilder, type RecordIndex } from './records/record-index.js';
import { RecordShard } from './records/record-shard.js';
import { scanText, textStart } from './records/scan-text.js';
import type { Shard } from './source.js';

/** Bytes of a group: little for one row of it, much for a read. */
const GROUP_BYTES = 32 * 1024;

/** What stands between two fields. */
export type Delimiter = ',' | '\t';

/**
 * Opens a shard of separated values: scans it once for its rows, and keeps what it found in the user's cache. The
 * first row names the columns; one without a name is called `Unnamed: 0` by its place, as pandas does.
 *
 * @param size bytes of the file as the user has it, if `file` is its unpacked copy.
 * @throws DataError if the file is cut off within quotes, or its head is not one.
 */
export async function openCsvShard(
  file: StoredFile,
  cache: BlockCache,
  delimiter: Delimiter = ',',
  size = file.size,
): Promise<Shard> {
  const index = await cachedIndex(file, delimiter === ',' ? 'csv' : 'tsv', () => scan(file, delimiter));
  return new RecordShard(file, size, index, formatOf(index.columns, delimiter), cache);
}

async function scan(file: StoredFile, delimiter: Delimiter): Promise<RecordIndex> {
  const groups = new GroupBuilder(GROUP_BYTES);
  let columns: readonly string[] | undefined;
  try {
    await scanText(
      file,
      (found) => new CsvSplitter(found, delimiter.charCodeAt(0)),
      MAX_TEXT_RECORD,
      (start, end, record) => {
        if (columns === undefined) columns = readHead(file.path, record, delimiter);
        else groups.add(start, end);
      },
      await textStart(file),
    );
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    const text = `${file.path}: is cut off or damaged: ${message(cause)}. Build or copy it again.`;
    throw new DataError(text, { cause });
  }
  if (columns === undefined)
    throw cutOff(file.path, 'a head that names the columns', `${file.size} bytes without one`);
  return groups.finish(columns, '');
}

function readHead(path: string, record: Uint8Array | undefined, delimiter: Delimiter): string[] {
  let names: string[];
  try {
    if (record === undefined) throw new RecordFault(`It is longer than ${MAX_TEXT_RECORD} bytes.`);
    names = csvFields(decodeText(record, 'It'), delimiter);
  } catch (cause) {
    const text = `${path}: its first row cannot be the names of columns: ${message(cause)} Check the path and the format.`;
    throw new DataError(text, { cause });
  }
  names = names.map((name, i) => (name === '' ? `Unnamed: ${i}` : name));
  const columns = new ColumnSet(path);
  columns.add(names);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return names;
  throw new DataError(
    `${path}: its first row names the column '${twice}' twice; expected a head of different names. Add or mend the head.`,
  );
}

function formatOf(columns: readonly string[], delimiter: Delimiter): RecordFormat {
  return {
    maxRecordBytes: MAX_TEXT_RECORD,
    split(group) {
      const ranges: number[] = [];
      const splitter = new CsvSplitter((start, end) => ranges.push(start, end), delimiter.charCodeAt(0));
      splitter.push(group, 0);
      splitter.finish(group.length);
      return ranges;
    },
    parse(record) {
      const fields = csvFields(decodeText(record, 'The row'), delimiter);
      if (fields.length !== columns.length) {
        throw new RecordFault(`The row has ${fields.length} fields; expected ${columns.length}.`);
      }
      return new Map(columns.map((column, i) => [column, fields[i] as string]));
    },
  };
}
