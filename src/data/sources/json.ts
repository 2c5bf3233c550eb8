/**
 * Shards of JSON: one array of objects (LLaVA, ShareGPT4V), one object of captions by name (VeCap), or an object on
 * each line (JSON Lines). A file of any size is read in pieces.
 */
import { DataError } from '../../errors.js';
import { cutOff, message, type StoredFile } from '../storage/stored-file.js';
import type { BlockCache } from './block-cache.js';
import { type Bracket, ElementSplitter, isSpace, LineSplitter, TrailingBytes } from './json-splitter.js';
import { isObject, kindOf, parseJson } from './json-value.js';
import { ColumnSet } from './records/column-set.js';
import { cachedIndex } from './records/index-store.js';
import {
  decodeText,
  type Fields,
  MAX_TEXT_RECORD,
  RecordFault,
  type RecordFormat,
} from './records/record-format.js';
import { GroupBuilder, type RecordIndex } from './records/record-index.js';
import { RecordShard } from './records/record-shard.js';
import { type Splitter, scanText, textStart } from './records/scan-text.js';
import type { Shard } from './source.js';

/** How the objects lie in the file. */
type Layout = 'array' | 'entries' | 'lines';

/** Bytes of a group: little for one row of it, much for a read. */
const GROUP_BYTES = 32 * 1024;
/** Where the first byte that is not white space is looked for. */
const HEAD_BYTES = 4096;

/**
 * Opens a JSON shard: scans it once for its rows and columns, and keeps what it found in the user's cache.
 *
 * The columns of an array and of lines are the names in their objects. An object's entries have the columns `key`
 * (the name) and `value`, or, where the value is an object, its names.
 *
 * @param format `json` for an array, one object, or lines, whichever is found; `jsonl` for lines only.
 * @param size bytes of the file as the user has it, if `file` is its unpacked copy.
 * @throws DataError if the file is not JSON of one of these forms, is cut off, or has no valid row.
 */
export async function openJsonShard(
  file: StoredFile,
  cache: BlockCache,
  format: 'json' | 'jsonl' = 'json',
  size = file.size,
): Promise<Shard> {
  const index = await cachedIndex(file, format, () => scan(file, format));
  return new RecordShard(file, size, index, formatOf(index.layout as Layout), cache);
}

async function scan(file: StoredFile, format: 'json' | 'jsonl'): Promise<RecordIndex> {
  const { start, byte } = await firstByte(file);
  try {
    if (format === 'jsonl') return await scanLayout(file, start, 'lines');
    if (byte === 0x5b) return await scanLayout(file, start, 'array');
    if (byte !== 0x7b) throw new Error(`expected '[' or '{' at byte ${start}`);
    return await scanObject(file, start);
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    const text = `${file.path}: is cut off, damaged, or not JSON: ${message(cause)}. Check the path, or copy the file again.`;
    throw new DataError(text, { cause });
  }
}

/** A file that begins with an object is that object alone, or JSON Lines under another name. */
async function scanObject(file: StoredFile, start: number): Promise<RecordIndex> {
  try {
    return await scanLayout(file, start, 'entries');
  } catch (cause) {
    if (cause instanceof TrailingBytes && cause.byte === 0x7b) return scanLayout(file, start, 'lines');
    throw cause;
  }
}

async function scanLayout(file: StoredFile, start: number, layout: Layout): Promise<RecordIndex> {
  const groups = new GroupBuilder(GROUP_BYTES);
  const columns = new ColumnSet(file.path);
  const { parse } = formatOf(layout);
  let problem: string | undefined;
  let numValid = 0;
  await scanText(
    file,
    (found) => splitterOf(layout, found, false),
    MAX_TEXT_RECORD,
    (from, to, record) => {
      groups.add(from, to);
      if (record === undefined) return;
      try {
        columns.add(parse(record).keys());
        numValid++;
      } catch (cause) {
        if (!(cause instanceof RecordFault)) throw cause;
        problem ??= `Row ${groups.numRows - 1}, at byte ${from}: ${cause.message}`;
      }
    },
    start,
  );
  if (numValid === 0 && problem !== undefined) {
    throw new DataError(
      `${file.path}: none of its ${groups.numRows} rows can be used. ${problem} Check the path and the format.`,
    );
  }
  return groups.finish(columns.names, layout);
}

/** Where the text begins, after a byte order mark and white space. */
async function firstByte(file: StoredFile): Promise<{ start: number; byte: number }> {
  const head = await file.read(0, Math.min(HEAD_BYTES, file.size));
  let start = await textStart(file);
  while (start < head.length && isSpace(head[start])) start++;
  const byte = head[start];
  if (byte === undefined) throw cutOff(file.path, 'JSON', `${file.size} bytes without any`);
  return { start, byte };
}

function splitterOf(layout: Layout, found: (start: number, end: number) => void, within: boolean): Splitter {
  if (layout === 'lines') return new LineSplitter(found);
  const bracket: Bracket = layout === 'array' ? '[' : '{';
  return new ElementSplitter(found, bracket, within);
}

/** A format whose `parse` gives every field of a record. */
interface JsonFormat extends RecordFormat {
  parse(record: Uint8Array<ArrayBuffer>): Fields;
}

function formatOf(layout: Layout): JsonFormat {
  return {
    maxRecordBytes: MAX_TEXT_RECORD,
    sparse: true,
    split(group) {
      const ranges: number[] = [];
      const splitter = splitterOf(layout, (start, end) => ranges.push(start, end), true);
      splitter.push(group, 0);
      splitter.finish(group.length);
      return ranges;
    },
    parse: layout === 'entries' ? parseEntry : parseRow,
  };
}

function parseRow(record: Uint8Array): Fields {
  const value = parseJson(decodeText(record, 'The row'), 'The row');
  if (!isObject(value)) throw new RecordFault(`The row is ${kindOf(value)}; expected an object.`);
  return new Map(Object.entries(value));
}

function parseEntry(record: Uint8Array): Fields {
  const entry = parseJson(`{${decodeText(record, 'The entry')}}`, 'The entry');
  const [[key, value] = []] = isObject(entry) ? Object.entries(entry) : [];
  if (key === undefined || value === undefined) throw new RecordFault('The entry has no name.');
  if (isObject(value))
    return new Map([['key', key], ...Object.entries(value).filter(([name]) => name !== 'key')]);
  if (typeof value !== 'string') {
    throw new RecordFault(`The value of '${key}' is ${kindOf(value)}; expected text or an object.`);
  }
  return new Map([
    ['key', key],
    ['value', value],
  ]);
}
