/**
 * Bytes and text of a Parquet column without lists, found in their pages when they are asked for: to make a value of
 * each row of the pages, as hyparquet does, takes longer than all else where few rows are wanted.
 */
import { type Pages, type PlacedPage, pagesOf } from './parquet-chunk.js';
import { bitWidth, readHybrid } from './parquet-hybrid.js';
import { uint32 } from './parquet-page.js';
import { isText, type Leaf } from './parquet-schema.js';

/** Stored values, by row. */
export interface Values {
  get(row: number): unknown;
}

/** Where the values of a page or a dictionary lie. */
interface Places {
  readonly bytes: Buffer;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

interface FlatPage extends Places {
  readonly firstRow: number;
  /** By row, if there are nulls: the definition level. */
  readonly levels: Uint8Array | undefined;
}

/** Values that stay in the memory of their pages. */
export class FlatValues implements Values {
  readonly #isText: boolean;

  private constructor(
    private readonly leaf: Leaf,
    private readonly pages: readonly FlatPage[],
  ) {
    this.#isText = isText((leaf.nodes.at(-1) as Leaf['nodes'][number]).element);
  }

  /**
   * Opens pages that hold so many rows.
   *
   * @returns undefined for what is left to hyparquet: other types and encodings
   * @throws Error that says what is wrong
   */
  static open(chunk: Pages, numRows: number): FlatValues | undefined {
    const { leaf } = chunk;
    if (leaf.nodes.at(-1)?.element.type !== 'BYTE_ARRAY') return undefined;
    const placed = pagesOf(chunk);
    const isKnown = ({ page: { encoding } }: PlacedPage): boolean =>
      encoding === 'PLAIN' || encoding === 'DICTIONARY';
    if (!placed.every(isKnown)) return undefined;
    const pages: FlatPage[] = [];
    let dictionary: Places | undefined;
    let firstRow = 0;
    for (const each of placed) {
      const { page } = each;
      if (page.kind === 'dictionary') {
        dictionary = plainPlaces(each.open().plain, 0, page.numValues);
        continue;
      }
      const endRow = firstRow + page.numValues;
      if (endRow > numRows) throw new Error(`${endRow} values of ${numRows} rows`); // before there is room for them
      pages.push({ firstRow, ...openFlat(each, leaf, dictionary) });
      firstRow = endRow;
    }
    if (firstRow !== numRows) throw new Error(`${firstRow} values of ${numRows} rows`);
    return new FlatValues(leaf, pages);
  }

  /** Whether values lie in that memory. */
  liesIn(buffer: ArrayBufferLike): boolean {
    return this.pages.some(({ bytes }) => bytes.buffer === buffer);
  }

  /** The memory that the values lie in, where nothing else does. */
  get memory(): Uint8Array<ArrayBuffer>[] {
    const buffers = new Set(
      this.pages.filter(({ bytes }) => isWhole(bytes)).map(({ bytes }) => bytes.buffer),
    );
    return Array.from(buffers, (buffer) => new Uint8Array(buffer as ArrayBuffer));
  }

  get(row: number): unknown {
    let [low, high] = [0, this.pages.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.pages[middle] as FlatPage).firstRow <= row) low = middle;
      else high = middle - 1;
    }
    const { firstRow, levels, bytes, starts, ends } = this.pages[low] as FlatPage;
    const place = row - firstRow;
    const { maxDefinition } = this.leaf;
    const level = levels?.[place] ?? maxDefinition;
    if (level < maxDefinition) return this.#nested(null, level);
    const [start, end] = [starts[place] as number, ends[place] as number];
    const value = this.#isText
      ? bytes.toString('utf8', start, end) // not TextDecoder, which takes a byte order mark away
      : new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start);
    return this.#nested(value, level);
  }

  /** The value in the structs above it, the outermost of which may be the null. */
  #nested(value: unknown, level: number): unknown {
    const { nodes } = this.leaf;
    if (nodes.length === 1) return value;
    let depth = nodes.length - 1;
    if (value === null) {
      let defined = 0;
      depth = nodes.findIndex(({ element }) => element.repetition_type !== 'REQUIRED' && ++defined > level);
    }
    let nested = value;
    for (; depth > 0; depth--) nested = { [nodes[depth]?.element.name as string]: nested };
    return nested;
  }
}

/** Not in a pool, which Node's small buffers share. */
function isWhole({ length, buffer }: Uint8Array): boolean {
  return length > 0 && length === buffer.byteLength;
}

/** Finds the values of a page's rows. */
function openFlat(
  { page, levels: before, open }: PlacedPage,
  { maxDefinition }: Leaf,
  dictionary: Places | undefined,
): Omit<FlatPage, 'firstRow'> {
  const { plain, start, numPresent } = open();
  const { numValues } = page;
  const found =
    page.encoding === 'PLAIN'
      ? plainPlaces(plain, start, numPresent)
      : placesIn(dictionary, plain, start, numPresent);
  if (numPresent === numValues) return { ...found, levels: undefined };
  const levels = new Uint8Array(numValues);
  // The first version has their length before them, the second the repetition levels, of which there are none.
  const runs =
    page.kind === 'v2' ? before.subarray(page.repetitionBytes) : plain.subarray(4, 4 + uint32(plain, 0));
  readHybrid(runs, bitWidth(maxDefinition), numValues, maxDefinition, levels);
  if (numPresent === 0) return { ...found, levels };
  const [starts, ends] = [new Uint32Array(numValues), new Uint32Array(numValues)];
  for (let i = 0, next = 0; i < numValues; i++) {
    if (levels[i] !== maxDefinition) continue;
    starts[i] = found.starts[next] as number;
    ends[i] = found.ends[next++] as number;
  }
  return { bytes: found.bytes, starts, ends, levels };
}

/** Values with their lengths before them; they were checked. */
function plainPlaces(plain: Uint8Array, start: number, count: number): Places {
  const bytes = Buffer.from(plain.buffer, plain.byteOffset, plain.length);
  const [starts, ends] = [new Uint32Array(count), new Uint32Array(count)];
  const view = new DataView(plain.buffer, plain.byteOffset, plain.length);
  let at = start;
  for (let i = 0; i < count; i++) {
    starts[i] = at + 4;
    at += 4 + view.getUint32(at, true);
    ends[i] = at;
  }
  return { bytes, starts, ends };
}

function placesIn(dictionary: Places | undefined, plain: Uint8Array, start: number, count: number): Places {
  const [starts, ends] = [new Uint32Array(count), new Uint32Array(count)];
  if (count === 0) return { bytes: Buffer.alloc(0), starts, ends };
  if (dictionary === undefined) throw new Error('values of a dictionary that is not there');
  const places = new Uint32Array(count);
  const width = plain[start] as number;
  if (width > 0) readHybrid(plain.subarray(start + 1), width, count, dictionary.starts.length - 1, places);
  for (let i = 0; i < count; i++) {
    starts[i] = dictionary.starts[places[i] as number] as number;
    ends[i] = dictionary.ends[places[i] as number] as number;
  }
  return { bytes: dictionary.bytes, starts, ends };
}
