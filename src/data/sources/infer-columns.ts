/** Types for columns whose values are known and whose types are not, as those of JSON, and values made to fit them. */
import type { Column, ColumnType, Row, Value } from '../schema.js';

/** An object of more names than this is a map rather than a struct, and becomes JSON text. */
const MAX_FIELDS = 64;

/** The type of a column, a list's items or a field of which no row has a value. */
const UNKNOWN: ColumnType = 'string';

/** A type of which parts may be unknown yet. */
type Guess =
  | undefined
  | Exclude<ColumnType, object>
  | { readonly list: Guess }
  | { readonly struct: readonly { readonly name: string; readonly type: Guess }[] };

/**
 * What the values of some rows tell of their columns' types: whole numbers are int64, others float64, objects structs of
 * all their names; a column that holds both a thing and lists of it is of lists; what goes together in no other way is
 * text.
 */
export class ColumnGuess {
  private constructor(private readonly guesses: ReadonlyMap<string, Guess>) {}

  /** @param known types that are set, of columns that need no look */
  static of(
    names: readonly string[],
    rows: readonly Row[],
    known: Readonly<Record<string, ColumnType>> = {},
  ): ColumnGuess {
    return new ColumnGuess(
      new Map(names.map((name) => [name, known[name] ?? guessAll(rows.map((row) => row[name]))])),
    );
  }

  /** The narrowest types that take the rows of both, which have the same columns. */
  with(other: ColumnGuess): ColumnGuess {
    return new ColumnGuess(
      new Map([...this.guesses].map(([name, guess]) => [name, widen(guess, other.guesses.get(name))])),
    );
  }

  get columns(): Column[] {
    return [...this.guesses].map(([name, guess]) => ({ name, type: settled(guess) }));
  }
}

function settled(guess: Guess): ColumnType {
  if (guess === undefined) return UNKNOWN;
  if (typeof guess !== 'object') return guess;
  if ('list' in guess) return { list: settled(guess.list) };
  return { struct: guess.struct.map(({ name, type }) => ({ name, type: settled(type) })) };
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

function guessAll(values: readonly (Value | undefined)[]): Guess {
  let guess: Guess;
  for (const value of values) guess = widen(guess, guessOf(value));
  return guess;
}

function guessOf(value: Value | undefined): Guess {
  if (value === null || value === undefined) return undefined;
  if (typeof value === 'string') return 'string';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'bigint') return BigInt.asIntN(64, value) === value ? 'int64' : 'string';
  if (typeof value === 'number') return Number.isSafeInteger(value) ? 'int64' : 'float64';
  if (value instanceof Uint8Array) return 'binary';
  if (Array.isArray(value)) return { list: guessAll(value) };
  const fields = Object.entries(value);
  if (fields.length === 0 || fields.length > MAX_FIELDS) return 'string';
  return { struct: fields.map(([name, item]) => ({ name, type: guessOf(item) })) };
}

/** The narrowest type that takes the values of both. */
function widen(one: Guess, other: Guess): Guess {
  if (one === other || other === undefined) return one;
  if (one === undefined) return other;
  const isNumber = (guess: Guess): boolean => guess === 'int64' || guess === 'float64';
  if (isNumber(one) && isNumber(other)) return 'float64';
  if (isList(one) || isList(other)) return { list: widen(itemOf(one), itemOf(other)) };
  if (typeof one !== 'object' || typeof other !== 'object') return 'string';
  const fields = new Map(one.struct.map(({ name, type }) => [name, type]));
  for (const { name, type } of other.struct) fields.set(name, widen(fields.get(name), type));
  if (fields.size > MAX_FIELDS) return 'string';
  return { struct: [...fields].map(([name, type]) => ({ name, type })) };
}

const isList = (guess: Guess): guess is { readonly list: Guess } =>
  typeof guess === 'object' && 'list' in guess;

const itemOf = (guess: Guess): Guess => (isList(guess) ? guess.list : guess);
