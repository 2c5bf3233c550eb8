/** Several sources inspected as one: rows numbered through. */
import { type Row, sampleKey } from '../schema.js';
import type { Source } from '../sources/source.js';
import { RowProbe } from './read-rows.js';
import { type TextColumn, textColumns } from './report.js';

/** Columns that may tell the language of captions or of the row. */
const LANGUAGE = /(?:^|_)lang(?:uage)?$/i;

/** One of the sources. */
interface Part {
  readonly source: Source;
  readonly probe: RowProbe;
  /** Number of its first row. */
  readonly start: number;
}

/** The rows of sources, one source after the other. */
export class SeveralSources {
  readonly numRows: number;
  readonly textColumns: readonly TextColumn[];
  readonly languageColumns: readonly string[];
  readonly #parts: readonly Part[];

  /** @param imageless sources whose column `image` cannot be read */
  constructor(
    sources: readonly Source[],
    private readonly imageless: ReadonlySet<Source>,
  ) {
    let start = 0;
    this.#parts = sources.map((source) => {
      const part = { source, probe: new RowProbe(source), start };
      start += source.numRows;
      return part;
    });
    this.numRows = start;
    const has = (column: string): boolean => sources.some(({ columns }) => columns.includes(column));
    this.textColumns = textColumns.filter(has);
    this.languageColumns = [
      ...new Set(sources.flatMap(({ columns }) => columns.filter((column) => LANGUAGE.test(column)))),
    ];
  }

  /** Whether any of the sources has the column, and it can be read. */
  has(column: string): boolean {
    return this.#parts.some(({ source }) => this.#readable(source, column));
  }

  /** Where a row is, for a row without a key. */
  nameOf(row: number): string {
    const { source, start } = this.#partOf(row);
    return `${source.path}, row ${row - start}`;
  }

  /** The key of a row, or where it is. */
  keyOf(row: Row, number: number): string {
    return sampleKey(row) ?? this.nameOf(number);
  }

  /** The rows, which must ascend; a column that their source lacks is null. */
  async read(rows: readonly number[], columns: readonly string[]): Promise<Row[]> {
    const read: Row[] = [];
    for (let at = 0; at < rows.length; ) {
      const { source, probe, start } = this.#partOf(rows[at] as number);
      let end = at;
      while (end < rows.length && (rows[end] as number) < start + source.numRows) end++;
      const places = rows.slice(at, end).map((row) => row - start);
      const present = columns.filter((column) => this.#readable(source, column));
      for (const row of await probe.read(places, present)) read.push(row);
      at = end;
    }
    return read;
  }

  #readable(source: Source, column: string): boolean {
    return source.columns.includes(column) && !(column === 'image' && this.imageless.has(source));
  }

  #partOf(row: number): Part {
    return this.#parts.findLast(({ start }) => start <= row) as Part;
  }
}
