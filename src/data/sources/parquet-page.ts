/**
 * Parquet pages: their headers, and whether what they hold is what the headers say. hyparquet, which decodes them, fills
 * arrays as long as any run or length in them claims; a page that got past here cannot make it do so.
 *
 * Source: https://github.com/apache/parquet-format/blob/master/Encodings.md and README.md ("Data Pages").
 */
import type { CompressionCodec } from 'hyparquet';
import { type Decompress, gunzip, unbrotli, unlz4Block, unlz4Hadoop, unsnappy, unzstd } from './codecs.js';
import { bitWidth, readHybrid } from './parquet-hybrid.js';
import type { Leaf } from './parquet-schema.js';
import { numberIn, readThrift, structIn } from './parquet-thrift.js';

/** Larger pages are refused: writers aim at one megabyte, and hold a single value at least. */
export const MAX_PAGE_BYTES = 512 * 1024 * 1024;
/** Values of a page, whose nulls take next to no bytes. */
const MAX_PAGE_VALUES = 2 ** 24;

const codecs: { readonly [codec in CompressionCodec]?: Decompress } = {
  UNCOMPRESSED: (input, length) => {
    if (input.length !== length) fail(`${input.length} bytes; expected ${length}`);
    return input;
  },
  SNAPPY: unsnappy,
  GZIP: gunzip,
  BROTLI: unbrotli,
  ZSTD: unzstd,
  LZ4: unlz4Hadoop,
  LZ4_RAW: unlz4Block,
};

const encodings: Readonly<Record<number, string>> = {
  0: 'PLAIN',
  2: 'DICTIONARY',
  3: 'RLE',
  5: 'DELTA_BINARY_PACKED',
  6: 'DELTA_LENGTH_BYTE_ARRAY',
  7: 'DELTA_BYTE_ARRAY',
  8: 'DICTIONARY',
  9: 'BYTE_STREAM_SPLIT',
};

/** A page as its header has it. */
export interface Page {
  readonly kind: 'v1' | 'v2' | 'dictionary' | 'other';
  /** Bytes of the header. */
  readonly headBytes: number;
  /** Bytes of the page behind its header. */
  readonly bodyBytes: number;
  /** Bytes once decompressed, levels included. */
  readonly plainBytes: number;
  readonly numValues: number;
  readonly encoding: string;
  /** Of the second version: nulls, rows, and bytes of the levels, which are not compressed. */
  readonly numNulls: number;
  readonly numRows: number;
  readonly definitionBytes: number;
  readonly repetitionBytes: number;
  readonly isCompressed: boolean;
}

/** A page's content, held against its header. */
export interface OpenPage {
  /** Once decompressed; of the second version without the levels. */
  readonly plain: Uint8Array;
  /** Where in it the values begin. */
  readonly start: number;
  /** Values that are not null. */
  readonly numPresent: number;
}

/** Reads the header of a page. @throws Error that says what is wrong */
export function readPage(bytes: Uint8Array, at: number): Page {
  const { struct, end } = readThrift(bytes, at);
  const plainBytes = numberIn(struct, 2, 'size of a page');
  const bodyBytes = numberIn(struct, 3, 'compressed size of a page');
  if (!(plainBytes >= 0 && plainBytes <= MAX_PAGE_BYTES && bodyBytes >= 0 && bodyBytes <= MAX_PAGE_BYTES)) {
    fail(`a page that claims ${plainBytes} bytes in ${bodyBytes}; at most ${MAX_PAGE_BYTES} are read`);
  }
  const kind =
    (['v1', 'other', 'dictionary', 'v2'] as const)[numberIn(struct, 1, 'type of a page')] ?? 'other';
  const own = structIn(struct, { v1: 5, other: 6, dictionary: 7, v2: 8 }[kind]);
  const field = (id: number, name: string): number => {
    const value = own === undefined || kind === 'other' ? 0 : numberIn(own, id, name);
    if (!(value >= 0 && value <= MAX_PAGE_VALUES) && !name.startsWith('bytes'))
      fail(`${value} as ${name} of a page`);
    return value;
  };
  if (own === undefined && kind !== 'other') fail(`no header of a page of kind ${kind}`);
  const isV2 = kind === 'v2';
  const page: Page = {
    kind,
    headBytes: end - at,
    bodyBytes,
    plainBytes,
    numValues: field(1, 'number of values'),
    encoding: encodings[field(isV2 ? 4 : 2, 'encoding')] ?? 'unknown',
    numNulls: isV2 ? field(2, 'number of nulls') : 0,
    numRows: isV2 ? field(3, 'number of rows') : 0,
    definitionBytes: isV2 ? field(5, 'bytes of definition levels') : 0,
    repetitionBytes: isV2 ? field(6, 'bytes of repetition levels') : 0,
    isCompressed: own?.get(7) !== false,
  };
  const levels = page.definitionBytes + page.repetitionBytes;
  if (page.definitionBytes < 0 || page.repetitionBytes < 0 || levels > Math.min(bodyBytes, plainBytes)) {
    fail(`${levels} bytes of levels in a page of ${bodyBytes}`);
  }
  return page;
}

/**
 * Decompresses a page's body and holds its content against its header.
 *
 * @param body the page behind its header; of the second version, behind the levels too, which `levels` are. Numbers in
 *   it may be written anew, as hyparquet reads them rightly.
 * @param dictionarySize values of the dictionary page before; undefined if there was none.
 * @throws Error that says what is wrong
 */
export function openPage(
  page: Page,
  body: Uint8Array,
  levels: Uint8Array,
  leaf: Leaf,
  codec: CompressionCodec,
  dictionarySize: number | undefined,
): OpenPage {
  // hyparquet names no codec of a number it does not know, whatever its type says.
  const decode =
    codecs[codec] ??
    fail(`${codec === undefined ? 'an unknown codec' : `the codec ${codec}`}, which is not read`);
  const plainBytes = page.plainBytes - levels.length;
  const isPlain = page.kind === 'v2' && !page.isCompressed;
  // Some writers leave a body of no bytes uncompressed.
  const plain = isPlain || (plainBytes === 0 && body.length === 0) ? body : decode(body, plainBytes);
  const element = leaf.nodes.at(-1)?.element as Leaf['nodes'][number]['element'];
  if (page.kind === 'dictionary') {
    checkPlain(plain, 0, page.numValues, element.type, element.type_length);
    return { plain, start: 0, numPresent: page.numValues };
  }
  const [start, numPresent] =
    page.kind === 'v2' ? [0, presentV2(page, levels, leaf)] : presentV1(page, plain, leaf);
  checkValues(page, plain, start, numPresent, element, dictionarySize);
  return { plain, start, numPresent };
}

/** Checks the levels of the first version; gives where the values begin and how many there are. */
function presentV1(page: Page, plain: Uint8Array, leaf: Leaf): [start: number, numPresent: number] {
  let at = 0;
  const level = (max: number): number => {
    if (max === 0) return page.numValues;
    const length = uint32(plain, at);
    const end = at + 4 + length;
    if (end > plain.length) fail(`${length} bytes of levels at byte ${at} of ${plain.length}`);
    const count = readHybrid(plain.subarray(at + 4, end), bitWidth(max), page.numValues, max);
    at = end;
    return count;
  };
  level(leaf.maxRepetition);
  const numPresent = level(leaf.maxDefinition);
  return [at, numPresent];
}

function presentV2(page: Page, levels: Uint8Array, leaf: Leaf): number {
  const { repetitionBytes, numValues, numNulls } = page;
  const { maxRepetition, maxDefinition } = leaf;
  if (maxRepetition > 0) {
    readHybrid(levels.subarray(0, repetitionBytes), bitWidth(maxRepetition), numValues, maxRepetition);
  }
  if (maxDefinition === 0) {
    if (numNulls !== 0) fail(`${numNulls} nulls in a column that has none`);
    return numValues;
  }
  const count = readHybrid(
    levels.subarray(repetitionBytes),
    bitWidth(maxDefinition),
    numValues,
    maxDefinition,
  );
  if (count !== numValues - numNulls)
    fail(`${numNulls} nulls of ${numValues} values; found ${numValues - count}`);
  return count;
}

function checkValues(
  page: Page,
  plain: Uint8Array,
  start: number,
  count: number,
  { type, type_length: width }: { readonly type?: string; readonly type_length?: number },
  dictionarySize: number | undefined,
): void {
  switch (page.encoding) {
    case 'PLAIN':
      checkPlain(plain, start, count, type, width);
      return;
    case 'BYTE_STREAM_SPLIT':
      checkFixed(plain.length - start, count, widthOf(type, width));
      return;
    case 'DICTIONARY': {
      if (count === 0) return;
      if (dictionarySize === undefined) fail('values of a dictionary that is not there');
      const width = plain[start] ?? fail('no width of the values');
      if (width > 32) fail(`values of ${width} bits`);
      if (width === 0 && dictionarySize > 0) return;
      readHybrid(plain.subarray(start + 1), width, count, dictionarySize - 1);
      return;
    }
    case 'RLE': {
      if (type !== 'BOOLEAN') fail(`runs of ${type}`);
      if (count === 0) return;
      const length = uint32(plain, start);
      readHybrid(plain.subarray(start + 4, start + 4 + length), 1, count, 1);
      return;
    }
    case 'DELTA_BINARY_PACKED':
      if (type !== 'INT32' && type !== 'INT64') fail(`differences of ${type}`);
      readDeltas(plain, start, count, type === 'INT32');
      return;
    case 'DELTA_LENGTH_BYTE_ARRAY': {
      const lengths = readDeltas(plain, start, count);
      checkLengths(lengths.values, plain.length - lengths.end);
      return;
    }
    case 'DELTA_BYTE_ARRAY': {
      const prefixes = readDeltas(plain, start, count);
      const suffixes = readDeltas(plain, prefixes.end, count);
      checkLengths(suffixes.values, plain.length - suffixes.end);
      checkPrefixes(prefixes.values, suffixes.values);
      return;
    }
    default:
      fail(`the encoding ${page.encoding}`);
  }
}

function checkPlain(
  plain: Uint8Array,
  start: number,
  count: number,
  type: string | undefined,
  width?: number,
): void {
  if (type !== 'BYTE_ARRAY') {
    const isBits = type === 'BOOLEAN';
    checkFixed(
      plain.length - start,
      isBits ? Math.ceil(count / 8) : count,
      isBits ? 1 : widthOf(type, width),
    );
    return;
  }
  const view = new DataView(plain.buffer, plain.byteOffset, plain.byteLength);
  let at = start;
  for (let i = 0; i < count; i++) {
    if (at + 4 > plain.length) fail(`value ${i} of ${count} at byte ${at} of ${plain.length}`);
    at += 4 + view.getUint32(at, true);
  }
  if (at > plain.length) fail(`values to byte ${at} of ${plain.length}`);
}

function checkFixed(held: number, count: number, width: number): void {
  if (count * width > held) fail(`${held} bytes where ${count} values need ${count * width}`);
}

function widthOf(type: string | undefined, length = 0): number {
  switch (type) {
    case 'INT32':
    case 'FLOAT':
      return 4;
    case 'INT64':
    case 'DOUBLE':
      return 8;
    case 'INT96':
      return 12;
    case 'FIXED_LEN_BYTE_ARRAY':
      if (length <= 0) fail(`values of ${length} bytes`);
      return length;
    default:
      return fail(`values of type ${type}`);
  }
}

function checkLengths(lengths: Int32Array, held: number): void {
  let sum = 0;
  for (const length of lengths) {
    if (length < 0) fail(`a value of ${length} bytes`);
    sum += length;
  }
  if (sum > held) fail(`values of ${sum} bytes in ${held}`);
}

/** Each value begins with so many bytes of the one before. */
function checkPrefixes(prefixes: Int32Array, suffixes: Int32Array): void {
  let last = 0;
  let sum = 0;
  for (const [i, prefix] of prefixes.entries()) {
    if (!(prefix >= 0 && prefix <= last)) fail(`${prefix} bytes of a value of ${last}`);
    last = prefix + (suffixes[i] as number);
    sum += last;
  }
  if (sum > MAX_PAGE_BYTES) fail(`values of ${sum} bytes in a page; at most ${MAX_PAGE_BYTES} are read`);
}

/**
 * Decodes whole numbers kept as differences, in blocks of miniblocks of a width of their own, modulo 2^32: as the stored
 * type INT32 and lengths have them. Of INT64 only the place counts, as hyparquet decodes those.
 *
 * @param isNarrow whether hyparquet decodes these as INT32: numbers of which it would take too few bits are written anew
 */
function readDeltas(
  bytes: Uint8Array,
  start: number,
  count: number,
  isNarrow = true,
): { values: Int32Array; end: number } {
  let at = start;
  const varint = (): number => {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      const byte = bytes[at++] ?? fail('an unfinished number');
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 128) return value;
    }
    return fail('a number without end');
  };
  const signed = (): number => {
    const from = at;
    const value = varint();
    if (value < 2 ** 32) return (value >>> 1) ^ -(value & 1);
    // Such as DuckDB writes, which reckons in 64 bits. As many as this are not exact in `value`.
    const folded = signed32(bytes, from);
    if (isNarrow) writeSigned32(bytes, from, at, folded);
    return folded;
  };
  const blockSize = varint();
  const numMini = varint();
  const perMini = blockSize / numMini;
  const total = varint();
  if (!(blockSize > 0 && blockSize <= 2 ** 20 && numMini > 0 && perMini % 8 === 0)) {
    fail(`blocks of ${blockSize} differences in ${numMini} parts`);
  }
  if (total !== count) fail(`${total} differences; expected ${count}`);
  const values = new Int32Array(count);
  let value = signed();
  let filled = 0;
  if (count > 0) values[filled++] = value;
  while (filled < count) {
    const least = signed();
    const widths = bytes.subarray(at, at + numMini);
    at += numMini;
    if (at > bytes.length) fail('an unfinished block');
    for (const width of widths) {
      if (filled >= count) break;
      if (width > 64) fail(`differences of ${width} bits`);
      const end = at + (perMini * width) / 8;
      if (end > bytes.length) fail(`differences to byte ${end} of ${bytes.length}`);
      const kept = Math.min(width, 32);
      for (let i = 0; i < perMini && filled < count; i++) {
        value = (value + least + bitsAt(bytes, at, i * width, kept)) | 0;
        values[filled++] = value;
      }
      at = end;
    }
  }
  return { values, end: at };
}

/** Modulo 2^32, a number of more than four bytes with its sign in the lowest bit, of which bit 32 is the last to count. */
function signed32(bytes: Uint8Array, at: number): number {
  const byte = (i: number): number => (bytes[at + i] as number) & 0x7f;
  const low = byte(0) | (byte(1) << 7) | (byte(2) << 14) | (byte(3) << 21) | (byte(4) << 28);
  return ((low >>> 1) | ((byte(4) >>> 4) << 31)) ^ -(low & 1);
}

/**
 * Writes such a number in 32 bits, in as many bytes as it has, more than four. hyparquet keeps the low 32 bits of what is
 * written, so of a first value that has more, the highest bit would be lost.
 */
function writeSigned32(bytes: Uint8Array, start: number, end: number, value: number): void {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0;
  for (let at = start; at < end; at++, rest >>>= 7) {
    bytes[at] = (rest & 0x7f) | (at + 1 < end ? 0x80 : 0);
  }
}

function bitsAt(bytes: Uint8Array, start: number, firstBit: number, width: number): number {
  let value = 0;
  for (let bit = 0; bit < width; ) {
    const at = firstBit + bit;
    const take = Math.min(8 - (at & 7), width - bit);
    value += (((bytes[start + (at >> 3)] as number) >> (at & 7)) & ((1 << take) - 1)) * 2 ** bit;
    bit += take;
  }
  return value;
}

/** Four bytes as a number. @throws Error if they are not there */
export function uint32(bytes: Uint8Array, at: number): number {
  if (at + 4 > bytes.length) fail(`a length at byte ${at} of ${bytes.length}`);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at, true);
}

function fail(text: string): never {
  throw new Error(text);
}
