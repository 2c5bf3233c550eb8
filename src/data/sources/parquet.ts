/**
 * Parquet shards, read by hyparquet: only the row groups and columns that are asked for.
 *
 * Source: https://parquet.apache.org/docs/file-format/ (footer, row groups, column chunks).
 */
import {
  type AsyncBuffer,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { DataError } from '../../errors.js';
import type { Row, Value } from '../schema.js';
import { cutOff, message, type StoredFile } from '../storage/stored-file.js';
import type { BlockCache } from './block-cache.js';
import type { Shard } from './source.js';
import { toValue } from './value.js';

const MAGIC = 'PAR1';

interface RowGroup {
  readonly firstRow: number;
  readonly numRows: number;
  /** Uncompressed bytes by column. */
  readonly bytes: ReadonlyMap<string, number>;
}

/**
 * Opens a Parquet shard: reads its footer only.
 *
 * @throws DataError if the file is not Parquet or is cut off.
 */
export async function openParquetShard(file: StoredFile, cache: BlockCache): Promise<Shard> {
  const { path, size } = file;
  if (size < 12) throw cutOff(path, 'at least 12 bytes', `${size}`);
  const head = Buffer.from(await file.read(0, 4)).toString('latin1');
  if (head !== MAGIC) {
    const found = JSON.stringify(head);
    throw new DataError(
      `${path}: is not a Parquet file: expected '${MAGIC}' at its start, found ${found}. Check the path and the format.`,
    );
  }
  const tail = Buffer.from(await file.read(size - 4, 4)).toString('latin1');
  if (tail !== MAGIC) throw cutOff(path, `'${MAGIC}' at its end`, JSON.stringify(tail));
  const buffer: AsyncBuffer = {
    byteLength: size,
    slice: async (start, end = size) => (await file.read(start, end - start)).buffer,
  };
  let metadata: FileMetaData;
  try {
    metadata = await parquetMetadataAsync(buffer);
  } catch (cause) {
    const text = `${path}: the shard's footer is damaged (${message(cause)}). Build or copy it again.`;
    throw new DataError(text, { cause });
  }
  return new ParquetShard(path, size, buffer, metadata, cache);
}

class ParquetShard implements Shard {
  readonly columns: readonly string[];
  readonly numRows: number;
  readonly #groups: readonly RowGroup[];
  /** Columns whose values are repeated without a list around them: an empty list there reads as null. */
  readonly #bareLists: ReadonlySet<string>;

  constructor(
    readonly path: string,
    readonly size: number,
    private readonly buffer: AsyncBuffer,
    private readonly metadata: FileMetaData,
    private readonly cache: BlockCache,
  ) {
    const fields = parquetSchema(metadata).children.map((child) => child.element);
    this.columns = fields.map(({ name }) => name);
    const repeated = fields.filter((field) => field.repetition_type === 'REPEATED');
    this.#bareLists = new Set(repeated.map(({ name }) => name));
    this.numRows = Number(metadata.num_rows);
    const groups: RowGroup[] = [];
    let firstRow = 0;
    for (const group of metadata.row_groups) {
      const bytes = new Map<string, number>();
      for (const { meta_data: chunk } of group.columns) {
        if (chunk === undefined) continue;
        const start = Number(chunk.dictionary_page_offset ?? chunk.data_page_offset);
        const end = start + Number(chunk.total_compressed_size);
        if (end > size) throw cutOff(path, `${end} bytes`, `${size}`);
        const name = chunk.path_in_schema[0] as string;
        bytes.set(name, (bytes.get(name) ?? 0) + Number(chunk.total_uncompressed_size));
      }
      const numRows = Number(group.num_rows);
      if (numRows > 0) groups.push({ firstRow, numRows, bytes });
      firstRow += numRows;
    }
    this.#groups = groups;
  }

  async readRows(indices: readonly number[], columns: readonly string[]): Promise<Row[]> {
    const places = new Map<RowGroup, number[]>();
    for (const [place, index] of indices.entries()) {
      const group = this.#groups.findLast(({ firstRow }) => firstRow <= index) as RowGroup;
      const held = places.get(group);
      if (held === undefined) places.set(group, [place]);
      else held.push(place);
    }
    const rows = indices.map((): Row => ({}));
    await Promise.all(
      [...places].flatMap(([group, wanted]) =>
        columns.map(async (column) => {
          const values = await this.#read(group, column);
          for (const place of wanted) {
            const value = values[(indices[place] as number) - group.firstRow];
            (rows[place] as Row)[column] = toValue(value);
          }
        }),
      ),
    );
    return rows;
  }

  async readColumn(column: string): Promise<Value[]> {
    const values: Value[] = [];
    for (const group of this.#groups) {
      for (const value of await this.#read(group, column)) values.push(toValue(value));
    }
    return values;
  }

  #read(group: RowGroup, column: string): Promise<unknown[]> {
    const key = `${this.path}\0${group.firstRow}\0${column}`;
    return this.cache.get(key, group.bytes.get(column) ?? 0, async () => {
      let rows: Record<string, unknown>[];
      try {
        rows = await parquetReadObjects({
          file: this.buffer,
          metadata: this.metadata,
          compressors,
          columns: [column],
          rowStart: group.firstRow,
          rowEnd: group.firstRow + group.numRows,
          utf8: false, // a column of bytes that is not marked as text stays bytes
        });
      } catch (cause) {
        if (cause instanceof DataError) throw cause;
        const text = `${this.path}: column '${column}' from row ${group.firstRow} cannot be read (${message(cause)}).`;
        throw new DataError(`${text} Build or copy the shard again.`, { cause });
      }
      const empty = this.#bareLists.has(column) ? [] : null;
      return rows.map((row) => row[column] ?? empty);
    });
  }
}
