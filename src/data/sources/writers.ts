/**
 * Writers of shards: Arrow's IPC file format by apache-arrow, Parquet by parquetjs-lite (docs/adr/0003-parquet.md
 * says why). A group of rows, a record batch in one and a row group in the other, is what a reader reads at once.
 */
import { writeFile } from 'node:fs/promises';
import {
  Binary,
  type DataType,
  Field,
  List,
  makeBuilder,
  makeData,
  RecordBatch,
  RecordBatchFileWriter,
  Schema,
  Struct,
  Utf8,
} from 'apache-arrow';
import { Message } from 'apache-arrow/ipc/metadata/message';
import parquet from 'parquetjs-lite';
import type { Column, Row } from '../schema.js';

function arrowType({ type }: Column): DataType {
  if (type === 'binary') return new Binary();
  return type === 'string' ? new Utf8() : new List(new Field('item', new Utf8(), true));
}

/** The library's file writer leaves out the schema message, without which a file cannot be read as a stream. */
class FileWriter extends RecordBatchFileWriter {
  protected override _writeSchema(schema: Schema): this {
    super._writeSchema(schema);
    return this._writeMessage(Message.from(schema));
  }
}

/** Writes rows as an uncompressed Arrow IPC file with a record batch for every `groupRows` rows. */
export async function writeArrow(
  path: string,
  columns: readonly Column[],
  rows: readonly Row[],
  groupRows: number,
): Promise<void> {
  const schema = new Schema(columns.map((column) => new Field(column.name, arrowType(column), true)));
  const writer = new FileWriter();
  writer.reset(undefined, schema);
  for (let start = 0; start < rows.length; start += groupRows) {
    const group = rows.slice(start, start + groupRows);
    const children = schema.fields.map(({ name, type }) => {
      const builder = makeBuilder({ type, nullValues: [null, undefined] });
      for (const row of group) builder.append(row[name] ?? null);
      return builder.finish().flush();
    });
    const data = makeData({ type: new Struct(schema.fields), length: group.length, children });
    writer.write(new RecordBatch(schema, data));
  }
  writer.close();
  await writeFile(path, await writer.toUint8Array());
}

function parquetField({ type }: Column): ConstructorParameters<typeof parquet.ParquetSchema>[0][string] {
  // No statistics: the writer would keep every value of a page, images too, as its smallest and largest.
  if (type === 'binary') {
    return { type: 'BYTE_ARRAY', optional: true, compression: 'UNCOMPRESSED', statistics: false };
  }
  const text = { type: 'UTF8', compression: 'GZIP', statistics: false } as const;
  return type === 'string' ? { ...text, optional: true } : { ...text, repeated: true };
}

/** Writes rows as a Parquet file with a row group for every `groupRows` rows; text is compressed, bytes are not. */
export async function writeParquet(
  path: string,
  columns: readonly Column[],
  rows: readonly Row[],
  groupRows: number,
): Promise<void> {
  const schema = new parquet.ParquetSchema(
    Object.fromEntries(columns.map((column) => [column.name, parquetField(column)])),
  );
  const writer = await parquet.ParquetWriter.openFile(schema, path, { rowGroupSize: groupRows });
  for (const row of rows) {
    const record: Record<string, unknown> = {};
    for (const { name } of columns) {
      const value = row[name];
      if (value === null || value === undefined) continue;
      // The library takes Buffers only; this one shares the bytes.
      record[name] =
        value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.length) : value;
    }
    await writer.appendRow(record);
  }
  await writer.close();
}
