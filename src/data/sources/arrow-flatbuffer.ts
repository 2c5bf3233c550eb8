/**
 * Verification of the FlatBuffers in which Arrow keeps its metadata. The library that decodes them trusts every
 * offset and count in them, so that one flipped bit can make it allocate until the process dies.
 *
 * Source: https://flatbuffers.dev/internals/ (tables, vtables, vectors); Message.fbs, Schema.fbs and File.fbs in
 * https://github.com/apache/arrow/tree/main/format, whose fields are listed here in their order.
 */

/** A field of a table: a scalar of so many bytes, or an offset to something else. */
type Field =
  | number
  | 'string'
  | { readonly vectorOf: number }
  | { readonly table: Table }
  | { readonly tables: Table }
  /** A table of the type that the field before names, counted from 1. */
  | { readonly union: readonly Table[] };

type Table = readonly Field[];

const keyValue: Table = ['string', 'string'];
const empty: Table = [];
const oneShort: Table = [2];
const oneInt: Table = [4];
const int: Table = [4, 1];

/** Types that the library does not know, by their number. */
const unreadTypes: Readonly<Record<number, string>> = {
  22: 'RunEndEncoded',
  25: 'ListView',
  26: 'LargeListView',
};

const types: readonly Table[] = [
  empty, // Null
  int,
  oneShort, // FloatingPoint
  empty, // Binary
  empty, // Utf8
  empty, // Bool
  [4, 4, 4], // Decimal
  oneShort, // Date
  [2, 4], // Time
  [2, 'string'], // Timestamp
  oneShort, // Interval
  empty, // List
  empty, // Struct
  [2, { vectorOf: 4 }], // Union
  oneInt, // FixedSizeBinary
  oneInt, // FixedSizeList
  [1], // Map
  oneShort, // Duration
  empty, // LargeBinary
  empty, // LargeUtf8
  empty, // LargeList
  empty, // RunEndEncoded
  empty, // BinaryView
  empty, // Utf8View
  empty, // ListView
  empty, // LargeListView
];

const dictionaryEncoding: Table = [8, { table: int }, 1, 2];
const field: Field[] = ['string', 1, 1, { union: types }, { table: dictionaryEncoding }];
field.push({ tables: field }, { tables: keyValue }); // a field's children are fields

const schema: Table = [2, { tables: field }, { tables: keyValue }, { vectorOf: 8 }];
const recordBatch: Table = [8, { vectorOf: 16 }, { vectorOf: 16 }, { table: [1, 1] }, { vectorOf: 8 }];
const dictionaryBatch: Table = [8, { table: recordBatch }, 1];
const message: Table = [2, 1, { union: [schema, dictionaryBatch, recordBatch] }, 8, { tables: keyValue }];
const footer: Table = [2, { table: schema }, { vectorOf: 24 }, { vectorOf: 24 }, { tables: keyValue }];

/** A file that is whole, but holds what capstan does not read. */
export class UnsupportedError extends Error {}

/** Deeper than any schema; the verifier and the library recurse. */
const MAX_DEPTH = 64;

/** Checks the metadata of a message. @throws Error that says what is wrong in it */
export function verifyMessage(bytes: Uint8Array): void {
  new Verifier(bytes).root(message);
}

/** Checks the footer of a file. @throws Error that says what is wrong in it */
export function verifyFooter(bytes: Uint8Array): void {
  new Verifier(bytes).root(footer);
}

/** Follows every offset of a FlatBuffer and holds it and every count against the bytes at hand. */
class Verifier {
  readonly #view: DataView;
  #numTables = 0;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  root(table: Table): void {
    this.#table(this.#follow(0), table, 0);
  }

  #table(at: number, table: Table, depth: number): void {
    // Tables of their own take 8 bytes with their offset; more of them are one that many offsets name.
    this.#numTables++;
    if (depth > MAX_DEPTH || this.#numTables * 8 > this.#view.byteLength)
      throw new Error('tables without end');
    const vtable = at - this.#int32(at);
    const vtableBytes = this.#uint16(vtable);
    const tableBytes = this.#uint16(vtable + 2);
    // Of an odd length the library would read half of the bytes behind it as one more offset.
    if (vtableBytes % 2 !== 0) throw new Error(`a vtable of ${vtableBytes} bytes`);
    this.#check(vtable, vtableBytes);
    this.#check(at, tableBytes);
    const placeOf = (i: number): number | undefined => {
      const slot = 4 + 2 * i;
      const offset = slot + 2 <= vtableBytes ? this.#uint16(vtable + slot) : 0;
      return offset === 0 ? undefined : at + offset;
    };
    for (const [i, kind] of table.entries()) {
      const place = placeOf(i);
      if (place === undefined) continue;
      if (place + (typeof kind === 'number' ? kind : 4) > at + tableBytes) {
        throw new Error(`a field outside its table at byte ${at}`);
      }
      if (typeof kind === 'number') continue;
      const target = this.#follow(place);
      if (kind === 'string') this.#vector(target, 1);
      else if ('vectorOf' in kind) this.#vector(target, kind.vectorOf);
      else if ('table' in kind) this.#table(target, kind.table, depth + 1);
      else if ('tables' in kind) {
        for (const each of this.#vector(target, 4)) this.#table(this.#follow(each), kind.tables, depth + 1);
      } else {
        const tag = placeOf(i - 1);
        const number = tag === undefined ? 0 : this.#view.getUint8(tag);
        const member = kind.union[number - 1];
        if (member === undefined) throw new Error(`an unknown type ${number}`);
        if (kind.union === types && number in unreadTypes) {
          const named = placeOf(0);
          const name = named === undefined ? '' : this.#string(this.#follow(named));
          throw new UnsupportedError(
            `column '${name}' is of type ${unreadTypes[number]}, which is not read. Write it as a plain list or column.`,
          );
        }
        this.#table(target, member, depth + 1);
      }
    }
  }

  /** The places of a vector's elements. */
  #vector(at: number, elementBytes: number): number[] {
    const count = this.#uint32(at);
    this.#check(at + 4, count * elementBytes);
    return elementBytes === 4 ? Array.from({ length: count }, (_, i) => at + 4 + 4 * i) : [];
  }

  #string(at: number): string {
    const length = this.#uint32(at);
    this.#check(at + 4, length);
    return Buffer.from(this.#view.buffer, this.#view.byteOffset + at + 4, length).toString('utf8');
  }

  /** Offsets lead forward only, so that there is no cycle. */
  #follow(at: number): number {
    return at + this.#uint32(at);
  }

  #int32(at: number): number {
    this.#check(at, 4);
    return this.#view.getInt32(at, true);
  }

  #uint32(at: number): number {
    this.#check(at, 4);
    return this.#view.getUint32(at, true);
  }

  #uint16(at: number): number {
    this.#check(at, 2);
    return this.#view.getUint16(at, true);
  }

  #check(at: number, length: number): void {
    if (at >= 0 && at + length <= this.#view.byteLength) return;
    throw new Error(`${length} bytes at byte ${at} of ${this.#view.byteLength}`);
  }
}
