/** A source whose own columns are read under capstan's names. */
import { createHash } from 'node:crypto';
import { ConfigError, DataError } from '../../errors.js';
import { nearest } from '../../nearest.js';
import type { ReadScope } from '../free-memory.js';
import { mapConcurrently } from '../map-concurrently.js';
import { captionKinds, FAULT, type Row, rowFault, sampleKey, type Value } from '../schema.js';
import type { ColumnOrigin, ShardInfo, Source, SourceContent } from '../sources/source.js';
import { isOutage } from '../storage/retry.js';
import type { BoundColumn } from './bind.js';
import { isTarget, type Target } from './column-map.js';
import type { ImageRoot } from './image-root.js';

/** Image files read at a time. */
const IMAGES_AT_ONCE = 16;

/**
 * Rows of a source with capstan's columns made of its own; its other columns keep their names. Only those columns are
 * read that the ones asked for are made of. A row whose image cannot be had, or whose values are not of the right
 * type, has a fault ({@link rowFault}). Closing it closes the source.
 */
export class SchemaSource implements Source {
  readonly path: string;
  readonly columns: readonly string[];
  readonly origins: readonly ColumnOrigin[];
  readonly shards: readonly ShardInfo[] | undefined;
  readonly renamed: readonly string[];
  readonly numRows: number;
  readonly shardRows: readonly number[];
  readonly rowBytes: number | undefined;
  readonly fingerprint: string;
  readonly content: SourceContent | undefined;
  readonly #bound: ReadonlyMap<string, BoundColumn>;

  constructor(
    readonly schema: string,
    private readonly source: Source,
    bound: readonly BoundColumn[],
    private readonly images: ImageRoot | undefined,
  ) {
    this.#bound = new Map(bound.map((column) => [column.target, column]));
    if (!this.#bound.has('key')) throw noKey(source);
    if (images !== undefined && !images.byKey && !this.#bound.has('image')) throw noPaths(source.path);
    const withImage = images?.byKey === true && !this.#bound.has('image') ? ['image'] : [];
    this.path = source.path;
    this.columns = [
      ...this.#bound.keys(),
      ...withImage,
      ...source.columns.filter((column) => !isTarget(column)),
    ];
    this.origins = bound.map(({ target, spec, raw }) => ({ column: target, from: spec, raw }));
    this.shards = source.shards;
    this.renamed = renamedColumns(source, bound, images);
    this.numRows = source.numRows;
    this.shardRows = source.shardRows;
    this.content = source.content;
    // What lies beside the shards is read image by image.
    this.rowBytes = images === undefined ? source.rowBytes : undefined;
    const map = Object.fromEntries(bound.map(({ target, spec }) => [target, spec]));
    // Not the whole location of the images: they may be moved, as the shards may.
    const name = images?.location.split('/').findLast((part) => part !== '') ?? null;
    this.fingerprint = createHash('sha256')
      .update(`${source.fingerprint}\0${JSON.stringify([map, name])}`)
      .digest('hex');
  }

  async readRows(indices: readonly number[], columns: readonly string[], scope?: ReadScope): Promise<Row[]> {
    const rows = await this.source.readRows(indices, this.#rawColumns(columns), scope);
    const mapped = rows.map((row) => this.#map(row, columns));
    const read = columns.includes('image') ? await this.#readImages(mapped, rows) : mapped;
    return read.map((row) => settle(row, columns));
  }

  async readColumn(column: string): Promise<Value[]> {
    const raw = this.#rawColumns([column]);
    const values = await Promise.all(raw.map((name) => this.source.readColumn(name)));
    const rows = Array.from({ length: this.numRows }, (_, row) =>
      Object.fromEntries(raw.map((name, i) => [name, values[i]?.[row] ?? null])),
    );
    const mapped = rows.map((row) => this.#map(row, [column]));
    const read = column === 'image' ? await this.#readImages(mapped, rows) : mapped;
    return read.map((row, i) => {
      const fault = rowFault(row);
      if (fault !== undefined) throw new DataError(`${this.path}, row ${i}: ${fault}`);
      return row[column] ?? null;
    });
  }

  close(): Promise<void> {
    return this.source.close();
  }

  /** The source's columns that these are made of. */
  #rawColumns(columns: readonly string[]): string[] {
    const raw = new Set<string>();
    for (const column of columns) {
      if (!this.columns.includes(column)) throw this.#noColumn(column);
      const keyed = column === 'image' && this.images?.byKey === true;
      const bound = this.#bound.get(keyed ? 'key' : column);
      for (const name of bound?.raw ?? [column]) raw.add(name);
    }
    return [...raw];
  }

  #map(raw: Row, columns: readonly string[]): Row {
    const row: Row = {};
    const fault = rowFault(raw);
    if (fault !== undefined) return faulty(row, fault, this.#keyOf(raw));
    for (const column of columns) {
      const bound = this.#bound.get(column);
      if (column === 'image' && this.images?.byKey === true) continue;
      const value = bound === undefined ? (raw[column] ?? null) : bound.read(raw);
      const cast = bound === undefined ? value : castTo(bound.target, value);
      if (cast === undefined) return faulty(row, mistyped(bound as BoundColumn, value), this.#keyOf(raw));
      row[column] = cast;
    }
    return row;
  }

  #keyOf(raw: Row): Value {
    return castTo('key', this.#bound.get('key')?.read(raw) ?? null) ?? null;
  }

  /** Puts the bytes of image files in the place of their paths, a few at a time. */
  #readImages(rows: readonly Row[], raw: readonly Row[]): Promise<Row[]> {
    return mapConcurrently([...rows.entries()], IMAGES_AT_ONCE, ([i, row]) =>
      this.#withImage(row, raw[i] as Row),
    );
  }

  async #withImage(row: Row, raw: Row): Promise<Row> {
    if (rowFault(row) !== undefined) return row;
    const name = this.images?.byKey === true ? sampleKey({ key: this.#keyOf(raw) }) : row.image;
    if (typeof name !== 'string') return { ...row, image: name ?? null };
    if (this.images === undefined) throw noRoot(this.path, name);
    try {
      return { ...row, image: await this.images.read(name) };
    } catch (cause) {
      // What may be there once the server is: to pass over it would change the samples.
      if (!(cause instanceof DataError) || isOutage(cause)) throw cause;
      return faulty(row, cause.message, this.#keyOf(raw));
    }
  }

  #noColumn(column: string): ConfigError {
    if (column === 'image') return noImages(this.path);
    const near = nearest(column, this.columns);
    return new ConfigError(
      `${this.path}: there is no column '${column}' in schema ${this.schema}; present are ` +
        `${this.columns.join(', ')}.${near === undefined ? '' : ` The nearest is '${near}'.`}`,
    );
  }
}

/** Columns that are capstan's as they stand, and not by a path into them or as a part of a list. */
function renamedColumns(
  { columns }: Source,
  bound: readonly BoundColumn[],
  images: ImageRoot | undefined,
): string[] {
  const whole = bound.flatMap(({ target, spec }) => {
    // Where images are files, the column has their paths.
    if (typeof spec !== 'string' || (target === 'image' && images !== undefined)) return [];
    return columns.includes(spec) ? [spec] : spec.split('|');
  });
  return columns.filter((column) => whole.includes(column) && !isTarget(column));
}

/** A row with a fault: what it was, with its key. */
function faulty(row: Row, fault: string, key: Value): Row {
  return { ...row, key, [FAULT]: fault };
}

/** The row with the columns asked for, which are null, but for the key, if it has a fault. */
function settle(row: Row, columns: readonly string[]): Row {
  const fault = rowFault(row);
  if (fault === undefined) return row;
  const nulls = columns.map((column) => [column, column === 'key' ? (row.key ?? null) : null] as const);
  return { ...Object.fromEntries(nulls), [FAULT]: fault };
}

const isText = (value: Value): value is string => typeof value === 'string';
const isCaptions = (value: Value): boolean =>
  Array.isArray(value) && value.every((item) => item === null || isText(item));
const isWhole = (value: Value): boolean => typeof value === 'bigint' || Number.isSafeInteger(value);

/** The value as the column holds it; undefined if its type is another. */
function castTo(target: Target, value: Value): Value | undefined {
  if (value === null) return null;
  if (target === 'key') return isText(value) || isWhole(value) ? value : undefined;
  if (target === 'image') return isText(value) || value instanceof Uint8Array ? value : undefined;
  if (target === 'label') return isText(value) ? value : isWhole(value) ? String(value) : undefined;
  const listed = target === 'captions' || (captionKinds as readonly string[]).includes(target);
  const texts = listed && isText(value) ? jsonTexts(value) : undefined;
  if (texts !== undefined) return texts;
  if (target === 'captions' && isText(value)) return [value];
  return isText(value) || (listed && isCaptions(value)) ? value : undefined;
}

/** The texts of a JSON list of nothing else, as which formats that know no lists hold several captions. */
function jsonTexts(text: string): Value[] | undefined {
  if (!text.startsWith('[') || !text.endsWith(']')) return undefined;
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) && list.length > 0 && list.every(isText) ? list : undefined;
  } catch {
    return undefined;
  }
}

const EXPECTED: Readonly<Partial<Record<Target, string>>> = {
  key: 'text or a whole number',
  image: 'the bytes of an image file or its path',
  label: 'text or a whole number',
  url: 'text',
  split: 'text',
};

function mistyped({ target, spec }: BoundColumn, value: Value): string {
  const found =
    value instanceof Uint8Array
      ? 'bytes'
      : Array.isArray(value)
        ? 'a list with other things than texts'
        : typeof value === 'object'
          ? 'an object'
          : `the ${typeof value} ${String(value).slice(0, 40)}`;
  const expected = EXPECTED[target] ?? 'text or a list of texts';
  return `${[spec].flat().join(', ')}, which is read as ${target}, holds ${found}; expected ${expected}.`;
}

function noKey(source: Source): ConfigError {
  return new ConfigError(
    `${source.path}: no key is named in data.columns (--column); expected a column that tells rows apart, or sha256(COLUMN) to make a ` +
      `key of a URL or path. Present are ${source.columns.join(', ')}.`,
  );
}

function noPaths(path: string): ConfigError {
  return new ConfigError(
    `${path}: no column holds the paths of the images in data.images (--images). If the files are named for the keys, ` +
      'say so as in images/{key}.jpg; else fetch the images with: npx capstan data download.',
  );
}

function noRoot(path: string, name: string): ConfigError {
  if (/^https?:/i.test(name)) return noImages(path);
  return new ConfigError(
    `${path}: its rows name images by path, such as '${name}'. Set data.images (--images) to the directory or URL ` +
      'that they are in.',
  );
}

/** @throws ConfigError if the rows of the source have URLs of images but no images. */
export function requireImages({ path, columns }: Source): void {
  if (columns.includes('url') && !columns.includes('image')) throw noImages(path);
}

function noImages(path: string): ConfigError {
  return new ConfigError(
    `${path}: its rows have no images, only the URLs of them. Fetch them with: npx capstan data download. Or, if the ` +
      'files are there and named for the keys, set data.images (--images) as in images/{key}.jpg.',
  );
}
