/** A column map held against the columns that a source has. */
import { ConfigError } from '../../errors.js';
import { nearest } from '../../nearest.js';
import type { Row, Value } from '../schema.js';
import { type ColumnMap, isTarget, type Target, targets } from './column-map.js';
import { type ColumnPath, parsePath, valueAt } from './column-path.js';

/** Where one of capstan's columns comes from in a source. */
export interface BoundColumn {
  readonly target: Target;
  /** As the map has it, without the alternatives that the source lacks. */
  readonly spec: string | readonly string[];
  /** The source's columns that it is made of. */
  readonly raw: readonly string[];
  /** Its value in a row that has those columns; null where there is none. */
  readonly read: (row: Row) => Value;
}

/**
 * The columns of `required` and, where a source has them, of `optional`.
 *
 * @param what the schema, for messages
 * @throws ConfigError that names every column of `required` that is missing, and the nearest that is there.
 */
export function bindColumns(
  what: string,
  path: string,
  columns: readonly string[],
  required: ColumnMap,
  optional: ColumnMap = {},
): BoundColumn[] {
  checkTargets(required);
  const bound: BoundColumn[] = [];
  const missing: string[] = [];
  for (const target of targets) {
    const spec = required[target] ?? undefined;
    const wanted = spec ?? optional[target] ?? undefined;
    if (required[target] === null || wanted === undefined) continue;
    const found = bind(target, wanted, columns);
    if (Array.isArray(found)) {
      if (spec !== undefined) missing.push(...found.map((name) => describeMissing(target, name, columns)));
    } else {
      bound.push(found);
    }
  }
  if (missing.length === 0) return bound;
  throw new ConfigError(
    `${path}: ${what} needs columns that are not there: ${missing.join('; ')}. Present are ${columns.join(', ')}. ` +
      'Choose another data.schema (--schema), or say in data.columns (--column) which column is which.',
  );
}

/** The columns of a source that a map needs, with the alternatives that are there; undefined if some are missing. */
export function rawColumns(map: ColumnMap, columns: readonly string[]): string[] | undefined {
  const raw: string[] = [];
  for (const target of targets) {
    const spec = map[target];
    if (spec === undefined || spec === null) continue;
    const found = bind(target, spec, columns);
    if (Array.isArray(found)) return undefined;
    raw.push(...found.raw);
  }
  return raw;
}

function checkTargets(map: ColumnMap): void {
  for (const name of Object.keys(map)) {
    if (isTarget(name)) continue;
    const near = nearest(name, targets);
    throw new ConfigError(
      `data.columns.${name} (--column ${name}=…) is no column of capstan's${near === undefined ? '' : `; did you mean '${near}'?`}. ` +
        `These are ${targets.join(', ')}.`,
    );
  }
}

/** The column, or the texts of its map of which the source has nothing. */
function bind(
  target: Target,
  spec: string | readonly string[],
  columns: readonly string[],
): BoundColumn | string[] {
  const texts = typeof spec === 'string' ? [spec] : spec;
  const missing: string[] = [];
  const items: { text: string; paths: ColumnPath[] }[] = [];
  for (const text of texts) {
    const present = alternatives(text, columns).filter(({ path }) => columns.includes(path.column));
    if (present.length === 0) missing.push(text);
    else
      items.push({ text: present.map((one) => one.text).join('|'), paths: present.map((one) => one.path) });
  }
  if (missing.length > 0) return missing;
  const readItem = ({ paths }: { paths: readonly ColumnPath[] }, row: Row): Value => {
    for (const path of paths) {
      const value = valueAt(row, path);
      if (value !== null) return value;
    }
    return null;
  };
  const [first] = items;
  return {
    target,
    spec: typeof spec === 'string' ? (first?.text ?? spec) : items.map(({ text }) => text),
    raw: [...new Set(items.flatMap(({ paths }) => paths.map(({ column }) => column)))],
    read:
      typeof spec === 'string' && first !== undefined
        ? (row) => readItem(first, row)
        : (row) => items.flatMap((item) => readItem(item, row)).filter((value) => value !== null),
  };
}

function alternatives(text: string, columns: readonly string[]): { text: string; path: ColumnPath }[] {
  const texts = columns.includes(text) ? [text] : text.split('|');
  return texts.map((one) => ({ text: one, path: parsePath(one, columns) }));
}

function describeMissing(target: Target, text: string, columns: readonly string[]): string {
  const names = alternatives(text, columns).map(({ path }) => path.column);
  const near = nearest(names[0] as string, columns);
  const hint = near === undefined ? '' : `, the nearest is '${near}'`;
  return `${names.map((name) => `'${name}'`).join(' or ')} for ${target}${hint}`;
}
