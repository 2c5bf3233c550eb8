/**
 * Shards in Arrow's IPC format: the file format, and the stream format in which Hugging Face's
 * `datasets` keeps its shards. A record batch is read when one of its rows is asked for.
 *
 * Both formats are a sequence of messages (schema, dictionaries, record batches), so one walk over
 * the messages' heads finds every batch. A batch is decoded as a stream of its own: the schema and
 * dictionaries before it, then the batch.
 *
 * Source: https://arrow.apache.org/docs/format/Columnar.html (encapsulated messages; file format).
 */
import {
  CompressionType,
  compressionRegistry,
  type RecordBatch,
  type Schema,
  tableFromIPC,
} from 'apache-arrow';
import { Footer } from 'apache-arrow/ipc/metadata/file';
import { Message } from 'apache-arrow/ipc/metadata/message';
import { decompressZstd } from 'hyparquet-compressors';
import lz4 from 'lz4js';
import { DataError } from '../../errors.js';
import type { Row, Value } from '../schema.js';
import { cutOff, message as messageOf, type StoredFile } from '../storage/stored-file.js';
import { checkBatchMessage, checkData, checkMessage } from './arrow-check.js';
import { verifyFooter, verifyMessage } from './arrow-flatbuffer.js';
import type { BlockCache } from './block-cache.js';
import type { Shard } from './source.js';
import { toValue } from './value.js';

// The decoders' output may start anywhere in a larger buffer; typed arrays over it need alignment.
compressionRegistry.set(CompressionType.LZ4_FRAME, { decode: (bytes) => lz4.decompress(bytes).slice() });
compressionRegistry.set(CompressionType.ZSTD, { decode: (bytes) => decompressZstd(bytes).slice() });

const MAGIC = 'ARROW1';
const CONTINUATION = 0xffffffff;
/** Enough for the head of a record batch with some fifty columns; longer ones take a second read. */
const HEAD_BYTES = 4096;
const END_OF_STREAM = Uint8Array.of(255, 255, 255, 255, 0, 0, 0, 0);

interface Batch {
  readonly offset: number;
  readonly length: number;
  readonly firstRow: number;
  readonly numRows: number;
  /** The schema and the dictionaries that came before, as messages. */
  readonly prefix: readonly Uint8Array[];
}

/**
 * Opens an Arrow shard: finds its record batches, reads none.
 *
 * @throws DataError if the file is not Arrow's, is cut off or damaged.
 */
export async function openArrowShard(file: StoredFile, cache: BlockCache): Promise<Shard> {
  const isFile = await checkMagic(file);
  try {
    const { schema, batches, numRows } = await findBatches(file, isFile);
    const columns = schema.fields.map((field) => field.name);
    return new ArrowShard(file, columns, numRows, batches, cache);
  } catch (cause) {
    throw unreadable(file.path, cause);
  }
}

/** What came of reading damaged bytes, as an error that names the file. */
function unreadable(path: string, cause: unknown): DataError {
  if (cause instanceof DataError) return cause;
  const text = `${path}: is not a readable Arrow shard (${messageOf(cause)}). Build or copy it again.`;
  return new DataError(text, { cause });
}

/** Whether the file is in the file format; anything without the magic is tried as a stream. */
async function checkMagic(file: StoredFile): Promise<boolean> {
  const { path, size } = file;
  if (size < 12) throw cutOff(path, 'at least 12 bytes', `${size}`);
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
  const head = await file.read(0, 8);
  if (text(head.subarray(0, 6)) === MAGIC) {
    const tail = text(await file.read(size - 6, 6));
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
  isFile: boolean,
): Promise<{ schema: Schema; batches: Batch[]; numRows: number }> {
  const { path, size } = file;
  const footer = isFile ? await readFooter(file) : undefined;
  const end = footer?.offset ?? size;
  let schema: Schema | undefined;
  let prefix: Uint8Array[] = [];
  const batches: Batch[] = [];
  let numBatches = 0;
  let numRows = 0;
  for (let offset = isFile ? 8 : 0; offset < end; ) {
    if (end - offset < 8) throw cutOff(path, `${offset + 8} bytes`, `${end}`);
    let head = await file.read(offset, Math.min(HEAD_BYTES, end - offset));
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
    if (8 + headLength > head.length) head = await file.read(offset, 8 + headLength);
    const message = decodeMessage(head.subarray(8, 8 + headLength));
    const length = 8 + headLength + message.bodyLength;
    if (offset + length > end) throw cutOff(path, `${offset + length} bytes`, `${end}`);
    if (message.isSchema() && schema === undefined) {
      schema = message.header();
      prefix = [await file.read(offset, length)];
    } else {
      if (schema === undefined) {
        if (footer === undefined) throw new Error('no schema before the first record batch');
        // apache-arrow's JavaScript file writer leaves out the message; the footer has the schema too.
        schema = footer.schema;
        prefix = [schemaMessage(schema)];
      }
      checkBatchMessage(message, schema);
      if (message.isRecordBatch()) {
        const rows = message.header().length;
        if (rows > 0) batches.push({ offset, length, firstRow: numRows, numRows: rows, prefix });
        numBatches++;
        numRows += rows;
      } else {
        prefix = [...prefix, await file.read(offset, length)];
      }
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
  checkMessage(message);
  return message;
}

/** The footer of the file format: where it begins, the schema, and how many record batches there are. */
async function readFooter(file: StoredFile): Promise<{ offset: number; schema: Schema; numBatches: number }> {
  const { path, size } = file;
  const length = new DataView((await file.read(size - 10, 4)).buffer).getInt32(0, true);
  if (length <= 0 || length > size - 18) {
    throw cutOff(path, 'the length of the footer before its end', `${length}`);
  }
  const offset = size - 10 - length;
  const bytes = await file.read(offset, length);
  verifyFooter(bytes);
  const { schema, numRecordBatches } = Footer.decode(bytes);
  return { offset, schema, numBatches: numRecordBatches };
}

/** A schema as a message of a stream. */
function schemaMessage(schema: Schema): Uint8Array {
  const head = Message.encode(Message.from(schema));
  const message = new Uint8Array(8 + Math.ceil(head.length / 8) * 8);
  new DataView(message.buffer).setUint32(0, CONTINUATION, true);
  new DataView(message.buffer).setInt32(4, message.length - 8, true);
  message.set(head, 8);
  return message;
}

class ArrowShard implements Shard {
  readonly path: string;
  readonly size: number;

  constructor(
    private readonly file: StoredFile,
    readonly columns: readonly string[],
    readonly numRows: number,
    private readonly batches: readonly Batch[],
    private readonly cache: BlockCache,
  ) {
    this.path = file.path;
    this.size = file.size;
  }

  async readRows(indices: readonly number[], columns: readonly string[]): Promise<Row[]> {
    const places = new Map<Batch, number[]>();
    for (const [place, index] of indices.entries()) {
      const batch = this.batches.findLast(({ firstRow }) => firstRow <= index) as Batch;
      const held = places.get(batch);
      if (held === undefined) places.set(batch, [place]);
      else held.push(place);
    }
    const rows = indices.map((): Row => ({}));
    await Promise.all(
      [...places].map(async ([batch, wanted]) => {
        const decoded = await this.#read(batch);
        const local = wanted.map((place) => (indices[place] as number) - batch.firstRow);
        for (const column of columns) {
          const values = this.#values(decoded, column, local);
          for (const [i, place] of wanted.entries()) (rows[place] as Row)[column] = values[i] as Value;
        }
      }),
    );
    return rows;
  }

  async readColumn(column: string): Promise<Value[]> {
    const values: Value[] = [];
    for (const batch of this.batches) {
      const all = Array.from({ length: batch.numRows }, (_, i) => i);
      for (const value of this.#values(await this.#read(batch), column, all)) values.push(value);
    }
    return values;
  }

  #values(decoded: RecordBatch, column: string, rows: readonly number[]): Value[] {
    const vector = decoded.getChild(column);
    try {
      return rows.map((row) => toValue(vector?.get(row)));
    } catch (cause) {
      throw unreadable(this.path, cause);
    }
  }

  #read(batch: Batch): Promise<RecordBatch> {
    return this.cache.get(`${this.path}\0${batch.offset}`, batch.length, async () => {
      const bytes = await this.file.read(batch.offset, batch.length);
      let decoded: RecordBatch | undefined;
      try {
        [decoded] = tableFromIPC(joined([...batch.prefix, bytes, END_OF_STREAM])).batches;
        if (decoded !== undefined) checkData(decoded.data);
      } catch (cause) {
        throw unreadable(this.path, cause);
      }
      if (decoded?.numRows !== batch.numRows) {
        const where = `a record batch of ${batch.numRows} rows at byte ${batch.offset}`;
        throw cutOff(this.path, where, `${decoded?.numRows ?? 'none'}`);
      }
      return decoded;
    });
  }
}

/** The messages as one stream; each is a multiple of eight bytes long, so that their bodies stay aligned. */
function joined(messages: readonly Uint8Array[]): Uint8Array {
  const stream = new Uint8Array(messages.reduce((length, message) => length + message.length, 0));
  let at = 0;
  for (const message of messages) {
    stream.set(message, at);
    at += message.length;
  }
  return stream;
}
