/** The parts that capstan uses of libraries that come without types. */

declare module 'parquetjs-lite' {
  interface Field {
    readonly type: 'UTF8' | 'BYTE_ARRAY';
    readonly optional?: boolean;
    readonly repeated?: boolean;
    readonly compression?: 'UNCOMPRESSED' | 'SNAPPY' | 'GZIP';
    readonly statistics?: boolean;
  }
  class ParquetSchema {
    constructor(fields: Readonly<Record<string, Field>>);
  }
  class ParquetWriter {
    static openFile(
      schema: ParquetSchema,
      path: string,
      options: { readonly rowGroupSize: number },
    ): Promise<ParquetWriter>;
    appendRow(row: Readonly<Record<string, unknown>>): Promise<void>;
    close(): Promise<void>;
  }
  const parquet: { ParquetSchema: typeof ParquetSchema; ParquetWriter: typeof ParquetWriter };
  // biome-ignore lint/style/noDefaultExport: the library's shape, not ours
  export default parquet;
}
