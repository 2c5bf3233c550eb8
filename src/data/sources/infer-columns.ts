/** Types for columns whose values are known and whose types are not, as those of JSON, and values made to fit them. */
import type { Column, ColumnType, Row, Value } from '../schema.js';

/** An object of more names than this is a map rather than a struct, and becomes JSON text. */
const MAX_FIELDS = 64;

/** The type of a column in which no row has a value. */
const UNKNOWN: ColumnType = 'string';

/**
 * Types by the values of some rows: whole numbers are int64, others float64, objects structs of all their names; a
 * column that holds both a thing and lists of it is of lists; what goes together in no other way is text.
 *
 * @param known types that are set, of columns that need no look
 */
export function inferColumns(
  names: readonly string[],
  rows: readonly Row[],
  known: Readonly<Record<string, ColumnType>> = {},
): Column[] {
  return names.map((name) => ({
    name,
    type: known[name] ?? typeOfAll(rows.map((row) => row[name])) ?? UNKNOWN,
  }));
}

/** The columns of `one` with types that take the values of `other`, too, which has the same columns. */
export function widenColumns(one: readonly Column[], other: readonly Column[]): Column[] {
  return one.map(({ name, type }, i) => ({ name, type: widen(type, (other[i] as Column).type) }));
}

/** A value of whatever its column was inferred from, as the column holds it. */
export function fitValue(value: Value | undefined, type: ColumnType): Value {
  if (value === null || value === undefined) return null;
  if (type === 'string') return typeof value === 'string' ? value : toJson(value);
  if (type === 'float64') return Number(value);
  if (typeof type !== 'object') return value;
  if ('list' in type)
    return (Array.isArray(value) ? value : [value]).map((item) => fitValue(item, type.list));
  const struct = value as { readonly [name: string]: Value };
  return Object.fromEntries(
    type.struct.map((field) => [field.name, fitValue(struct[field.name], field.type)]),
  );
}

/** JSON in which whole numbers beyond 2^53 are text, and bytes are base64. */
export function toJson(value: Value): string {
  return JSON.stringify(value, (_, item: unknown) => {
    if (typeof item === 'bigint') return Number.isSafeInteger(Number(item)) ? Number(item) : String(item);
    return item instanceof Uint8Array ? Buffer.from(item).toString('base64') : item;
  });
}

function typeOfAll(values: readonly (Value | undefined)[]): ColumnType | undefined {
  let type: ColumnType | undefined;
  for (const value of values) {
    const found = typeOf(value);
    if (found !== undefined) type = type === undefined ? found : widen(type, found);
  }
  return type;
}

/** Undefined for a null. */
function typeOf(value: Value | undefined): ColumnType | undefined {
  if (value === null || value === undefined) return undefined;
  if (typeof value === 'string') return 'string';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'bigint') return BigInt.asIntN(64, value) === value ? 'int64' : 'string';
  if (typeof value === 'number') return Number.isSafeInteger(value) ? 'int64' : 'float64';
  if (value instanceof Uint8Array) return 'binary';
  if (Array.isArray(value)) return { list: typeOfAll(value) ?? UNKNOWN };
  const fields = Object.entries(value);
  if (fields.length === 0 || fields.length > MAX_FIELDS) return 'string';
  return { struct: fields.map(([name, item]) => ({ name, type: typeOf(item) ?? UNKNOWN })) };
}

/** The narrowest type that takes the values of both. */
function widen(one: ColumnType, other: ColumnType): ColumnType {
  if (one === other) return one;
  const numbers = [one, other];
  if (numbers.every((type) => type === 'int64' || type === 'float64')) return 'float64';
  const [a, b] = [itemOf(one), itemOf(other)];
  if (a !== undefined || b !== undefined) return { list: widen(a ?? one, b ?? other) };
  if (typeof one !== 'object' || typeof other !== 'object' || 'list' in one || 'list' in other)
    return 'string';
  const fields = new Map(one.struct.map(({ name, type }) => [name, type]));
  for (const { name, type } of other.struct) {
    const known = fields.get(name);
    fields.set(name, known === undefined ? type : widen(known, type));
  }
  if (fields.size > MAX_FIELDS) return 'string';
  return { struct: [...fields].map(([name, type]) => ({ name, type })) };
}

function itemOf(type: ColumnType): ColumnType | undefined {
  if (type === 'list<string>') return 'string';
  return typeof type === 'object' && 'list' in type ? type.list : undefined;
}
