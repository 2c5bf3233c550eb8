/** Parquet files, written row by row; why with this library, see docs/adr/0003-parquet.md. */
import parquet from 'parquetjs-lite';
import type { ColumnSpec, Row } from '../schema.js';
import type { RowWriter } from './source.js';

function field({ name, type }: ColumnSpec): parquet.FieldDefinition {
  // Images are compressed already, and their smallest and largest value would only swell the footer.
  if (type === 'binary')
    return { type: 'BYTE_ARRAY', optional: true, compression: 'UNCOMPRESSED', statistics: false };
  const text = { type: 'UTF8', compression: 'SNAPPY', statistics: false } as const;
  return type === 'strings' ? { ...text, repeated: true } : { ...text, optional: name !== 'key' };
}

class ParquetRowWriter implements RowWriter {
  readonly #writer: parquet.ParquetWriter;
  readonly #columns: readonly ColumnSpec[];

  constructor(writer: parquet.ParquetWriter, columns: readonly ColumnSpec[]) {
    this.#writer = writer;
    this.#columns = columns;
  }

  async write(row: Row): Promise<void> {
    const record: Record<string, unknown> = {};
    for (const { name } of this.#columns) {
      const value = row[name];
      if (value === null || value === undefined) continue;
      record[name] =
        value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.length) : value;
    }
    await this.#writer.appendRow(record);
  }

  async close(): Promise<void> {
    await this.#writer.close();
  }
}

/** Starts a Parquet file with a row group every `rowsPerGroup` rows. */
export async function createParquetWriter(
  file: string,
  columns: readonly ColumnSpec[],
  rowsPerGroup: number,
): Promise<RowWriter> {
  const schema = new parquet.ParquetSchema(
    Object.fromEntries(columns.map((column) => [column.name, field(column)])),
  );
  const writer = await parquet.ParquetWriter.openFile(schema, file, { rowGroupSize: rowsPerGroup });
  return new ParquetRowWriter(writer, columns);
}
