/** Rows as a Parquet file, by hyparquet-writer. */
import { gzipSync } from 'node:zlib';
import type { CompressionCodec, SchemaElement } from 'hyparquet';
import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import type { Column, ColumnType } from '../schema.js';
import { type Encoder, hubMetadata, itemType, storedValue } from './cells.js';

const MAX_PAGE_BYTES = 1024 * 1024;

/** The codecs by which text and numbers may be compressed. */
export const parquetCompressions = ['snappy', 'zstd', 'gzip', 'none'] as const;

/** A codec of {@link parquetCompressions}. */
export type ParquetCompression = (typeof parquetCompressions)[number];

type Compressor = (bytes: Uint8Array) => Uint8Array;

const CODECS: Readonly<Record<ParquetCompression, CompressionCodec>> = {
  snappy: 'SNAPPY',
  zstd: 'ZSTD',
  gzip: 'GZIP',
  none: 'UNCOMPRESSED',
};

/** Makes a file with a row group for each group, in pages of a megabyte with an index of them. */
export async function parquetEncoder(
  columns: readonly Column[],
  compression: ParquetCompression = 'snappy',
): Promise<Encoder> {
  const hub = hubMetadata(columns);
  const bytes = new ByteWriter();
  const writer = new ParquetWriter({
    writer: bytes,
    schema: [{ name: 'schema', num_children: columns.length }, ...columns.flatMap(elementsOf)],
    codec: CODECS[compression],
    compressors: await compressorsOf(compression),
    createdBy: 'capstan',
    ...(hub === undefined ? {} : { kvMetadata: [{ key: 'huggingface', value: hub }] }),
  });
  const take = (): Uint8Array[] => {
    const chunk = bytes.getBytes().slice();
    bytes.index = 0;
    return [chunk];
  };
  return {
    group: (rows) => {
      // Its promises are of sinks that flush, which a buffer does not.
      void writer.write({
        columnData: columns.map(({ name, type }) => ({
          name,
          data: rows.map((row) => storedValue(row[name] ?? null, type)),
          ...(isBytes(type)
            ? ({ codec: 'UNCOMPRESSED', encoding: 'PLAIN', statistics: false } as const)
            : {}),
        })),
        rowGroupSize: rows.length,
        pageSize: MAX_PAGE_BYTES,
      });
      return take();
    },
    end: () => {
      void writer.finish();
      return take();
    },
  };
}

/** Loaded when they are needed, which is seldom. */
async function compressorsOf(
  compression: ParquetCompression,
): Promise<Partial<Record<CompressionCodec, Compressor>>> {
  if (compression === 'gzip') return { GZIP: (bytes) => gzipSync(bytes) };
  if (compression !== 'zstd') return {};
  const zstd = await (await import('@hpcc-js/wasm-zstd')).Zstd.load();
  return { ZSTD: (bytes) => zstd.compress(bytes) };
}

/** Whether a column is of pictures, which do not get smaller and are not looked up by their least and greatest. */
function isBytes(type: ColumnType): boolean {
  return (
    type === 'binary' ||
    type === 'image' ||
    (typeof type === 'object' && 'list' in type && isBytes(type.list))
  );
}

function elementsOf({ name, type }: Column): SchemaElement[] {
  const optional = { name, repetition_type: 'OPTIONAL' } as const;
  if (type === 'list<string>' || (typeof type === 'object' && 'list' in type)) {
    return [
      { ...optional, converted_type: 'LIST', logical_type: { type: 'LIST' }, num_children: 1 },
      { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
      ...elementsOf({ name: 'element', type: itemType(type) }),
    ];
  }
  if (typeof type === 'object') {
    return [{ ...optional, num_children: type.struct.length }, ...type.struct.flatMap(elementsOf)];
  }
  switch (type) {
    case 'string':
      return [{ ...optional, type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } }];
    case 'binary':
      return [{ ...optional, type: 'BYTE_ARRAY' }];
    case 'image':
      return elementsOf({
        name,
        type: {
          struct: [
            { name: 'bytes', type: 'binary' },
            { name: 'path', type: 'string' },
          ],
        },
      });
    case 'int64':
      return [{ ...optional, type: 'INT64' }];
    case 'float64':
      return [{ ...optional, type: 'DOUBLE' }];
    case 'bool':
      return [{ ...optional, type: 'BOOLEAN' }];
  }
}
