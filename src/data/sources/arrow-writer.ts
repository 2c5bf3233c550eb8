/** Arrow IPC streams, the layout of Hugging Face's `.arrow` shards: can be written as rows come. */
import { type FileHandle, open } from 'node:fs/promises';
import {
  Binary,
  type DataType,
  Field,
  List,
  makeBuilder,
  makeData,
  RecordBatch,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  Utf8,
} from 'apache-arrow';
import type { ColumnSpec, ColumnType, Row, Value } from '../schema.js';
import type { RowWriter } from './source.js';

function dataType(type: ColumnType): DataType {
  if (type === 'binary') return new Binary();
  // Hugging Face and pyarrow call a list's values 'item'.
  return type === 'string' ? new Utf8() : new List(new Field('item', new Utf8(), true));
}

class ArrowWriter implements RowWriter {
  readonly #handle: FileHandle;
  readonly #schema: Schema;
  readonly #rowsPerBatch: number;
  readonly #stream = new RecordBatchStreamWriter({ autoDestroy: false });
  readonly #written: Promise<void>;
  #rows: Row[] = [];

  constructor(handle: FileHandle, columns: readonly ColumnSpec[], rowsPerBatch: number) {
    this.#handle = handle;
    this.#rowsPerBatch = rowsPerBatch;
    this.#schema = new Schema(
      columns.map(({ name, type }) => new Field(name, dataType(type), name !== 'key')),
      new Map([['huggingface', JSON.stringify({ info: { features: features(columns) } })]]),
    );
    this.#stream.reset(undefined, this.#schema);
    this.#written = this.#pump();
    this.#written.catch(() => undefined); // reported by close
  }

  async #pump(): Promise<void> {
    for await (const chunk of this.#stream) await this.#handle.write(chunk);
  }

  async write(row: Row): Promise<void> {
    this.#rows.push(row);
    if (this.#rows.length >= this.#rowsPerBatch) this.#flush();
  }

  #flush(): void {
    if (this.#rows.length === 0) return;
    const children = this.#schema.fields.map(({ name, type }) => {
      const builder = makeBuilder({ type, nullValues: [null, undefined] });
      for (const row of this.#rows) builder.append((row[name] ?? null) as Value);
      return builder.finish().flush();
    });
    const type = new Struct(this.#schema.fields);
    this.#stream.write(
      new RecordBatch(this.#schema, makeData({ type, length: this.#rows.length, children })),
    );
    this.#rows = [];
  }

  async close(): Promise<void> {
    this.#flush();
    this.#stream.finish();
    this.#stream.close();
    try {
      await this.#written;
    } finally {
      await this.#handle.close();
    }
  }
}

/** What `datasets` reads from a shard's metadata. */
function features(columns: readonly ColumnSpec[]): Record<string, unknown> {
  const value = (dtype: string) => ({ dtype, _type: 'Value' });
  return Object.fromEntries(
    columns.map(({ name, type }) => [
      name,
      type === 'strings' ? { feature: value('string'), _type: 'List' } : value(type),
    ]),
  );
}

/** Starts an Arrow IPC stream with a record batch every `rowsPerBatch` rows. */
export async function createArrowWriter(
  file: string,
  columns: readonly ColumnSpec[],
  rowsPerBatch: number,
): Promise<RowWriter> {
  return new ArrowWriter(await open(file, 'w'), columns, rowsPerBatch);
}
