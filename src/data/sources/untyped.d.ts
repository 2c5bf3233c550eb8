/** The parts that capstan uses of libraries that come without types. */

declare module 'lz4js' {
  const lz4: {
    /** Compresses to an LZ4 frame. */
    compress(data: Uint8Array): Uint8Array;
    /** Decompresses an LZ4 frame. */
    decompress(data: Uint8Array): Uint8Array;
  };
  export default lz4;
}

declare module 'parquetjs-lite' {
  namespace parquet {
    interface FieldDefinition {
      readonly type: 'UTF8' | 'BYTE_ARRAY';
      readonly optional?: boolean;
      readonly repeated?: boolean;
      readonly compression?: 'UNCOMPRESSED' | 'SNAPPY' | 'GZIP';
      readonly statistics?: boolean;
    }
    class ParquetSchema {
      constructor(fields: Readonly<Record<string, FieldDefinition>>);
    }
    class ParquetWriter {
      static openFile(
        schema: ParquetSchema,
        path: string,
        options?: { readonly rowGroupSize?: number },
      ): Promise<ParquetWriter>;
      appendRow(row: Readonly<Record<string, unknown>>): Promise<void>;
      close(): Promise<void>;
    }
  }
  export default parquet;
}
