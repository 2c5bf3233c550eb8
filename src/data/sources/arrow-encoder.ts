/** Rows as an Arrow IPC file, by apache-arrow. */
import {
  Binary,
  Bool,
  type DataType,
  Field,
  Float64,
  Int64,
  List,
  makeBuilder,
  makeData,
  RecordBatch,
  RecordBatchFileWriter,
  Schema,
  Struct,
  Utf8,
} from 'apache-arrow';
import { AsyncByteQueue } from 'apache-arrow/io/stream';
import { Message } from 'apache-arrow/ipc/metadata/message';
import type { Column, ColumnType } from '../schema.js';
import { type Encoder, hubMetadata, itemType, storedValue } from './cells.js';

/** Makes an uncompressed file with a record batch for each group. */
export function arrowEncoder(columns: readonly Column[]): Encoder {
  const hub = hubMetadata(columns);
  const schema = new Schema(columns.map(fieldOf), hub === undefined ? null : new Map([['huggingface', hub]]));
  const sink = new Sink();
  const writer = new FileWriter();
  writer.reset(sink, schema);
  return {
    group: (rows) => {
      const children = columns.map(({ name, type }, i) => {
        const builder = makeBuilder({
          type: (schema.fields[i] as Field).type,
          nullValues: [null, undefined],
        });
        for (const row of rows) builder.append(storedValue(row[name] ?? null, type));
        return builder.finish().flush();
      });
      const data = makeData({ type: new Struct(schema.fields), length: rows.length, children });
      writer.write(new RecordBatch(schema, data));
      return sink.take();
    },
    end: () => {
      writer.close();
      return sink.take();
    },
  };
}

/** Keeps what the library writes until it is taken. */
class Sink extends AsyncByteQueue {
  #chunks: Uint8Array[] = [];

  override write(chunk: Uint8Array): void {
    if (chunk.length > 0) this.#chunks.push(chunk.slice());
  }

  take(): Uint8Array[] {
    const chunks = this.#chunks;
    this.#chunks = [];
    return chunks;
  }
}

/** The library's file writer leaves out the schema message, without which a file cannot be read as a stream. */
class FileWriter extends RecordBatchFileWriter {
  protected override _writeSchema(schema: Schema): this {
    super._writeSchema(schema);
    return this._writeMessage(Message.from(schema));
  }
}

function fieldOf({ name, type }: Column): Field {
  return new Field(name, arrowType(type), true);
}

function arrowType(type: ColumnType): DataType {
  if (type === 'list<string>' || (typeof type === 'object' && 'list' in type)) {
    return new List(fieldOf({ name: 'item', type: itemType(type) }));
  }
  if (typeof type === 'object') return new Struct(type.struct.map(fieldOf));
  switch (type) {
    case 'string':
      return new Utf8();
    case 'binary':
      return new Binary();
    case 'image':
      return new Struct([new Field('bytes', new Binary(), true), new Field('path', new Utf8(), true)]);
    case 'int64':
      return new Int64();
    case 'float64':
      return new Float64();
    case 'bool':
      return new Bool();
  }
}
