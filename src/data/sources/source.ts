/**
 * A data set as the loader sees it: numbered rows with named columns, read by index and column.
 */
import { createHash } from 'node:crypto';
import { ConfigError, DataError } from '../../errors.js';
import { nearest } from '../../nearest.js';
import type { ReadScope } from '../free-memory.js';
import type { Row, Value } from '../schema.js';
import { fileNameOf } from '../storage/location.js';

export type { Row, Value } from '../schema.js';

/**
 * What servers say of the shards' content. At an equal place it is equal while the content is; at another place it
 * says nothing, for every server has tags of its own.
 */
export interface SourceContent {
  /** SHA-256 (hex) over the shards' addresses. */
  readonly place: string;
  /** SHA-256 (hex) over what their servers say of each: ETag, else date. */
  readonly tags: string;
}

/** A file of a data set as it is stored. */
export interface ShardInfo {
  readonly path: string;
  /** As it is stored, packed or not. */
  readonly bytes: number;
  readonly rows: number;
  /** Row groups or record batches; undefined where the format has none. */
  readonly groups?: number | undefined;
}

/** One of capstan's columns and the source's own that it is made of. */
export interface ColumnOrigin {
  readonly column: string;
  /** As the schema names it: a column, a path into one, or several. */
  readonly from: string | readonly string[];
  /** The source's own columns. */
  readonly raw: readonly string[];
}

/** Rows addressed 0 to `numRows - 1` over one or several shards. Safe to call concurrently. */
export interface Source {
  /** What was opened: a data set's directory or a file. */
  readonly path: string;
  /** Columns that every shard has, in the first shard's order; of sparse shards (tar, JSON) those that any has. */
  readonly columns: readonly string[];
  /** Name of the schema by which the shards' own columns are read; undefined if they are read as they are. */
  readonly schema?: string | undefined;
  /** What the schema makes of the source's own columns; undefined if they are read as they are. */
  readonly origins?: readonly ColumnOrigin[] | undefined;
  /** The files, in order; undefined if the rows are of none. */
  readonly shards?: readonly ShardInfo[] | undefined;
  /** The shards' own columns that are handed out whole under capstan's names, and so are among `columns` twice. */
  readonly renamed?: readonly string[] | undefined;
  readonly numRows: number;
  /** Rows of each shard, in order; they add up to `numRows`. An epoch shuffles shards, then rows within a window. */
  readonly shardRows: readonly number[];
  /**
   * About how many bytes of the shards a row takes, where rows are read in pieces of many. Undefined where a row is as
   * quickly read alone: then their order does not matter.
   */
  readonly rowBytes?: number | undefined;
  /** SHA-256 (hex) over shard names, sizes in bytes and row counts: a resumed run compares it. */
  readonly fingerprint: string;
  /** Undefined unless servers keep all of it and tell what they keep. */
  readonly content?: SourceContent | undefined;
  /**
   * Reads the given columns of the given rows, in the order of `indices` (repeats allowed).
   *
   * @param scope given if nobody will soon ask for these rows again, so that nothing of them is worth keeping: the
   *   memory that their bytes lie in may be the scope's, which frees it when the caller has copied them.
   * @throws ConfigError for a column that is not there; DataError for a row out of range or a damaged shard.
   */
  readRows(indices: readonly number[], columns: readonly string[], scope?: ReadScope): Promise<Row[]>;
  /** Reads a whole column into memory, for light ones (key, captions, split, labels). Throws as `readRows` does. */
  readColumn(column: string): Promise<Value[]>;
  close(): Promise<void>;
}

/** One file of a data set. `readRows` indices count within the shard. */
export interface Shard {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  readonly columns: readonly string[];
  readonly numRows: number;
  /** Row groups or record batches, where the format has them. */
  readonly numGroups?: number;
  /** A column that it lacks may be asked for, and is null. */
  readonly sparse?: boolean;
  readRows(indices: readonly number[], columns: readonly string[], scope?: ReadScope): Promise<Row[]>;
  readColumn(column: string): Promise<Value[]>;
}

/** A shard with what its server says of its content, if it does. */
export interface OpenedShard {
  readonly shard: Shard;
  readonly tag?: string | undefined;
}

/** The shards of one data set behind one numbering. */
export class ShardedSource implements Source {
  readonly path: string;
  readonly columns: readonly string[];
  readonly numRows: number;
  readonly shards: readonly ShardInfo[];
  readonly shardRows: readonly number[];
  readonly rowBytes: number;
  readonly fingerprint: string;
  readonly #shards: readonly Shard[];
  /** First row of each shard, and the number of rows at the end. */
  readonly #starts: readonly number[];
  readonly content: SourceContent | undefined;
  readonly #onClose: () => Promise<void>;

  /** @throws DataError if there is no row in any shard. */
  constructor(path: string, opened: readonly OpenedShard[], onClose: () => Promise<void> = async () => {}) {
    const shards = opened.map(({ shard }) => shard);
    const [first] = shards;
    const starts = [0];
    const hash = createHash('sha256');
    for (const shard of shards) {
      starts.push((starts.at(-1) as number) + shard.numRows);
      hash.update(`${fileNameOf(shard.path)}\0${shard.size}\0${shard.numRows}\n`);
    }
    this.numRows = starts.at(-1) as number;
    this.shardRows = shards.map(({ numRows }) => numRows);
    this.shards = shards.map(({ path, size, numRows, numGroups }) => ({
      path,
      bytes: size,
      rows: numRows,
      groups: numGroups,
    }));
    if (first === undefined || this.numRows === 0) {
      throw new DataError(
        `${path}: the data set has no rows; expected at least one. Build or choose another.`,
      );
    }
    this.path = path;
    this.rowBytes = shards.reduce((sum, { size }) => sum + size, 0) / this.numRows;
    this.columns = commonColumns(shards);
    this.fingerprint = hash.digest('hex');
    this.#shards = shards;
    this.#starts = starts;
    this.#onClose = onClose;
    this.content = contentOf(opened);
  }

  async readRows(indices: readonly number[], columns: readonly string[], scope?: ReadScope): Promise<Row[]> {
    for (const column of columns) this.#check(column);
    const byShard = new Map<number, { local: number[]; places: number[] }>();
    for (const [place, index] of indices.entries()) {
      if (!Number.isInteger(index) || index < 0 || index >= this.numRows) {
        throw outOfRange(this, index);
      }
      const shard = this.#shardOf(index);
      let wanted = byShard.get(shard);
      if (wanted === undefined) {
        wanted = { local: [], places: [] };
        byShard.set(shard, wanted);
      }
      wanted.local.push(index - (this.#starts[shard] as number));
      wanted.places.push(place);
    }
    const rows = new Array<Row>(indices.length);
    await Promise.all(
      [...byShard].map(async ([shard, { local, places }]) => {
        const found = await (this.#shards[shard] as Shard).readRows(local, columns, scope);
        for (const [i, place] of places.entries()) rows[place] = found[i] as Row;
      }),
    );
    return rows;
  }

  async readColumn(column: string): Promise<Value[]> {
    this.#check(column);
    const values: Value[] = [];
    for (const shard of this.#shards) for (const value of await shard.readColumn(column)) values.push(value);
    return values;
  }

  close(): Promise<void> {
    return this.#onClose();
  }

  #check(column: string): void {
    if (this.columns.includes(column)) return;
    const lacking =
      this.#shards.find((shard) => shard.sparse !== true && !shard.columns.includes(column)) ??
      (this.#shards[0] as Shard);
    const close = nearest(column, lacking.columns);
    const hint = close === undefined ? '' : ` The nearest is '${close}'.`;
    throw new ConfigError(
      `${lacking.path}: there is no column '${column}'; present are ${lacking.columns.join(', ')}.${hint}`,
    );
  }

  /** The last shard that starts at or before the row. */
  #shardOf(index: number): number {
    let low = 0;
    let high = this.#shards.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#starts[middle] as number) <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function contentOf(opened: readonly OpenedShard[]): SourceContent | undefined {
  const [places, tags] = [createHash('sha256'), createHash('sha256')];
  for (const { shard, tag } of opened) {
    if (tag === undefined) return undefined;
    places.update(`${shard.path}\n`);
    tags.update(`${tag}\n`);
  }
  return { place: places.digest('hex'), tags: tags.digest('hex') };
}

/** A picture's format may be that of few samples: what one tar has and another lacks is still a column. */
function commonColumns(shards: readonly Shard[]): string[] {
  const sets = shards.map(({ sparse, columns }) => (sparse === true ? undefined : new Set(columns)));
  const all = new Set(shards.flatMap(({ columns }) => columns));
  return [...all].filter((column) => sets.every((set) => set === undefined || set.has(column)));
}

/** How many of the rows, which rise, lie in each shard. */
function countByShard(rows: readonly number[], shardRows: readonly number[]): number[] {
  let at = 0;
  let end = 0;
  return shardRows.map((size) => {
    end += size;
    const first = at;
    while (at < rows.length && (rows[at] as number) < end) at++;
    return at - first;
  });
}

/** Some rows of a source, in their order, numbered anew. Closing it closes the source. */
export class RowSubset implements Source {
  readonly path: string;
  readonly schema: string | undefined;
  readonly origins: readonly ColumnOrigin[] | undefined;
  readonly shards: readonly ShardInfo[] | undefined;
  readonly columns: readonly string[];
  readonly renamed: readonly string[] | undefined;
  readonly numRows: number;
  readonly shardRows: readonly number[];
  readonly rowBytes: number | undefined;
  readonly fingerprint: string;
  readonly content: SourceContent | undefined;

  /** @param label what was chosen, for the fingerprint. */
  constructor(
    private readonly source: Source,
    private readonly rows: readonly number[],
    label: string,
  ) {
    this.path = source.path;
    this.schema = source.schema;
    this.origins = source.origins;
    this.shards = source.shards;
    this.columns = source.columns;
    this.renamed = source.renamed;
    this.numRows = rows.length;
    this.shardRows = countByShard(rows, source.shardRows);
    this.rowBytes = source.rowBytes;
    this.content = source.content;
    this.fingerprint = createHash('sha256')
      .update(`${source.fingerprint}\0${label}\0${rows.length}`)
      .digest('hex');
  }

  async readRows(indices: readonly number[], columns: readonly string[], scope?: ReadScope): Promise<Row[]> {
    const rows = indices.map((index) => {
      const row = this.rows[index];
      if (row === undefined) throw outOfRange(this, index);
      return row;
    });
    return this.source.readRows(rows, columns, scope);
  }

  async readColumn(column: string): Promise<Value[]> {
    const values = await this.source.readColumn(column);
    return this.rows.map((row) => values[row] as Value);
  }

  close(): Promise<void> {
    return this.source.close();
  }
}

function outOfRange({ path, numRows }: Source, index: number): DataError {
  return new DataError(`${path}: there is no row ${index}; rows run from 0 to ${numRows - 1}.`);
}
