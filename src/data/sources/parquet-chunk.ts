/**
 * Decoding of pages of one Parquet column by hyparquet. It is handed bytes that parquet-page.ts has checked, as a file of one
 * row group of nothing else, and so decodes any run of pages as well as a whole chunk.
 */
import type { ColumnMetaData, CompressionCodec, FileMetaData, SchemaElement } from 'hyparquet';
import { parquetReadColumn } from 'hyparquet/src/read.js';
import { prepareZstd } from './codecs.js';
import { type OpenPage, openPage, type Page, readPage } from './parquet-page.js';
import { type Leaf, type Node, storedElement } from './parquet-schema.js';

/** Pages of a chunk, one behind the other, the dictionary's first if there is one. */
export interface Pages {
  readonly leaf: Leaf;
  readonly codec: CompressionCodec;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What all pages read at once may take once decompressed. */
const MAX_BYTES = 1024 * 1024 * 1024;

/** hyparquet asks for no codec's bytes but through this one's decompressor, which hands out checked pages. */
const CHECKED: CompressionCodec = 'LZO';

/** Chunks are put this far from each other in the file that hyparquet sees. */
const SPREAD = 2 ** 40;

/**
 * Decodes the values of a column, as they are stored, from pages of each of its leaves that hold the same rows.
 *
 * @throws Error that says what is wrong
 */
export async function decodeColumn(
  column: Node,
  chunks: readonly Pages[],
  numRows: number,
): Promise<ArrayLike<unknown>> {
  if (chunks.some(({ codec }) => codec === 'ZSTD')) await prepareZstd();
  const opened = chunks.map(openPages);
  const total = opened.reduce((sum, { plainBytes }) => sum + plainBytes, 0);
  if (total > MAX_BYTES) throw new Error(tooLarge(total));
  const schema: SchemaElement[] = [{ name: 'schema', num_children: 1 }, ...elementsOf(column)];
  const columns = chunks.map(({ leaf, bytes }, i) => {
    const offset = BigInt((i + 1) * SPREAD);
    const meta: ColumnMetaData = {
      type: leaf.nodes.at(-1)?.element.type ?? 'BYTE_ARRAY',
      encodings: [],
      path_in_schema: [...leaf.path],
      codec: CHECKED,
      num_values: BigInt(numRows),
      total_uncompressed_size: BigInt(bytes.length),
      total_compressed_size: BigInt(bytes.length),
      data_page_offset: offset,
    };
    return { file_offset: offset, meta_data: meta };
  });
  const metadata: FileMetaData = {
    version: 1,
    schema,
    num_rows: BigInt(numRows),
    row_groups: [{ columns, total_byte_size: 0n, num_rows: BigInt(numRows) }],
    metadata_length: 0,
  };
  const values = (await parquetReadColumn({
    file: {
      byteLength: (chunks.length + 2) * SPREAD,
      slice: (start, end = start) => {
        const { bytes } = chunks[Math.floor(start / SPREAD) - 1] as Pages;
        const from = start % SPREAD;
        const isWhole =
          from === 0 && end - start === bytes.length && bytes.buffer.byteLength === bytes.length;
        return isWhole ? bytes.buffer : bytes.slice(from, from + end - start).buffer;
      },
    },
    metadata,
    columns: [column.element.name],
    utf8: false, // a column of bytes that is not marked as text stays bytes
    geoparquet: false,
    // Of INT96, which it converts whatever the schema says, the nanoseconds as they are.
    parsers: { stringFromBytes: textOf, timestampFromNanoseconds: (nanos) => nanos },
    compressors: {
      [CHECKED]: (input: Uint8Array) => {
        // Pages are known by where their bodies lie.
        for (const { pages } of opened) {
          const page = pages.get(input.buffer)?.get(input.byteOffset);
          if (page !== undefined) return page();
        }
        throw new Error('a page that was not checked');
      },
    },
  })) as ArrayLike<unknown>;
  if (values.length !== numRows) throw new Error(`${values.length} values of ${numRows} rows`);
  return values;
}

/** What is said of pages that would take too much memory at once. */
export function tooLarge(numBytes: number): string {
  return (
    `${numBytes} bytes to be decoded at once; at most ${MAX_BYTES} are. ` +
    'Write the file anew with smaller row groups or smaller pages'
  );
}

/** Not TextDecoder, which takes a byte order mark away. */
function textOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
}

function elementsOf(node: Node): SchemaElement[] {
  return [storedElement(node), ...node.children.flatMap(elementsOf)];
}

/** A page with what opens it. */
export interface PlacedPage {
  readonly page: Page;
  /** Where its body begins, behind the levels of the second version. */
  readonly bodyStart: number;
  /** Levels of the second version. */
  readonly levels: Uint8Array;
  /** Decompresses and checks it. @throws Error that says what is wrong */
  open(): OpenPage;
}

/** Walks over the headers of pages. @throws Error that says what is wrong */
export function pagesOf({ leaf, codec, bytes }: Pages): PlacedPage[] {
  const pages: PlacedPage[] = [];
  let dictionarySize: number | undefined;
  let plainBytes = 0;
  for (let at = 0; at < bytes.length; ) {
    const page = readPage(bytes, at);
    const start = at + page.headBytes;
    at = start + page.bodyBytes;
    if (at > bytes.length) throw new Error(`a page to byte ${at} of ${bytes.length}`);
    if (page.kind === 'dictionary') dictionarySize = page.numValues;
    else if (page.kind === 'other') throw new Error('a page of an unknown kind');
    plainBytes += page.plainBytes;
    if (plainBytes > MAX_BYTES) throw new Error(tooLarge(plainBytes));
    const size = dictionarySize;
    const numLevels = page.kind === 'v2' ? page.definitionBytes + page.repetitionBytes : 0;
    const levels = bytes.subarray(start, start + numLevels);
    const body = bytes.subarray(start + numLevels, at);
    const open = (): OpenPage => openPage(page, body, levels, leaf, codec, size);
    pages.push({ page, bodyStart: start + numLevels, levels, open });
  }
  return pages;
}

interface OpenedPages {
  /** By the buffer and offset of each body that hyparquet will ask for: what is in it. */
  readonly pages: ReadonlyMap<ArrayBufferLike, ReadonlyMap<number, () => Uint8Array>>;
  readonly plainBytes: number;
}

/** Makes ready to open each page. */
function openPages(chunk: Pages): OpenedPages {
  const { bytes } = chunk;
  const pages = new Map<number, () => Uint8Array>();
  let plainBytes = 0;
  for (const { page, bodyStart, open } of pagesOf(chunk)) {
    plainBytes += page.plainBytes;
    if (isAsked(page)) pages.set(bytes.byteOffset + bodyStart, () => open().plain);
    else open();
  }
  return { pages: new Map([[bytes.buffer, pages]]), plainBytes };
}

/** Whether hyparquet asks for a page's decompression, and does not take the body as it is. */
function isAsked({ kind, isCompressed }: Page): boolean {
  return kind !== 'v2' || isCompressed;
}

/** A column and one leaf of it, without its siblings. */
export function onlyLeaf(leaf: Leaf): Node {
  return leaf.nodes.reduceRight<Node | undefined>(
    (child, { element }) => ({ element, children: child === undefined ? [] : [child] }),
    undefined,
  ) as Node;
}
