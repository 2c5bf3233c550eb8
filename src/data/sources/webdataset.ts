/**
 * Shards in the WebDataset format: tar archives in which members of one name up to its first dot, one after the other, are
 * a sample (img2dataset: `000000017.jpg`, `.txt`, `.json`).
 *
 * Source: webdataset 1.0.2, tariterators.py (`base_plus_ext`, `group_by_keys`) and autodecode.py; unlike it, a key that
 * comes again later in the shard is an error, since draws depend on it.
 */
import { DataError } from '../../errors.js';
import type { Value } from '../schema.js';
import { type FileScan, message, openScan, type StoredFile } from '../storage/stored-file.js';
import type { BlockCache } from './block-cache.js';
import { isObject, parseJson } from './json-value.js';
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
import type { Shard } from './source.js';
import { type ByteRange, type Member, readMember } from './tar.js';

/** The column of a sample's key, as webdataset calls it. */
export const KEY_COLUMN = '__key__';

/** Bytes of a group. A sample with its picture is nearly always one of its own. */
const GROUP_BYTES = 16 * 1024;
/** Bytes of the longest sample that is read. */
const MAX_SAMPLE = 256 * 1024 * 1024;
/** Bytes read at a time by the scan. */
const WINDOW_BYTES = 1024 * 1024;

/** Kinds of members by the last part of their names, as webdataset decodes them; all others are bytes. */
const TEXTS: ReadonlySet<string> = new Set(['txt', 'text', 'transcript']);
const JSONS: ReadonlySet<string> = new Set(['json', 'jsn']);
const INTEGERS: ReadonlySet<string> = new Set(['cls', 'cls2', 'class', 'count', 'index', 'inx', 'id']);

/**
 * Opens a WebDataset shard: scans its headers and JSON once, and keeps what it found in the user's cache.
 *
 * The columns are `__key__`, the members' names from the first dot on (`jpg`, `txt`, `seg.png`), and the names in the objects of
 * `json` members. A member has precedence over a name. A column that a sample lacks is null in its row.
 *
 * @param size bytes of the file as the user has it, if `file` is its unpacked copy.
 * @throws DataError if the archive is damaged or cut off, holds no sample, or holds a key or a member twice.
 */
export async function openWebDatasetShard(
  file: StoredFile,
  cache: BlockCache,
  size = file.size,
): Promise<Shard> {
  const index = await cachedIndex(file, 'webdataset', () => scan(file));
  return new RecordShard(file, size, index, format, cache);
}

/** What a member is to a sample. */
interface Part {
  /** The name up to the first dot of its last component. */
  readonly key: string;
  /** What follows that dot, in lower case. */
  readonly column: string;
}

/** Undefined for what belongs to no sample: other kinds of members, hidden files, and webdataset's own `__…__`. */
function partOf({ name, isFile }: Member): Part | undefined {
  const found = /^((?:.*\/)?[^./][^./]*)\.([^/]*)$/s.exec(name);
  if (!isFile || found === null || /^__[^/]*__(?:$|\/)/.test(name)) return undefined;
  return { key: found[1] as string, column: (found[2] as string).toLowerCase() };
}

async function scan(file: StoredFile): Promise<RecordIndex> {
  try {
    const opened = await openScan(file);
    let index: RecordIndex;
    try {
      index = await scanMembers(file, new Window(file, opened));
    } catch (cause) {
      await opened.close().catch(() => undefined); // what is wrong is known
      throw cause;
    }
    await opened.close();
    return index;
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    const text = `${file.path}: is cut off, damaged, or not a tar archive: ${message(cause)}. Build or copy it again.`;
    throw new DataError(text, { cause });
  }
}

/** The sample whose members are being passed. */
interface OpenSample {
  readonly key: string;
  readonly start: number;
  end: number;
  /** Where the header of each of its members is, by column. */
  readonly members: Map<string, number>;
}

async function scanMembers(file: StoredFile, window: Window): Promise<RecordIndex> {
  const groups = new GroupBuilder(GROUP_BYTES);
  const columns = new ColumnSet(file.path);
  columns.add([KEY_COLUMN]);
  const starts = new Map<string, number>();
  let sample: OpenSample | undefined;
  const close = (): void => {
    if (sample !== undefined) groups.add(sample.start, sample.end);
  };
  for (let at = 0; ; ) {
    const member = await walk(readMember(at, file.size), window);
    if (member === undefined) break;
    at = member.next;
    const part = partOf(member);
    if (part === undefined) continue;
    if (sample?.key !== part.key) {
      close();
      const before = starts.get(part.key);
      if (before !== undefined) throw twice(file, `the key '${part.key}'`, before, member.start);
      starts.set(part.key, member.start);
      sample = { key: part.key, start: member.start, end: 0, members: new Map() };
    }
    const before = sample.members.get(part.column);
    if (before !== undefined) throw twice(file, `the member '${member.name}'`, before, member.start);
    sample.members.set(part.column, member.start);
    sample.end = member.offset + member.size;
    columns.add(await columnsOf(part.column, member, window));
  }
  close();
  if (groups.numRows === 0) {
    throw new DataError(
      `${file.path}: holds no samples; expected members as 000000000.jpg and 000000000.txt. Check the path and the format.`,
    );
  }
  return groups.finish(columns.names, '');
}

function twice({ path }: StoredFile, what: string, first: number, second: number): DataError {
  return new DataError(
    `${path}: holds ${what} twice, at bytes ${first} and ${second}; expected it once. Build the shard again, or rename one.`,
  );
}

/** The columns that a member gives. A JSON member that cannot be read gives none, and is a fault of its row. */
async function columnsOf(column: string, member: Member, window: Window): Promise<Iterable<string>> {
  if (column !== 'json') return [column];
  if (member.size > MAX_TEXT_RECORD) return [];
  try {
    return parseMember(column, await window.read(member.offset, member.size)).keys();
  } catch (cause) {
    if (cause instanceof RecordFault) return [];
    throw cause;
  }
}

/** Reads an archive from front to back by large pieces, past contents that nobody asks for. */
class Window {
  #at = 0;
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);

  constructor(
    private readonly file: StoredFile,
    private readonly opened: FileScan,
  ) {}

  /** A view, valid until the next read. */
  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    if (!this.held(offset, length)) {
      const wanted = Math.min(Math.max(length, WINDOW_BYTES), this.file.size - offset);
      this.#bytes = await this.opened.read(offset, wanted);
      this.#at = offset;
    }
    return this.view(offset, length);
  }

  held(offset: number, length: number): boolean {
    return offset >= this.#at && offset + length <= this.#at + this.#bytes.length;
  }

  view(offset: number, length: number): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(offset - this.#at, offset - this.#at + length);
  }
}

/** Runs a walk over the archive, waiting only where the window has to move. */
async function walk<T>(steps: Generator<ByteRange, T, Uint8Array>, window: Window): Promise<T> {
  for (let step = steps.next(); ; ) {
    if (step.done) return step.value;
    const { offset, length } = step.value;
    step = steps.next(
      window.held(offset, length) ? window.view(offset, length) : await window.read(offset, length),
    );
  }
}

/** The members in the bytes of one or several samples. */
function* membersIn(bytes: Uint8Array): Generator<readonly [part: Part, member: Member]> {
  for (let at = 0; at < bytes.length; ) {
    const steps = readMember(at, bytes.length);
    let step = steps.next();
    while (!step.done) {
      const { offset, length } = step.value;
      step = steps.next(bytes.subarray(offset, offset + length));
    }
    if (step.value === undefined) return;
    const part = partOf(step.value);
    if (part !== undefined) yield [part, step.value];
    at = step.value.next;
  }
}

const format: RecordFormat = {
  maxRecordBytes: MAX_SAMPLE,
  sparse: true,
  split(group) {
    const ranges: number[] = [];
    let key: string | undefined;
    for (const [part, { start, offset, size }] of membersIn(group)) {
      if (part.key === key) ranges.pop();
      else ranges.push(start);
      ranges.push(offset + size);
      key = part.key;
    }
    return ranges;
  },
  parse(record, columns) {
    const members = new Map<string, Value>();
    const named = new Map<string, Value>();
    let sampleKey = '';
    for (const [{ key, column }, { offset, size }] of membersIn(record)) {
      sampleKey = key;
      const bytes = record.subarray(offset, offset + size);
      if (column === 'json') for (const [name, value] of parseMember(column, bytes)) named.set(name, value);
      else if (columns.has(column))
        for (const [name, value] of parseMember(column, bytes)) members.set(name, value);
    }
    return new Map([...named, ...members, [KEY_COLUMN, sampleKey]]);
  },
  keyOf(record) {
    const [first] = membersIn(record);
    return [KEY_COLUMN, first?.[0].key ?? ''];
  },
};

/** The fields of a member: its own column or, of an object in `json`, its names. @throws RecordFault */
function parseMember(column: string, bytes: Uint8Array<ArrayBuffer>): Fields {
  const what = `The member '${column}'`;
  const kind = column.slice(column.lastIndexOf('.') + 1);
  if (JSONS.has(kind)) {
    if (bytes.length > MAX_TEXT_RECORD) throw new RecordFault(`${what} takes ${bytes.length} bytes of JSON.`);
    const value = parseJson(decodeText(bytes, what), what);
    return column === 'json' && isObject(value) ? new Map(Object.entries(value)) : new Map([[column, value]]);
  }
  if (TEXTS.has(kind)) return new Map([[column, decodeText(bytes, what)]]);
  if (!INTEGERS.has(kind)) return new Map([[column, bytes]]);
  const text = decodeText(bytes, what).trim();
  if (!/^[+-]?\d{1,15}$/.test(text)) throw new RecordFault(`${what} is not a whole number.`);
  return new Map([[column, Number(text)]]);
}
