/**
 * Writers of shards: Arrow's IPC file format by apache-arrow, Parquet by hyparquet-writer (docs/adr/0003-parquet.md
 * says why), and whatever else has an encoder. A group of rows, a record batch in one and a row group in the other, is
 * what is held in memory.
 */
import { DataError } from '../../errors.js';
import type { Column, Row } from '../schema.js';
import { arrowEncoder } from './arrow-encoder.js';
import { checkCell, type Encoder, rowBytes } from './cells.js';
import { type ParquetCompression, parquetEncoder } from './parquet-encoder.js';
import { PartFile } from './part-file.js';

/** A shard being written. It appears under its path when it is closed, whole, or not at all. */
export interface ShardWriter {
  /** Rows written so far. */
  readonly numRows: number;
  /** Bytes of the values written so far, about: when to begin the next shard. */
  readonly numBytes: number;
  /** Writes rows behind those before. @throws DataError for a value that is not of its column's type, or a failing disk. */
  write(rows: readonly Row[]): Promise<void>;
  /** Ends the shard, and puts it in its place. @throws DataError as `write` does. */
  close(): Promise<void>;
  /** Gives the shard up and leaves nothing of it. */
  abort(): Promise<void>;
}

/** A group of fewer rows is written once its values take this many bytes. */
const MAX_GROUP_BYTES = 64 * 1024 * 1024;

/** Opens an uncompressed Arrow IPC file with a record batch for every `groupRows` rows, or for 64 MiB. */
export function openArrowWriter(
  path: string,
  columns: readonly Column[],
  groupRows: number,
): Promise<ShardWriter> {
  return openShardWriter(path, arrowEncoder(columns), groupRows, cellCheck(columns));
}

/**
 * Opens a Parquet file with a row group for every `groupRows` rows, or for 64 MiB. Text and numbers are compressed, by
 * Snappy unless another codec is given; images are not, as they are compressed already.
 */
export async function openParquetWriter(
  path: string,
  columns: readonly Column[],
  groupRows: number,
  compression?: ParquetCompression,
): Promise<ShardWriter> {
  const encoder = await parquetEncoder(columns, compression);
  return openShardWriter(path, encoder, groupRows, cellCheck(columns));
}

/**
 * Opens a file that an encoder makes, with a group for every `groupRows` rows, or for 64 MiB.
 *
 * @param check what is wrong with a row; undefined if nothing is
 */
export async function openShardWriter(
  path: string,
  encoder: Encoder,
  groupRows: number,
  check: (row: Row) => string | undefined = () => undefined,
): Promise<ShardWriter> {
  return new FileWriter(path, await PartFile.open(path), encoder, groupRows, check);
}

/** Holds each cell against its column's type. */
function cellCheck(columns: readonly Column[]): (row: Row) => string | undefined {
  return (row) => {
    for (const { name, type } of columns) {
      const wrong = checkCell(row[name] ?? null, type, name);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  };
}

/** Writes rows as an Arrow file as {@link openArrowWriter} does. */
export async function writeArrow(
  path: string,
  columns: readonly Column[],
  rows: readonly Row[],
  groupRows: number,
): Promise<void> {
  await writeAll(await openArrowWriter(path, columns, groupRows), rows);
}

/** Writes rows as a Parquet file as {@link openParquetWriter} does. */
export async function writeParquet(
  path: string,
  columns: readonly Column[],
  rows: readonly Row[],
  groupRows: number,
): Promise<void> {
  await writeAll(await openParquetWriter(path, columns, groupRows), rows);
}

async function writeAll(writer: ShardWriter, rows: readonly Row[]): Promise<void> {
  try {
    await writer.write(rows);
    await writer.close();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

class FileWriter implements ShardWriter {
  numRows = 0;
  numBytes = 0;
  #group: Row[] = [];
  #groupBytes = 0;

  constructor(
    private readonly path: string,
    private readonly file: PartFile,
    private readonly encoder: Encoder,
    private readonly groupRows: number,
    private readonly check: (row: Row) => string | undefined,
  ) {}

  async write(rows: readonly Row[]): Promise<void> {
    for (const row of rows) {
      const wrong = this.check(row);
      if (wrong !== undefined) throw new DataError(`${this.path}: row ${this.numRows}: ${wrong}.`);
      this.#groupBytes += rowBytes(row);
      this.#group.push(row);
      this.numRows++;
      if (this.#group.length >= this.groupRows || this.#groupBytes >= MAX_GROUP_BYTES) await this.#flush();
    }
  }

  async close(): Promise<void> {
    await this.#flush();
    await this.file.append(this.encoder.end());
    await this.file.commit();
  }

  abort(): Promise<void> {
    return this.file.discard();
  }

  async #flush(): Promise<void> {
    if (this.#group.length === 0) return;
    const group = this.#group;
    this.#group = [];
    this.numBytes += this.#groupBytes;
    this.#groupBytes = 0;
    await this.file.append(this.encoder.group(group));
  }
}
