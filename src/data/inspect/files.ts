/** What the files and columns of a data set are. */
import { SPLIT_NAMES } from '../datasets/open.js';
import { formatOf, splitOf } from '../datasets/shard-format.js';
import type { Row, ShardFormat, Value } from '../schema.js';
import { isTarget } from '../schemas/column-map.js';
import type { ShardInfo, Source } from '../sources/source.js';
import { RowProbe, spreadPlaces } from './read-rows.js';
import {
  type ColumnReport,
  type FilesReport,
  type SourceReport,
  type Spread,
  textColumns,
} from './report.js';

/** Rows by which types of columns are told. */
const TYPE_ROWS = 64;

/**
 * Describes a source: its schema, columns and files.
 *
 * @param readable whether a column can be read
 */
export async function describeSource(
  source: Source,
  seed: number,
  readable: (column: string) => boolean,
): Promise<SourceReport> {
  const columns = source.columns.filter(readable);
  const places = spreadPlaces(source.numRows, TYPE_ROWS, seed, 'types');
  const rows = await new RowProbe(source).read(places, columns);
  const { shards } = source;
  // Capstan's own columns need no mapping, so that the source names no schema.
  const isOwn = source.columns.includes('key') && textColumns.some((kind) => source.columns.includes(kind));
  const schema = source.schema ?? (isOwn ? 'capstan' : undefined);
  return {
    path: source.path,
    ...(schema === undefined ? {} : { schema }),
    rows: source.numRows,
    columns: source.columns.map((column) => describeColumn(source, column, rows, readable(column))),
    ...(shards === undefined ? {} : { files: describeFiles(shards) }),
  };
}

function describeColumn(
  source: Source,
  name: string,
  rows: readonly Row[],
  isReadable: boolean,
): ColumnReport {
  const origin = source.origins?.find(({ column }) => column === name);
  const types = new Map<string, number>();
  let nulls = 0;
  for (const row of rows) {
    const value = row[name] ?? null;
    if (value === null) nulls++;
    else types.set(typeName(value), (types.get(typeName(value)) ?? 0) + 1);
  }
  const isOrigin = source.origins?.some(({ raw }) => raw.includes(name)) ?? false;
  return {
    name,
    ...(origin === undefined ? {} : { from: origin.from }),
    types: isReadable ? [...types].sort(([, a], [, b]) => b - a).map(([type]) => type) : ['path or URL'],
    nulls: !isReadable || rows.length === 0 ? 0 : nulls / rows.length,
    used: isTarget(name) || isOrigin,
  };
}

/** The type of a value in words. */
export function typeName(value: Value): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return 'text';
  if (typeof value === 'boolean') return 'true or false';
  if (typeof value === 'bigint' || Number.isInteger(value)) return 'whole number';
  if (typeof value === 'number') return 'number';
  if (value instanceof Uint8Array) return 'bytes';
  if (!Array.isArray(value)) return 'object';
  const [first] = value.filter((item) => item !== null);
  return first === undefined ? 'empty list' : `list of ${typeName(first)}`;
}

function describeFiles(shards: readonly ShardInfo[]): FilesReport {
  const formats: Partial<Record<ShardFormat, number>> = {};
  for (const { path } of shards) {
    const format = formatOf(path);
    if (format !== undefined) formats[format] = (formats[format] ?? 0) + 1;
  }
  const grouped = shards.filter(({ groups }) => groups !== undefined && groups > 0);
  return {
    formats,
    count: shards.length,
    totalBytes: shards.reduce((sum, { bytes }) => sum + bytes, 0),
    bytes: spreadOf(shards.map(({ bytes }) => bytes)),
    rows: spreadOf(shards.map(({ rows }) => rows)),
    ...(grouped.length === 0
      ? {}
      : {
          groups: grouped.reduce((sum, { groups }) => sum + (groups as number), 0),
          groupRows: spreadOf(grouped.map(({ rows, groups }) => Math.round(rows / (groups as number)))),
        }),
  };
}

function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  return {
    least: sorted[0] as number,
    median: sorted[(sorted.length - 1) >> 1] as number,
    most: sorted.at(-1) as number,
  };
}

/** Rows of each split as files are named; undefined if any of them is named for none. */
export function splitsOfFiles(sources: readonly Source[]): Record<string, number> | undefined {
  const counts: Record<string, number> = {};
  for (const { shards } of sources) {
    if (shards === undefined) return undefined;
    for (const { path, rows } of shards) {
      const split = splitOf(path);
      if (!SPLIT_NAMES.has(split)) return undefined;
      counts[split] = (counts[split] ?? 0) + rows;
    }
  }
  return counts;
}
