/** A Parquet file's footer, held against the file: its columns, row groups, and where in the file their chunks lie. */
import { type ColumnChunk, type CompressionCodec, type FileMetaData, parquetMetadata } from 'hyparquet';
import { DataError } from '../../errors.js';
import { cutOff, message, peek, type StoredFile } from '../storage/stored-file.js';
import { type Convert, columnsOf, converterOf, type Leaf, leavesOf, type Node } from './parquet-schema.js';
import { readThrift } from './parquet-thrift.js';

const MAGIC = 'PAR1';
/** Of a file whose footer is encrypted. */
const ENCRYPTED = 'PARE';
/** Enough for most footers; longer ones take a second read. */
const TAIL_BYTES = 64 * 1024;
/** What is said of a footer that lacks a field, or has one of another type. */
const UNFIT = 'a field of it is missing or of the wrong type';
/** Rows that a row group may claim: nulls take no bytes, but do in memory. */
const MAX_GROUP_ROWS = 2 ** 27;

/** A column of the data set. */
export interface Column {
  readonly name: string;
  readonly node: Node;
  readonly leaves: readonly Leaf[];
  readonly convert: Convert;
  /** As `convert`, but bytes are views of the pages that they lie in. */
  readonly view: Convert;
}

/** One leaf's bytes in a row group. */
export interface Chunk {
  readonly leaf: Leaf;
  readonly codec: CompressionCodec;
  /** Bytes of the file, the dictionary page included. */
  readonly start: number;
  readonly end: number;
  /** Bytes once decompressed, as the footer says. */
  readonly plainBytes: number;
  readonly isEncrypted: boolean;
  /** Where the index of its pages lies, if there is one. */
  readonly index?: { readonly offset: number; readonly length: number };
}

/** Rows that are stored together. */
export interface Group {
  readonly firstRow: number;
  readonly numRows: number;
  /** By column, then by leaf. */
  readonly chunks: readonly (readonly Chunk[])[];
}

/** What a footer says. */
export interface Footer {
  readonly columns: readonly Column[];
  readonly groups: readonly Group[];
  readonly numRows: number;
}

/**
 * Reads and checks the footer.
 *
 * @throws DataError if the file is not Parquet, is cut off, damaged or encrypted.
 */
export async function readFooter(file: StoredFile): Promise<Footer> {
  const { path, size } = file;
  if (size < 12) throw cutOff(path, 'at least 12 bytes', `${size}`);
  const bytes = await readTail(file);
  try {
    readThrift(bytes.subarray(0, -8)); // hyparquet believes what it reads
    return footerOf(metadataOf(bytes), size - bytes.length);
  } catch (cause) {
    if (cause instanceof CutOff) throw cutOff(path, `${cause.end} bytes`, `${size}`);
    const text = `${path}: the shard's footer is damaged (${reasonOf(cause)}). Build or copy it again.`;
    throw new DataError(text, { cause });
  }
}

/** The reason of what is said here and in the modules below; a runtime's own errors speak of the program, not of the file. */
function reasonOf(cause: unknown): string {
  return cause instanceof Error && cause.name === 'Error' ? message(cause) : UNFIT;
}

/** Decodes the footer. @throws Error without hyparquet's own words, which are of its variables where a field is missing */
function metadataOf(bytes: Uint8Array): FileMetaData {
  try {
    return parquetMetadata(bytes, { geoparquet: false });
  } catch (cause) {
    throw new Error(UNFIT, { cause });
  }
}

/** The footer, its length and the magic behind it. */
async function readTail(file: StoredFile): Promise<Uint8Array> {
  const { path, size } = file;
  const tail = await peek(file, Math.max(0, size - TAIL_BYTES), Math.min(size, TAIL_BYTES));
  const magic = Buffer.from(tail.subarray(-4)).toString('latin1');
  if (magic !== MAGIC) throw await noFooter(file, magic);
  const length = new DataView(tail.buffer).getUint32(tail.length - 8, true) + 8;
  if (length > size - 4) throw cutOff(path, `a footer of at most ${size - 12} bytes`, `${length - 8}`);
  return length <= tail.length ? tail.slice(-length) : peek(file, size - length, length);
}

/** What a file is that does not end as Parquet does, by its start, which costs a server's file another request. */
async function noFooter(file: StoredFile, end: string): Promise<DataError> {
  const { path } = file;
  const head = Buffer.from(await peek(file, 0, 4)).toString('latin1');
  if (head === ENCRYPTED)
    return new DataError(`${path}: is encrypted, which is not read. Write it without encryption.`);
  if (head === MAGIC) return cutOff(path, `'${MAGIC}' at its end`, JSON.stringify(end));
  return new DataError(
    `${path}: is not a Parquet file: expected '${MAGIC}' at its start, found ${JSON.stringify(head)}. Check the path and the format.`,
  );
}

/** A chunk beyond the end of the file. */
class CutOff extends Error {
  constructor(readonly end: number) {
    super(`a column to byte ${end}`);
  }
}

function footerOf(metadata: FileMetaData, end: number): Footer {
  const columns = columnsOf(metadata.schema).map(
    (node): Column => ({
      name: node.element.name,
      node,
      leaves: leavesOf(node),
      convert: converterOf(node, (bytes) => bytes.slice()),
      view: converterOf(node, (bytes) => bytes),
    }),
  );
  const groups: Group[] = [];
  let firstRow = 0;
  for (const group of metadata.row_groups) {
    const numRows = wholeOf(group.num_rows, 'number of rows in a row group');
    if (numRows > MAX_GROUP_ROWS) {
      throw new Error(`a row group of ${numRows} rows; at most ${MAX_GROUP_ROWS} are read`);
    }
    let next = 0;
    const chunks = columns.map(({ leaves }) =>
      leaves.map((leaf) => chunkOf(leaf, group.columns[next++], end)),
    );
    if (next !== group.columns.length)
      throw new Error(`${group.columns.length} columns in a row group; expected ${next}`);
    if (numRows > 0) groups.push({ firstRow, numRows, chunks });
    firstRow += numRows;
  }
  const claimed = wholeOf(metadata.num_rows, 'number of rows');
  if (firstRow !== claimed) throw new Error(`${firstRow} rows in all; expected ${claimed}`);
  return { columns, groups, numRows: firstRow };
}

function chunkOf(leaf: Leaf, chunk: ColumnChunk | undefined, fileEnd: number): Chunk {
  const meta = chunk?.meta_data;
  const isEncrypted = chunk?.crypto_metadata !== undefined;
  if (meta === undefined) {
    if (isEncrypted) return { leaf, codec: 'UNCOMPRESSED', start: 0, end: 0, plainBytes: 0, isEncrypted };
    throw new Error(`no column '${leaf.path.join('.')}' in a row group`);
  }
  if (chunk?.file_path) throw new Error(`a column in another file, '${chunk.file_path}'`);
  if (meta.path_in_schema.join('\0') !== leaf.path.join('\0')) {
    throw new Error(`the column '${meta.path_in_schema.join('.')}' in place of '${leaf.path.join('.')}'`);
  }
  // Some writers give a dictionary's place as 0 where there is none, others leave it out where there is one.
  const start = wholeOf(meta.dictionary_page_offset || meta.data_page_offset, 'first byte of a column');
  const end = start + wholeOf(meta.total_compressed_size, 'number of bytes of a column');
  const plainBytes = wholeOf(meta.total_uncompressed_size, 'number of decompressed bytes of a column');
  if (start < MAGIC.length) throw new Error(`a column from byte ${start} to ${end}`);
  if (end > fileEnd) throw new CutOff(end);
  const index = {
    offset: Number(chunk?.offset_index_offset ?? 0),
    length: Number(chunk?.offset_index_length ?? 0),
  };
  const hasIndex = index.offset >= 4 && index.length > 0 && index.offset + index.length <= fileEnd;
  return { leaf, codec: meta.codec, start, end, plainBytes, isEncrypted, ...(hasIndex ? { index } : {}) };
}

/** A count or a place in the file. @throws Error if it is missing, negative or beyond what a file can have */
function wholeOf(value: unknown, name: string): number {
  if (typeof value !== 'bigint' && typeof value !== 'number') throw new Error(`no ${name}`);
  const whole = Number(value);
  if (!(Number.isSafeInteger(whole) && whole >= 0)) throw new Error(`${value} as ${name}`);
  return whole;
}
