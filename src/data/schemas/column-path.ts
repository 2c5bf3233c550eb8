/** Paths to values inside a column, such as `conversations[1].value`. */
import { createHash } from 'node:crypto';
import { ConfigError } from '../../errors.js';
import type { Row, Value } from '../schema.js';

/** One step into a nested value: a field, a place in a list, or the first item of a list with that field. */
type Step =
  | { readonly field: string }
  | { readonly index: number }
  | { readonly where: string; readonly equals: string };

/** A way to a value of a row. */
export interface ColumnPath {
  readonly column: string;
  readonly steps: readonly Step[];
  /** The value's hash is meant, for a key. */
  readonly hashed: boolean;
}

const HASH = /^sha256\((.*)\)$/;
const NAME = /[^.[\]]+/y;
const STEP = /\.([^.[\]]+)|\[(\d+)\]|\[([^.[\]=]+)=([^[\]]*)\]/y;
/** Hexadecimal digits of a key made by hashing: at 128 bits, no two of any number of rows are ever the same. */
const HASH_DIGITS = 32;

/**
 * Reads a path: a column's name, then any of `.field`, `[0]` (an item of a list) and `[field=value]` (the first item
 * of a list whose field is that text); all of it may stand in `sha256(…)`. A text that is a column's name as it
 * stands is that column.
 *
 * @throws ConfigError if the text is no path.
 */
export function parsePath(text: string, columns: readonly string[]): ColumnPath {
  if (columns.includes(text)) return { column: text, steps: [], hashed: false };
  const inner = HASH.exec(text)?.[1];
  if (inner !== undefined) return { ...parsePath(inner, columns), hashed: true };
  NAME.lastIndex = 0;
  const column = NAME.exec(text)?.[0];
  if (column === undefined) throw notAPath(text);
  const steps: Step[] = [];
  for (let at = column.length; at < text.length; at = STEP.lastIndex) {
    STEP.lastIndex = at;
    const found = STEP.exec(text);
    if (found === null) throw notAPath(text);
    const [, field, index, where, equals] = found;
    if (field !== undefined) steps.push({ field });
    else if (index !== undefined) steps.push({ index: Number(index) });
    else steps.push({ where: where as string, equals: equals as string });
  }
  return { column, steps, hashed: false };
}

function notAPath(text: string): ConfigError {
  return new ConfigError(
    `'${text}' names no column: expected a name, with .field, [0] or [field=value] for a value inside it, ` +
      'such as conversations[1].value.',
  );
}

/** The value that the path leads to; null where the row has none there. */
export function valueAt(row: Row, { column, steps, hashed }: ColumnPath): Value {
  let value = row[column] ?? null;
  for (const step of steps) value = follow(value, step);
  if (!hashed || value === null || typeof value === 'object') return value;
  return createHash('sha256').update(String(value)).digest('hex').slice(0, HASH_DIGITS);
}

function follow(value: Value, step: Step): Value {
  if ('field' in step) return fieldOf(value, step.field);
  if (!Array.isArray(value)) return null;
  if ('index' in step) return value[step.index] ?? null;
  return value.find((item) => fieldOf(item, step.where) === step.equals) ?? null;
}

function fieldOf(value: Value, field: string): Value {
  if (value === null || typeof value !== 'object' || Array.isArray(value) || value instanceof Uint8Array) {
    return null;
  }
  return Object.hasOwn(value, field) ? (value[field] ?? null) : null;
}
