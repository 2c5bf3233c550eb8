/**
 * The values of one column of a record batch, read cell by cell from its buffers.
 *
 * apache-arrow's vectors are not used for it: they lose digits (timestamps become milliseconds, decimals raw words), need
 * whole buffers, and believe every offset. Buffers are checked once here, when the column is opened.
 *
 * Source: https://arrow.apache.org/docs/format/Columnar.html (physical layouts).
 */
import {
  type TimeUnit as ArrowUnit,
  type DataType,
  DateUnit,
  type Decimal,
  type Dictionary,
  type FixedSizeBinary,
  type FixedSizeList,
  type Float,
  type Int,
  type Interval,
  IntervalUnit,
  Precision,
  type Struct,
  type Time,
  type Timestamp,
  Type,
  type Union,
  UnionMode,
} from 'apache-arrow';
import type { Value } from '../schema.js';
import type { Layout, Region } from './arrow-layout.js';
import {
  decimalValue,
  halfFloat,
  isoDate,
  isoTime,
  isoTimestamp,
  mapValue,
  signedInteger,
  structValue,
  type TimeUnit,
} from './value.js';

/** Bytes of a buffer that is too large to be read whole. */
export type ReadRange = (region: Region, start: number, end: number) => Uint8Array;

/** The cells of a column in a batch. */
export interface Cells {
  readonly length: number;
  /** The value in a row; `range` gives bytes out of the buffers that were left in the file. */
  get(row: number, range: ReadRange): Value;
  /** Calls `wanted` with each range of the buffers left in the file that the value in a row lies in. */
  visitRanges(row: number, wanted: (region: Region, start: number, end: number) => void): void;
}

/** What a column's cells are made of. */
export interface CellSource {
  /** A buffer's bytes, aligned to eight; undefined for one that is left in the file. */
  buffer(region: Region): Uint8Array | undefined;
  /** The values of a dictionary. */
  dictionary(id: number): Cells;
}

/** Values that take no bytes in the file, but do in memory. */
const MAX_FREE_VALUES = 2 ** 24;

/** A cell that is not null. */
type Get = (row: number, range: ReadRange) => Value;
type Visit = Cells['visitRanges'];
/** A column without its nulls. */
interface Values {
  readonly get: Get;
  readonly visit?: Visit;
}

/**
 * Opens a column.
 *
 * @throws Error that says what is wrong with its buffers
 */
export function cellsOf(layout: Layout, source: CellSource): Cells {
  const { length, nullCount, type } = layout;
  const bytesOf = (i: number): Uint8Array =>
    source.buffer(layout.buffers[i] as Region) ?? fail('a buffer left in the file that is needed whole');
  const allNull = { length, get: () => null, visitRanges: () => undefined };
  if (type.typeId === Type.Null) {
    if (length > MAX_FREE_VALUES) fail(`${length} values of type null`);
    return allNull;
  }
  // In unions of version 4 too there are nulls only in the children.
  const nulls = nullCount > 0 && type.typeId !== Type.Union ? bytesOf(0) : undefined;
  if (nulls !== undefined && nulls.length * 8 < length)
    fail(`a bitmap of nulls too short for ${length} values`);
  if (length > 0 && nullCount === length && nulls !== undefined) return allNull;
  const { get, visit } = length === 0 ? { get: () => null } : valuesOf(layout, source, bytesOf);
  if (nulls === undefined) return { length, get, visitRanges: visit ?? (() => undefined) };
  const isValid = (row: number): boolean => (((nulls[row >> 3] as number) >> (row & 7)) & 1) === 1;
  return {
    length,
    get: (row, range) => (isValid(row) ? get(row, range) : null),
    visitRanges: (row, wanted) => {
      if (visit !== undefined && isValid(row)) visit(row, wanted);
    },
  };
}

function valuesOf(layout: Layout, source: CellSource, bytesOf: (i: number) => Uint8Array): Values {
  const { type, length } = layout;
  const child = (i: number): Cells => cellsOf(layout.children[i] as Layout, source);
  switch (type.typeId) {
    case Type.Utf8:
    case Type.LargeUtf8:
    case Type.Binary:
    case Type.LargeBinary:
      return variable(layout, source, bytesOf);
    case Type.Utf8View:
    case Type.BinaryView:
      return views(layout, bytesOf);
    case Type.List:
    case Type.LargeList:
      return list(offsetsOf(layout, bytesOf(1), (layout.children[0] as Layout).length), child(0));
    case Type.FixedSizeList: {
      const { listSize } = type as FixedSizeList;
      const items = child(0);
      if (listSize < 0 || items.length < length * listSize)
        fail(`${items.length} values in lists of ${listSize}`);
      return list({ at: (row) => row * listSize }, items);
    }
    case Type.Map:
      return map(layout, source, bytesOf);
    case Type.Struct:
      return struct(type as Struct, layout, source);
    case Type.Union:
      return union(type as Union, layout, source, bytesOf);
    case Type.Dictionary: {
      const { id, indices } = type as Dictionary;
      const words = source.dictionary(id);
      const index = numbers(indices as DataType, length, bytesOf(1));
      return {
        get: (row, range) => {
          const at = Number(index(row));
          if (!(at >= 0 && at < words.length)) fail(`word ${at} of a dictionary of ${words.length}`);
          return words.get(at, range);
        },
      };
    }
    default:
      return { get: numbers(type, length, bytesOf(1)) };
  }
}

/** The values of types of a fixed width. */
function numbers(type: DataType, length: number, bytes: Uint8Array): (row: number) => Value {
  const of = <T>(
    make: new (buffer: ArrayBufferLike, offset: number, length: number) => T,
    width: number,
    each = 1,
  ): T => {
    if (bytes.length < length * each * width)
      fail(`${bytes.length} bytes where ${length} values need ${length * each * width}`);
    return new make(bytes.buffer, bytes.byteOffset, length * each);
  };
  const plain =
    <T extends number | bigint>(values: { readonly [row: number]: T }) =>
    (row: number): T =>
      values[row] as T;
  const integers = (width: number, isSigned = true): ((row: number) => number | bigint) => {
    if (width === 8) return plain(isSigned ? of(Int8Array, 1) : of(Uint8Array, 1));
    if (width === 16) return plain(isSigned ? of(Int16Array, 2) : of(Uint16Array, 2));
    if (width === 32) return plain(isSigned ? of(Int32Array, 4) : of(Uint32Array, 4));
    if (width === 64) return plain(isSigned ? of(BigInt64Array, 8) : of(BigUint64Array, 8));
    return fail(`whole numbers of ${width} bits`);
  };
  switch (type.typeId) {
    case Type.Bool:
      if (bytes.length * 8 < length) fail(`${bytes.length} bytes of ${length} truth values`);
      return (row) => (((bytes[row >> 3] as number) >> (row & 7)) & 1) === 1;
    case Type.Int:
      return integers((type as Int).bitWidth, (type as Int).isSigned);
    case Type.Float: {
      const { precision } = type as Float;
      if (precision === Precision.SINGLE) return plain(of(Float32Array, 4));
      if (precision === Precision.DOUBLE) return plain(of(Float64Array, 8));
      const bits = of(Uint16Array, 2);
      return (row) => halfFloat(bits[row] as number);
    }
    case Type.Decimal: {
      const { precision, scale, bitWidth } = type as Decimal;
      const width = bitWidth / 8;
      if (![4, 8, 16, 32].includes(width) || Math.abs(scale) > 76)
        fail(`decimals of ${bitWidth} bits and scale ${scale}`);
      of(Uint8Array, width);
      return (row) =>
        decimalValue(signedInteger(bytes.subarray(row * width, (row + 1) * width)), precision, scale);
    }
    case Type.FixedSizeBinary: {
      const { byteWidth } = type as FixedSizeBinary;
      if (byteWidth < 0) fail(`values of ${byteWidth} bytes`);
      of(Uint8Array, byteWidth);
      return (row) => bytes.slice(row * byteWidth, (row + 1) * byteWidth);
    }
    case Type.Date: {
      if ((type as DataType & { unit: DateUnit }).unit === DateUnit.DAY) {
        const days = of(Int32Array, 4);
        return (row) => isoDate(days[row] as number);
      }
      const ms = of(BigInt64Array, 8);
      return (row) => isoDate(Math.floor(Number(ms[row]) / 86_400_000));
    }
    case Type.Time: {
      const { unit, bitWidth } = type as Time;
      const ticks = integers(bitWidth);
      return (row) => isoTime(BigInt(ticks(row)), unitOf(unit));
    }
    case Type.Timestamp: {
      const { unit, timezone } = type as Timestamp;
      const ticks = of(BigInt64Array, 8);
      const isUtc = timezone !== null && timezone !== undefined && timezone !== '';
      return (row) => isoTimestamp(ticks[row] as bigint, unitOf(unit), isUtc);
    }
    case Type.Duration:
      return integers(64);
    case Type.Interval: {
      const { unit } = type as Interval;
      if (unit === IntervalUnit.YEAR_MONTH) {
        const months = of(Int32Array, 4);
        return (row) => ({ months: months[row] as number });
      }
      if (unit === IntervalUnit.DAY_TIME) {
        const parts = of(Int32Array, 4, 2);
        return (row) => ({ days: parts[2 * row] as number, milliseconds: parts[2 * row + 1] as number });
      }
      const parts = of(Int32Array, 4, 4);
      const nanos = of(BigInt64Array, 8, 2);
      return (row) => ({
        months: parts[4 * row] as number,
        days: parts[4 * row + 1] as number,
        nanoseconds: nanos[2 * row + 1] as bigint,
      });
    }
    default:
      return fail(`the type ${type}`);
  }
}

function unitOf(unit: ArrowUnit): TimeUnit {
  return (['s', 'ms', 'us', 'ns'] as const)[unit] ?? fail(`the unit of time ${unit}`);
}

interface Offsets {
  /** Where the value of a row begins; that of the row behind is where it ends. */
  at(row: number): number;
}

/** Offsets, of which each is at least the one before and none beyond `end`. */
function offsetsOf({ type, length }: Layout, bytes: Uint8Array, end: number): Offsets {
  const isLarge = [Type.LargeUtf8, Type.LargeBinary, Type.LargeList].includes(type.typeId);
  const width = isLarge ? 8 : 4;
  if (bytes.length < (length + 1) * width) fail(`${bytes.length} bytes of offsets of ${length} values`);
  const small = isLarge
    ? new Float64Array(length + 1)
    : new Int32Array(bytes.buffer, bytes.byteOffset, length + 1);
  if (isLarge) {
    const large = new BigInt64Array(bytes.buffer, bytes.byteOffset, length + 1);
    for (let i = 0; i <= length; i++) small[i] = Number(large[i]);
  }
  let last = 0;
  for (let i = 0; i <= length; i++) {
    const offset = small[i] as number;
    if (!(offset >= last)) fail(`an offset of ${offset} after one of ${last}`);
    last = offset;
  }
  if (last > end) fail(`an offset of ${last} among ${end}`);
  return { at: (row) => small[row] as number };
}

/** Text and bytes. */
function variable(layout: Layout, source: CellSource, bytesOf: (i: number) => Uint8Array): Values {
  const region = layout.buffers[2] as Region;
  const bytes = source.buffer(region);
  const offsets = offsetsOf(layout, bytesOf(1), bytes?.length ?? region.length);
  const isText = layout.type.typeId === Type.Utf8 || layout.type.typeId === Type.LargeUtf8;
  if (bytes !== undefined) {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    return {
      get: isText
        ? (row) => buffer.toString('utf8', offsets.at(row), offsets.at(row + 1))
        : (row) => bytes.slice(offsets.at(row), offsets.at(row + 1)),
    };
  }
  return {
    get: (row, range) => {
      const value = range(region, offsets.at(row), offsets.at(row + 1));
      return isText ? Buffer.from(value.buffer, value.byteOffset, value.length).toString('utf8') : value;
    },
    visit: (row, wanted) => wanted(region, offsets.at(row), offsets.at(row + 1)),
  };
}

/** Text and bytes kept apart from the descriptions of where they are; short ones within these. */
function views(layout: Layout, bytesOf: (i: number) => Uint8Array): Values {
  const bytes = bytesOf(1);
  if (bytes.length < layout.length * 16) fail(`${bytes.length} bytes of ${layout.length} views`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const data = layout.buffers.slice(2).map((_, i) => bytesOf(2 + i));
  const slice = (row: number): Uint8Array => {
    const at = row * 16;
    const size = view.getInt32(at, true);
    if (size >= 0 && size <= 12) return bytes.slice(at + 4, at + 4 + size);
    const held = data[view.getInt32(at + 8, true)];
    const start = view.getInt32(at + 12, true);
    if (held === undefined || start < 0 || size < 0 || start + size > held.length)
      fail(`a view of ${size} bytes`);
    return held.slice(start, start + size);
  };
  if (layout.type.typeId === Type.BinaryView) return { get: slice };
  return { get: (row) => Buffer.from(slice(row).buffer).toString('utf8') };
}

function list(offsets: Offsets, items: Cells): Values {
  return {
    get: (row, range) => {
      const values: Value[] = [];
      const end = offsets.at(row + 1);
      for (let i = offsets.at(row); i < end; i++) values.push(items.get(i, range));
      return values;
    },
    visit: (row, wanted) => {
      const end = offsets.at(row + 1);
      for (let i = offsets.at(row); i < end; i++) items.visitRanges(i, wanted);
    },
  };
}

/** A list of structs of key and value. */
function map(layout: Layout, source: CellSource, bytesOf: (i: number) => Uint8Array): Values {
  const entries = layout.children[0] as Layout;
  const [keys, values] = entries.children.map((child) => cellsOf(child, source));
  if (keys === undefined || values === undefined) return fail('a map without keys and values');
  const offsets = offsetsOf(layout, bytesOf(1), Math.min(keys.length, values.length));
  const both = list(offsets, {
    length: keys.length,
    get: (i, range) => [keys.get(i, range), values.get(i, range)],
    visitRanges: (i, wanted) => {
      keys.visitRanges(i, wanted);
      values.visitRanges(i, wanted);
    },
  });
  return { ...both, get: (row, range) => mapValue(both.get(row, range) as [Value, Value][]) };
}

function struct(type: Struct, layout: Layout, source: CellSource): Values {
  const names = type.children.map(({ name }) => name);
  const fields = layout.children.map((child) => cellsOf(child, source));
  const short = fields.find(({ length }) => length < layout.length);
  if (short !== undefined) fail(`a field of ${short.length} values in ${layout.length} structs`);
  return {
    get: (row, range) =>
      structValue(
        names,
        fields.map((field) => field.get(row, range)),
      ),
    visit: (row, wanted) => {
      for (const field of fields) field.visitRanges(row, wanted);
    },
  };
}

function union(type: Union, layout: Layout, source: CellSource, bytesOf: (i: number) => Uint8Array): Values {
  const first = layout.buffers.length - (type.mode === UnionMode.Dense ? 2 : 1);
  const tags = bytesOf(first);
  if (tags.length < layout.length) fail(`${tags.length} tags of ${layout.length} values`);
  const fields = layout.children.map((child) => cellsOf(child, source));
  let places: Int32Array | undefined;
  if (type.mode === UnionMode.Dense) {
    const bytes = bytesOf(first + 1);
    if (bytes.length < layout.length * 4) fail(`${bytes.length} bytes of places of ${layout.length} values`);
    places = new Int32Array(bytes.buffer, bytes.byteOffset, layout.length);
  }
  const cell = (row: number): [Cells, number] => {
    const field = fields[type.typeIdToChildIndex[tags[row] as number] ?? -1];
    const at = places?.[row] ?? row;
    if (field === undefined || !(at >= 0 && at < field.length)) fail(`a value of kind ${tags[row]} at ${at}`);
    return [field, at];
  };
  return {
    get: (row, range) => {
      const [field, at] = cell(row);
      return field.get(at, range);
    },
    visit: (row, wanted) => {
      const [field, at] = cell(row);
      field.visitRanges(at, wanted);
    },
  };
}

function fail(text: string): never {
  throw new Error(text);
}
