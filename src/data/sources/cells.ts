/** What the writers of both formats share: cells held against their column's type, and what a type is to Hugging Face. */
import type { Column, ColumnType, Row, Value } from '../schema.js';

/** Makes the bytes of a file, in order. */
export interface Encoder {
  /** The bytes of a group of rows, and of what comes before it. */
  group(rows: readonly Row[]): Uint8Array[];
  /** The bytes of the end. */
  end(): Uint8Array[];
}

/** What is wrong with a cell, naming the column; undefined if nothing is. */
export function checkCell(value: Value, type: ColumnType, name: string): string | undefined {
  if (value === null || value === undefined) return undefined;
  const expect = (isRight: boolean, expected: string): string | undefined =>
    isRight ? undefined : `column '${name}' expected ${expected}, found ${kindOf(value)}`;
  if (typeof type === 'object' && 'struct' in type) {
    if (kindOf(value) !== 'a struct') return expect(false, 'a struct');
    const struct = value as { readonly [name: string]: Value };
    return firstOf(type.struct, (field) =>
      checkCell(struct[field.name] ?? null, field.type, `${name}.${field.name}`),
    );
  }
  if (type === 'list<string>' || typeof type === 'object') {
    const item = itemType(type);
    return Array.isArray(value)
      ? firstOf(value, (each, i) => checkCell(each, item, `${name}[${i}]`))
      : expect(false, 'a list');
  }
  switch (type) {
    case 'string':
      return expect(typeof value === 'string', 'text');
    case 'binary':
      return expect(value instanceof Uint8Array, 'bytes');
    case 'image':
      return expect(value instanceof Uint8Array || typeof value === 'string', 'bytes or a path');
    case 'int64':
      return expect(isInt64(value), 'a whole number of 64 bits');
    case 'float64':
      return expect(typeof value === 'number', 'a number');
    case 'bool':
      return expect(typeof value === 'boolean', 'true or false');
  }
}

/** The type of a list's items. */
export function itemType(type: 'list<string>' | { readonly list: ColumnType }): ColumnType {
  return type === 'list<string>' ? 'string' : type.list;
}

function firstOf<T>(
  items: readonly T[],
  check: (item: T, i: number) => string | undefined,
): string | undefined {
  for (const [i, item] of items.entries()) {
    const wrong = check(item, i);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

function isInt64(value: Value): boolean {
  return typeof value === 'bigint' ? BigInt.asIntN(64, value) === value : Number.isSafeInteger(value);
}

function kindOf(value: Value): string {
  if (value instanceof Uint8Array) return 'bytes';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a struct';
  return typeof value === 'string' ? 'text' : `${typeof value} ${value}`;
}

/** Bytes that a value takes, about. */
function cellBytes(value: Value): number {
  if (value instanceof Uint8Array || typeof value === 'string') return value.length + 4;
  if (value === null || typeof value !== 'object') return 8;
  return Object.values(value).reduce((sum: number, each: Value) => sum + cellBytes(each), 4);
}

/** Bytes that the values of a row take, about. */
export function rowBytes(row: Row): number {
  let bytes = 0;
  for (const value of Object.values(row)) bytes += cellBytes(value);
  return bytes;
}

/** A value, which must be of its type, as the libraries that write it take it. */
export function storedValue(value: Value, type: ColumnType): unknown {
  if (value === null || value === undefined) return null;
  if (type === 'int64') return BigInt(value as number | bigint);
  if (type === 'image') {
    return value instanceof Uint8Array ? { bytes: value, path: null } : { bytes: null, path: value };
  }
  if (typeof type !== 'object') return value;
  if ('list' in type) return (value as Value[]).map((each) => storedValue(each, type.list));
  const struct = value as { readonly [name: string]: Value };
  return Object.fromEntries(
    type.struct.map((field) => [field.name, storedValue(struct[field.name] ?? null, field.type)]),
  );
}

/**
 * The entry `huggingface` of a file's metadata, by which `datasets` decodes images. Undefined without one: of other
 * columns it knows the types by itself.
 */
export function hubMetadata(columns: readonly Column[]): string | undefined {
  if (!columns.some(({ type }) => hasImage(type))) return undefined;
  return JSON.stringify({ info: { features: hubFeatures(columns) } });
}

function hasImage(type: ColumnType): boolean {
  if (typeof type !== 'object') return type === 'image';
  return 'list' in type ? hasImage(type.list) : type.struct.some((field) => hasImage(field.type));
}

function hubFeatures(columns: readonly Column[]): Record<string, unknown> {
  return Object.fromEntries(columns.map(({ name, type }) => [name, hubFeature(type)]));
}

function hubFeature(type: ColumnType): unknown {
  if (type === 'image') return { _type: 'Image' };
  if (type === 'list<string>') return { feature: hubFeature('string'), _type: 'List' };
  if (typeof type !== 'object') return { dtype: type, _type: 'Value' };
  return 'list' in type ? { feature: hubFeature(type.list), _type: 'List' } : hubFeatures(type.struct);
}
