/**
 * Shards in Arrow's IPC format: the file format, and the stream format in which Hugging Face's
 * `datasets` keeps its shards.
 *
 * Both formats are a sequence of messages (schema, dictionaries, record batches), so one walk over
 * the messages' heads finds every batch. Of a batch only the buffers of the wanted columns are read, and of
 * buffers of large values (images) only the ranges of the wanted rows.
 *
 * Source: https://arrow.apache.org/docs/format/Columnar.html (encapsulated messages; file format).
 */
import { type DataType, MetadataVersion, type Schema, Type } from 'apache-arrow';
import { Footer } from 'apache-arrow/ipc/metadata/file';
import { Message, type RecordBatch } from 'apache-arrow/ipc/metadata/message';
import { DataError } from '../../errors.js';
import type { ReadScope } from '../free-memory.js';
import type { Row, Value } from '../schema.js';
import { cutOff, message as messageOf, type StoredFile } from '../storage/stored-file.js';
import { cut, readBuffers, readRanges, view } from './arrow-body.js';
import { type Cells, cellsOf } from './arrow-cells.js';
import { UnsupportedError, verifyFooter, verifyMessage } from './arrow-flatbuffer.js';
import { type Layout, layoutOf, type Region, regionsOf } from './arrow-layout.js';
import type { BlockCache } from './block-cache.js';
import type { Shard } from './source.js';
import { SparseReader } from './sparse-reader.js';

const MAGIC = 'ARROW1';
const CONTINUATION = 0xffffffff;
/** Enough for the head of a record batch with some fifty columns; longer ones take a second read. */
const HEAD_BYTES = 4096;
/** A buffer of values this large on average, or this large in all, is left in the file but for the wanted ranges. */
const LARGE_VALUE_BYTES = 16 * 1024;
const LARGE_BUFFER_BYTES = 16 * 1024 * 1024;
/** A buffer of less is always read whole. */
const SMALL_BUFFER_BYTES = 1024 * 1024;
/** Rows that a shard may claim; more could not even be numbered in memory. */
const MAX_ROWS = 2 ** 32;

/** Values of columns, of a record batch or a dictionary. */
interface Body {
  /** Where in the file the body of the message begins. */
  readonly offset: number;
  readonly layouts: readonly Layout[];
  readonly compression: number | undefined;
}

/** A dictionary's messages: its first values and those added to them. */
type Dictionary = readonly Body[];

interface Batch extends Body {
  readonly firstRow: number;
  readonly numRows: number;
  /** The dictionaries as they stood before the batch, by their id. */
  readonly dictionaries: ReadonlyMap<number, Dictionary>;
}

/**
 * Opens an Arrow shard: finds its record batches, reads none.
 *
 * @throws DataError if the file is not Arrow's, is cut off or damaged.
 */
export async function openArrowShard(file: StoredFile, cache: BlockCache): Promise<Shard> {
  const reader = new SparseReader(file);
  const isFile = await checkMagic(file, reader);
  try {
    const { schema, batches, numRows } = await findBatches(file, reader, isFile);
    const columns = schema.fields.map((field) => field.name);
    return new ArrowShard(file, columns, numRows, batches, cache);
  } catch (cause) {
    throw unreadable(file.path, cause);
  }
}

/** What came of reading damaged bytes, as an error that names the file. */
function unreadable(path: string, cause: unknown, what = ''): DataError {
  if (cause instanceof DataError) return cause;
  if (cause instanceof UnsupportedError) return new DataError(`${path}: ${cause.message}`, { cause });
  const text = `${path}: is not a readable Arrow shard (${what}${messageOf(cause)}). Build or copy it again.`;
  return new DataError(text, { cause });
}

/** Whether the file is in the file format; anything without the magic is tried as a stream. */
async function checkMagic(file: StoredFile, reader: SparseReader): Promise<boolean> {
  const { path, size } = file;
  if (size < 12) throw cutOff(path, 'at least 12 bytes', `${size}`);
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
  const head = await reader.read(0, 8);
  if (text(head.subarray(0, 6)) === MAGIC) {
    const tail = text(await reader.read(size - 6, 6));
    if (tail !== MAGIC) throw cutOff(path, `'${MAGIC}' at its end`, JSON.stringify(tail));
    return true;
  }
  if (new DataView(head.buffer).getUint32(0, true) !== CONTINUATION) {
    const found = JSON.stringify(text(head.subarray(0, 6)));
    throw new DataError(
      `${path}: is not an Arrow file: expected '${MAGIC}' or an IPC message at its start, found ${found}. ` +
        'Check the path and the format.',
    );
  }
  return false;
}

/** Walks over the messages' heads. */
async function findBatches(
  file: StoredFile,
  reader: SparseReader,
  isFile: boolean,
): Promise<{ schema: Schema; batches: Batch[]; numRows: number }> {
  const { path, size } = file;
  const footer = isFile ? await readFooter(file, reader) : undefined;
  const end = footer?.offset ?? size;
  let schema: Schema | undefined;
  let dictionaries: ReadonlyMap<number, Dictionary> = new Map();
  const batches: Batch[] = [];
  let numBatches = 0;
  let numRows = 0;
  for (let offset = isFile ? 8 : 0; offset < end; ) {
    if (end - offset < 8) throw cutOff(path, `${offset + 8} bytes`, `${end}`);
    let head = await reader.read(offset, Math.min(HEAD_BYTES, end - offset));
    const view = new DataView(head.buffer);
    if (view.getUint32(0, true) !== CONTINUATION) {
      throw cutOff(path, `a message at byte ${offset}`, `0x${view.getUint32(0, true).toString(16)}`);
    }
    const headLength = view.getInt32(4, true);
    if (headLength === 0) {
      if (!isFile && offset + 8 < end) throw cutOff(path, `an end at byte ${offset + 8}`, `${end} bytes`);
      break;
    }
    if (headLength < 0 || offset + 8 + headLength > end) {
      throw cutOff(path, `${offset + 8 + headLength} bytes`, `${end}`);
    }
    if (8 + headLength > head.length) head = await reader.read(offset, 8 + headLength);
    const message = decodeMessage(head.subarray(8, 8 + headLength));
    const length = 8 + headLength + message.bodyLength;
    if (offset + length > end) throw cutOff(path, `${offset + length} bytes`, `${end}`);
    if (message.isSchema() && schema === undefined) {
      schema = message.header();
    } else {
      // apache-arrow's JavaScript file writer leaves out the message; the footer has the schema too.
      schema ??= footer?.schema;
      if (schema === undefined) throw new Error('no schema before the first record batch');
      const body = offset + 8 + headLength;
      if (message.isRecordBatch()) {
        const types = schema.fields.map(({ type }) => type);
        const read = bodyOf(message, message.header(), body, types);
        const rows = message.header().length;
        if (rows > 0) batches.push({ ...read, firstRow: numRows, numRows: rows, dictionaries });
        numBatches++;
        numRows += rows;
        if (numRows > MAX_ROWS) throw new Error(`${numRows} rows; at most ${MAX_ROWS} are read`);
      } else dictionaries = withDictionary(dictionaries, schema, message, body);
    }
    offset += length;
  }
  schema ??= footer?.schema;
  if (schema === undefined) throw new Error('no schema');
  if (footer !== undefined && footer.numBatches !== numBatches) {
    throw cutOff(path, `${footer.numBatches} record batches`, `${numBatches}`);
  }
  return { schema, batches, numRows };
}

function decodeMessage(bytes: Uint8Array): Message {
  verifyMessage(bytes);
  const message = Message.decode(bytes);
  const { version, bodyLength } = message;
  // Earlier versions have other layouts; later ones are not known.
  if (version !== MetadataVersion.V4 && version !== MetadataVersion.V5) {
    throw new Error(`metadata version ${version + 1}; expected 4 or 5`);
  }
  if (bodyLength < 0) throw new Error(`a body of ${bodyLength} bytes`);
  return message;
}

function bodyOf(message: Message, batch: RecordBatch, offset: number, types: readonly DataType[]): Body {
  const layouts = layoutOf(batch, message.bodyLength, message.version, types);
  return { offset, layouts, compression: batch.compression?.type };
}

/** The dictionaries after one more message, which begins one anew or adds to it. */
function withDictionary(
  held: ReadonlyMap<number, Dictionary>,
  schema: Schema,
  message: Message,
  offset: number,
): ReadonlyMap<number, Dictionary> {
  if (!message.isDictionaryBatch()) {
    throw new Error(`a message of type ${message.headerType} among the record batches`);
  }
  const { id, data, isDelta } = message.header();
  const type = schema.dictionaries.get(id);
  if (type === undefined) throw new Error(`a dictionary ${id} that no column uses`);
  const body = bodyOf(message, data, offset, [type]);
  return new Map(held).set(id, isDelta ? [...(held.get(id) ?? []), body] : [body]);
}

/** The footer of the file format: where it begins, the schema, and how many record batches there are. */
async function readFooter(
  file: StoredFile,
  reader: SparseReader,
): Promise<{ offset: number; schema: Schema; numBatches: number }> {
  const { path, size } = file;
  const length = new DataView((await reader.read(size - 10, 4)).buffer).getInt32(0, true);
  if (length <= 0 || length > size - 18) {
    throw cutOff(path, 'the length of the footer before its end', `${length}`);
  }
  const offset = size - 10 - length;
  const bytes = await reader.read(offset, length);
  verifyFooter(bytes);
  const footer = Footer.decode(bytes);
  const { schema, numRecordBatches } = footer;
  // Hints only: what is there is told by the walk, and a place that is none costs a read.
  const heads = Array.from(footer.recordBatches(), (block) => Number(block.offset));
  await reader.ahead(heads.filter((head) => head > 0 && head < offset));
  return { offset, schema, numBatches: numRecordBatches };
}

class ArrowShard implements Shard {
  readonly path: string;
  readonly size: number;
  readonly numGroups: number;

  constructor(
    private readonly file: StoredFile,
    readonly columns: readonly string[],
    readonly numRows: number,
    private readonly batches: readonly Batch[],
    private readonly cache: BlockCache,
  ) {
    this.path = file.path;
    this.size = file.size;
    this.numGroups = batches.length;
  }

  async readRows(indices: readonly number[], columns: readonly string[], scope?: ReadScope): Promise<Row[]> {
    const places = new Map<Batch, number[]>();
    for (const [place, index] of indices.entries()) {
      const batch = this.#batchOf(index);
      const held = places.get(batch);
      if (held === undefined) places.set(batch, [place]);
      else held.push(place);
    }
    // In the columns' order, whichever is read first.
    const rows = indices.map((): Row => Object.fromEntries(columns.map((column) => [column, null])));
    await Promise.all(
      [...places].flatMap(([batch, wanted]) => {
        const local = wanted.map((place) => (indices[place] as number) - batch.firstRow);
        return columns.map(async (column) => {
          const cells = await this.#cells(batch, this.columns.indexOf(column));
          const values = await this.#values(batch, cells, column, local, scope);
          for (const [i, place] of wanted.entries()) (rows[place] as Row)[column] = values[i] as Value;
        });
      }),
    );
    return rows;
  }

  async readColumn(column: string): Promise<Value[]> {
    const values: Value[] = [];
    for (const batch of this.batches) {
      const cells = await this.#cells(batch, this.columns.indexOf(column));
      const rows = Array.from({ length: batch.numRows }, (_, i) => i);
      for (const value of await this.#values(batch, cells, column, rows)) values.push(value);
    }
    return values;
  }

  /** The last batch that begins at or before the row. */
  #batchOf(row: number): Batch {
    let [low, high] = [0, this.batches.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.batches[middle] as Batch).firstRow <= row) low = middle;
      else high = middle - 1;
    }
    return this.batches[low] as Batch;
  }

  /** Reads the cells of rows, after the ranges that they lie in where the buffer was left in the file. */
  async #values(
    batch: Batch,
    cells: Cells,
    column: string,
    rows: readonly number[],
    scope?: ReadScope,
  ): Promise<Value[]> {
    try {
      const ranges: [start: number, end: number][] = [];
      for (const row of rows) {
        cells.visitRanges(row, ({ offset }, start, end) => {
          ranges.push([batch.offset + offset + start, batch.offset + offset + end]);
        });
      }
      const pieces = await readRanges(this.file, ranges);
      for (const { bytes } of pieces) scope?.own(bytes);
      const part = scope === undefined ? cut : view;
      return rows.map((row) =>
        cells.get(row, ({ offset }, start, end) =>
          part(pieces, batch.offset + offset + start, batch.offset + offset + end),
        ),
      );
    } catch (cause) {
      throw unreadable(this.path, cause, `column '${column}', rows from ${batch.firstRow}: `);
    }
  }

  #cells(batch: Batch, column: number): Promise<Cells> {
    const layout = batch.layouts[column] as Layout;
    const key = `${this.path}\0${batch.offset}\0${column}`;
    return this.cache.get(key, heldBytes(batch, layout), async () => {
      try {
        return await this.#open(batch, layout);
      } catch (cause) {
        throw unreadable(this.path, cause, `column '${this.columns[column]}', rows from ${batch.firstRow}: `);
      }
    });
  }

  async #open(batch: Batch, layout: Layout): Promise<Cells> {
    return this.#openBody(batch, layout, leftRegions(batch, layout), batch.dictionaries);
  }

  async #openBody(
    body: Body,
    layout: Layout,
    left: ReadonlySet<Region>,
    dictionaries: ReadonlyMap<number, Dictionary>,
  ): Promise<Cells> {
    const regions = regionsOf(layout).filter((region) => !left.has(region));
    const buffers = await readBuffers(this.file, body.offset, regions, body.compression);
    const words = new Map<number, Cells>();
    for (const id of dictionariesOf(layout.type)) words.set(id, await this.#dictionary(id, dictionaries));
    return cellsOf(layout, {
      buffer: (region) => buffers.get(region),
      dictionary: (id) => words.get(id) as Cells,
    });
  }

  #dictionary(id: number, dictionaries: ReadonlyMap<number, Dictionary>): Promise<Cells> {
    const bodies = dictionaries.get(id);
    if (bodies === undefined) throw new Error(`no dictionary ${id}, which a column uses`);
    // Its values may be looked up in others, but not in itself.
    const others = new Map(dictionaries);
    others.delete(id);
    const last = bodies.at(-1) as Body;
    const numBytes = bodies.reduce((sum, body) => sum + heldBytes(body, body.layouts[0] as Layout), 0);
    return this.cache.get(`${this.path}\0${last.offset}\0words`, numBytes, async () => {
      const parts: Cells[] = [];
      for (const body of bodies) {
        parts.push(await this.#openBody(body, body.layouts[0] as Layout, new Set(), others));
      }
      return joined(parts);
    });
  }
}

/** Several parts of a dictionary as one. */
function joined(parts: readonly Cells[]): Cells {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const find = (row: number): [Cells, number] => {
    let at = row;
    for (const part of parts) {
      if (at < part.length) return [part, at];
      at -= part.length;
    }
    throw new Error(`word ${row} of a dictionary of ${length}`);
  };
  return {
    length,
    get: (row, range) => {
      const [part, at] = find(row);
      return part.get(at, range);
    },
    visitRanges: () => undefined,
  };
}

/** The dictionaries that a column's values are looked up in. */
function dictionariesOf(type: DataType): number[] {
  if (type.typeId === Type.Dictionary) return [(type as DataType & { id: number }).id];
  return (type.children ?? []).flatMap((child) => dictionariesOf(child.type));
}

/** The buffers of large values in a column. */
function largeRegions(layout: Layout): Set<Region> {
  const { type, buffers, children, length } = layout;
  const large = new Set(children.flatMap((child) => [...largeRegions(child)]));
  if ([Type.Binary, Type.LargeBinary, Type.Utf8, Type.LargeUtf8].includes(type.typeId)) {
    const values = buffers[2] as Region;
    const isLarge = values.length > LARGE_BUFFER_BYTES || values.length > LARGE_VALUE_BYTES * length;
    if (isLarge && values.length > SMALL_BUFFER_BYTES) large.add(values);
  }
  return large;
}

/** The buffers of a column that are not read whole: not those of a compressed body, which have no ranges. */
function leftRegions({ compression }: Body, layout: Layout): ReadonlySet<Region> {
  return compression === undefined ? largeRegions(layout) : new Set();
}

/** What an open column takes in memory, about; what compressed buffers hold is not known before. */
function heldBytes(body: Body, layout: Layout): number {
  const left = leftRegions(body, layout);
  const held = regionsOf(layout).filter((region) => !left.has(region));
  const numBytes = held.reduce((sum, { length }) => sum + length, 0);
  return body.compression === undefined ? numBytes : numBytes * 3;
}
