/** What a conversion is of: the splits of its sources, its columns and their types. */
import { ConfigError } from '../../errors.js';
import { nearest } from '../../nearest.js';
import { type OpenOptions, openSplits } from '../datasets/open.js';
import { type Column, rowFault, splits } from '../schema.js';
import type { Source } from '../sources/source.js';
import { KEY_COLUMN } from '../sources/webdataset.js';
import { TypeGuess } from './infer-types.js';
import { SplitRows } from './split-rows.js';

/** Sources that are open, by split. */
export interface OpenedSplits {
  readonly splits: readonly SplitRows[];
  /** By path. */
  readonly fingerprints: readonly {
    readonly path: string;
    readonly fingerprint: string;
    readonly rows: number;
  }[];
  readonly numRows: number;
  close(): Promise<void>;
}

/** Opens all that is converted. @throws as `openSource` */
export async function openAll(
  paths: readonly string[],
  options: OpenOptions,
  seed: number | undefined,
): Promise<OpenedSplits> {
  const { paths: opened, close } = await openSplits(paths, options);
  const sources = new Map<string, Source[]>();
  for (const { split, source } of opened.flat()) sources.set(split, [...(sources.get(split) ?? []), source]);
  const rank = (split: string): number =>
    (splits as readonly string[]).indexOf(split) + 1 || splits.length + 1;
  const names = [...sources.keys()].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  const rows = names.map((split) => new SplitRows(split, sources.get(split) as Source[], seed));
  return {
    splits: rows,
    fingerprints: paths.map((path, i) => ({
      path,
      fingerprint: (opened[i] ?? []).map(({ split, source }) => `${split}:${source.fingerprint}`).join(' '),
      rows: (opened[i] ?? []).reduce((sum, { source }) => sum + source.numRows, 0),
    })),
    numRows: rows.reduce((sum, { numRows }) => sum + numRows, 0),
    close,
  };
}

/**
 * The columns of the result: those asked for, else all but those that are there under capstan's name besides.
 *
 * @throws ConfigError for a column that is not there
 */
export function chooseColumns(opened: OpenedSplits, asked: readonly string[] | undefined): string[] {
  const sources = opened.splits.flatMap((split) => split.sources);
  const all = [...new Set(sources.flatMap(({ columns }) => columns))];
  if (asked !== undefined) {
    for (const column of asked) {
      if (all.includes(column)) continue;
      const near = nearest(column, all);
      throw new ConfigError(
        `--columns-out names '${column}', which is not there${near === undefined ? '.' : `; did you mean '${near}'?`} ` +
          `Present are ${all.join(', ')}.`,
      );
    }
    return [...new Set(asked)];
  }
  const renamed = new Set(sources.flatMap((source) => source.renamed ?? []));
  // A tar's own name of a row is its key, or was encoded to be one.
  if (all.includes('key')) renamed.add(KEY_COLUMN);
  return all.filter((column) => !renamed.has(column));
}

/** Rows of each split that tell which columns are bytes. */
const SAMPLE_ROWS = 64;

/** Which columns are bytes, by the first rows. @throws as the sources do */
export async function findBinaries(opened: OpenedSplits, columns: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  for (const split of opened.splits) {
    for await (const { row } of split.from(0, columns, Math.min(SAMPLE_ROWS, split.numRows))) {
      for (const column of columns) if (row[column] instanceof Uint8Array) found.add(column);
    }
  }
  return columns.filter((column) => found.has(column));
}

/**
 * The types of the columns by all their values. Those of `binaries` are not read.
 *
 * @param onRow called for each row that was looked at
 * @throws DataError if a column's values are of several types; as the sources do
 */
export async function inferColumns(
  opened: OpenedSplits,
  columns: readonly string[],
  binaries: readonly string[],
  onRow: () => void,
): Promise<Column[]> {
  const wanted = columns.filter((column) => !binaries.includes(column));
  const guesses = new Map(wanted.map((column) => [column, new TypeGuess(column)]));
  for (const split of wanted.length === 0 ? [] : opened.splits) {
    for await (const { row, source, index } of split.from(0, wanted)) {
      onRow();
      if (rowFault(row) !== undefined) continue;
      for (const [column, guess] of guesses) guess.add(row[column] ?? null, `${source.path}, row ${index}`);
    }
  }
  return columns.map((name) => {
    const guess = guesses.get(name);
    return guess === undefined ? { name, type: name === 'image' ? 'image' : 'binary' } : guess.finish();
  });
}
