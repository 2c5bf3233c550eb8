/** Types of columns from their values, for formats that want to know them before the first row. */
import { DataError } from '../../errors.js';
import type { Column, ColumnType, Value } from '../schema.js';
import { isObject } from '../sources/json-value.js';

/** What is known of a type. Undefined: nothing but nulls so far. */
type Guess = Scalar | { list: Guess } | { fields: Map<string, Guess> } | undefined;
type Scalar = 'string' | 'binary' | 'image' | 'bool' | 'int64' | 'float64';

/** Fields of one struct. Objects with more are maps, which have no type of their own here. */
const MAX_FIELDS = 1024;

/** Comes to the type of one column. Memory grows with the names in its objects only. */
export class TypeGuess {
  #guess: Guess;

  constructor(private readonly column: string) {}

  /**
   * Widens the type to hold a value.
   *
   * @param where the row, for messages
   * @throws DataError if no type holds this value and those before
   */
  add(value: Value, where: string): void {
    this.#guess = widen(this.#guess, value, this.column, where);
  }

  /** The column. One of nothing but nulls is text. @throws DataError for objects without fields */
  finish(): Column {
    return { name: this.column, type: typeOf(this.#guess, this.column) };
  }
}

function widen(guess: Guess, value: Value, path: string, where: string): Guess {
  if (value === null || value === undefined) return guess;
  if (Array.isArray(value)) {
    const list = guess === undefined ? { list: undefined } : guess;
    if (typeof list !== 'object' || !('list' in list)) throw mixed(path, guess, 'a list', where);
    return { list: value.reduce((item: Guess, each) => widen(item, each, `${path}[]`, where), list.list) };
  }
  if (isObject(value)) {
    const struct = guess === undefined ? { fields: new Map<string, Guess>() } : guess;
    if (typeof struct !== 'object' || !('fields' in struct)) throw mixed(path, guess, 'an object', where);
    for (const [name, each] of Object.entries(value)) {
      struct.fields.set(name, widen(struct.fields.get(name), each, `${path}.${name}`, where));
    }
    if (struct.fields.size > MAX_FIELDS) {
      throw new DataError(
        `${where}: the objects of column '${path}' have more than ${MAX_FIELDS} different fields, which no struct ` +
          `holds. ${ADVICE}`,
      );
    }
    return struct;
  }
  const scalar = scalarOf(value, path);
  if (guess === undefined || guess === scalar) return scalar;
  const both = new Set<Guess>([guess, scalar]);
  if (both.has('int64') && both.has('float64')) return 'float64';
  if (both.has('image') && both.has('string') && path === 'image') return 'image';
  throw mixed(path, guess, nameOf(scalar), where);
}

function scalarOf(value: Exclude<Value, null | object> | Uint8Array, path: string): Scalar {
  if (value instanceof Uint8Array) return path === 'image' ? 'image' : 'binary';
  if (typeof value === 'string') return 'string';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'bigint') return 'int64';
  return Number.isSafeInteger(value) && !Object.is(value, -0) ? 'int64' : 'float64';
}

const ADVICE = 'Leave the column out with --columns-out, or convert to jsonl or webdataset.';

function mixed(path: string, guess: Guess, found: string, where: string): DataError {
  return new DataError(
    `${where}: column '${path}' has ${nameOf(guess)} in rows before and ${found} here; Arrow and Parquet take one type ` +
      `for all rows. ${ADVICE}`,
  );
}

function nameOf(guess: Guess): string {
  if (typeof guess === 'object') return 'list' in guess ? 'a list' : 'an object';
  const names = { string: 'text', binary: 'bytes', image: 'bytes', bool: 'true or false' } as const;
  return guess === undefined
    ? 'nothing'
    : guess === 'int64' || guess === 'float64'
      ? 'a number'
      : names[guess];
}

function typeOf(guess: Guess, path: string): ColumnType {
  if (guess === undefined) return 'string';
  if (typeof guess === 'string') return guess;
  if ('list' in guess) return { list: typeOf(guess.list, `${path}[]`) };
  if (guess.fields.size === 0) {
    throw new DataError(
      `Column '${path}' holds only objects without fields, for which there is no type. ${ADVICE}`,
    );
  }
  return {
    struct: [...guess.fields].map(([name, field]) => ({ name, type: typeOf(field, `${path}.${name}`) })),
  };
}
