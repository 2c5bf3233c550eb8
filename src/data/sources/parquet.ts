/**
 * Parquet shards, decoded by hyparquet: only the row groups, columns and, of large columns, the pages that are asked for.
 *
 * Source: https://parquet.apache.org/docs/file-format/ (footer, row groups, column chunks, page index).
 */
import { DataError } from '../../errors.js';
import { freeMemory, type ReadScope } from '../free-memory.js';
import type { Row, Value } from '../schema.js';
import { message, type StoredFile } from '../storage/stored-file.js';
import type { BlockCache } from './block-cache.js';
import { ByteGate } from './byte-gate.js';
import { prepareZstd } from './codecs.js';
import { decodeColumn, onlyLeaf, type Pages, tooLarge } from './parquet-chunk.js';
import { FlatValues, type Values } from './parquet-flat.js';
import { type Chunk, type Column, type Footer, type Group, readFooter } from './parquet-footer.js';
import { PageIndex, type Segment } from './parquet-pages.js';
import type { Shard } from './source.js';

/** Columns of a row group without lists that are larger once decompressed are read by pages. */
const WHOLE_BYTES = 8 * 1024 * 1024;
/** Nested columns are decoded whole, up to this many bytes. */
const MAX_NESTED_BYTES = 1024 * 1024 * 1024;

/**
 * Opens a Parquet shard: reads its footer only.
 *
 * @throws DataError if the file is not Parquet, is cut off, damaged or encrypted.
 */
export async function openParquetShard(file: StoredFile, cache: BlockCache): Promise<Shard> {
  return new ParquetShard(file, await readFooter(file), cache);
}

/** Lets so many bytes be decoded at a time, in all shards: rows from here and there need many pages at once. */
const gate = new ByteGate(256 * 1024 * 1024);

/** Values as they are stored, from a row on. */
interface Run {
  readonly firstRow: number;
  readonly values: Values;
}

/** Rows of a read that are in one row group. */
interface Wanted {
  readonly group: Group;
  /** Counted from the group's first. */
  readonly rows: readonly number[];
  readonly scope: ReadScope | undefined;
}

class ParquetShard implements Shard {
  readonly path: string;
  readonly size: number;
  readonly columns: readonly string[];
  readonly numRows: number;
  readonly numGroups: number;
  readonly #indexes = new Map<Chunk, PageIndex>();

  constructor(
    private readonly file: StoredFile,
    private readonly footer: Footer,
    private readonly cache: BlockCache,
  ) {
    this.path = file.path;
    this.size = file.size;
    this.columns = footer.columns.map(({ name }) => name);
    this.numRows = footer.numRows;
    this.numGroups = footer.groups.length;
  }

  async readRows(indices: readonly number[], columns: readonly string[], scope?: ReadScope): Promise<Row[]> {
    const places = new Map<Group, number[]>();
    for (const [place, index] of indices.entries()) {
      const group = this.#groupOf(index);
      const held = places.get(group);
      if (held === undefined) places.set(group, [place]);
      else held.push(place);
    }
    // In the columns' order, whichever is read first.
    const rows = indices.map((): Row => Object.fromEntries(columns.map((name) => [name, null])));
    await Promise.all(
      [...places].flatMap(([group, wanted]) => {
        const local = wanted.map((place) => (indices[place] as number) - group.firstRow);
        return columns.map(async (name) => {
          const values = await this.#values(this.columns.indexOf(name), { group, rows: local, scope });
          for (const [i, place] of wanted.entries()) (rows[place] as Row)[name] = values[i] as Value;
        });
      }),
    );
    return rows;
  }

  async readColumn(name: string): Promise<Value[]> {
    const values: Value[] = [];
    for (const group of this.footer.groups) {
      const rows = Array.from({ length: group.numRows }, (_, i) => i);
      const read = await this.#values(this.columns.indexOf(name), { group, rows, scope: undefined });
      for (const value of read) values.push(value);
    }
    return values;
  }

  /** The last row group that begins at or before the row. */
  #groupOf(row: number): Group {
    const { groups } = this.footer;
    let [low, high] = [0, groups.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((groups[middle] as Group).firstRow <= row) low = middle;
      else high = middle - 1;
    }
    return groups[low] as Group;
  }

  async #values(index: number, wanted: Wanted): Promise<Value[]> {
    const { group, rows, scope } = wanted;
    const column = this.footer.columns[index] as Column;
    const chunks = group.chunks[index] as readonly Chunk[];
    try {
      const odd = chunks.find(({ isEncrypted }) => isEncrypted);
      if (odd !== undefined)
        throw new Error('it is encrypted, which is not read; write it without encryption');
      // Who gave a scope copies what is in it.
      const convert = scope === undefined ? column.convert : column.view;
      if (column.leaves.every(({ maxRepetition }) => maxRepetition === 0)) {
        const leaves = await this.#leaves(chunks, wanted);
        return rows.map((_, i) => convert(merge(leaves.map((values) => values[i]))));
      }
      const numBytes = chunks.reduce((sum, { plainBytes }) => sum + plainBytes, 0);
      if (numBytes > MAX_NESTED_BYTES) throw new Error(tooLarge(numBytes));
      const values = await this.#nested(column, chunks, numBytes, wanted);
      return rows.map((row) => convert(values[row]));
    } catch (cause) {
      if (cause instanceof DataError) throw cause;
      throw new DataError(
        `${this.path}: column '${column.name}', row group from row ${group.firstRow}: cannot be read (${reasonOf(cause)}). ` +
          'Build or copy the shard again.',
        { cause },
      );
    }
  }

  /** A column with lists in the whole row group. */
  #nested(
    column: Column,
    chunks: readonly Chunk[],
    numBytes: number,
    wanted: Wanted,
  ): Promise<ArrayLike<unknown>> {
    const { numRows } = wanted.group;
    const key = `${this.path}\0${chunks[0]?.start}`;
    return this.#kept(key, numBytes, isLastOf(numRows, wanted), () => {
      return gate.pass(numBytes, async () => {
        const pages = await Promise.all(
          chunks.map(async ({ leaf, codec, start, end }): Promise<Pages> => {
            return { leaf, codec, bytes: await this.file.read(start, end - start) };
          }),
        );
        return decodeColumn(column.node, pages, numRows);
      });
    });
  }

  /** What is stored for the rows in each leaf of a column without lists. */
  async #leaves(chunks: readonly Chunk[], wanted: Wanted): Promise<unknown[][]> {
    const most = WHOLE_BYTES / chunks.length;
    const read = chunks.map((chunk) => this.#leafRows(chunk, chunk.plainBytes > most, wanted));
    // All of them, so that none fails unheard.
    const settled = await Promise.allSettled(read);
    const failed = settled.find(({ status }) => status === 'rejected');
    if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
    return Promise.all(read);
  }

  async #leafRows(chunk: Chunk, byPages: boolean, wanted: Wanted): Promise<unknown[]> {
    const { group, rows } = wanted;
    const { start, end, plainBytes } = chunk;
    const whole: Segment = { start, end, firstRow: 0, endRow: group.numRows, plainBytes };
    const index = byPages ? this.#indexOf(group, chunk) : undefined;
    const segments = new Map<Segment, number[]>();
    let [segment, held] = [undefined as Segment | undefined, [] as number[]];
    for (const [place, row] of rows.entries()) {
      // Rows mostly come in order.
      if (segment === undefined || row < segment.firstRow || row >= segment.endRow) {
        segment = index === undefined ? whole : await index.segmentOf(row);
        held = segments.get(segment) ?? [];
        segments.set(segment, held);
      }
      held.push(place);
    }
    const values = new Array<unknown>(rows.length);
    await Promise.all(
      [...segments].map(async ([segment, places]) => {
        const run = await this.#segment(chunk, index, segment, wanted);
        for (const place of places) values[place] = run.values.get((rows[place] as number) - run.firstRow);
      }),
    );
    return values;
  }

  #segment(chunk: Chunk, index: PageIndex | undefined, segment: Segment, wanted: Wanted): Promise<Run> {
    const { start, end, firstRow, endRow, plainBytes } = segment;
    const isLast = isLastOf(endRow, wanted);
    return this.#kept(`${this.path}\0${start}`, plainBytes, isLast, () => {
      return gate.pass(plainBytes, async () => {
        const { leaf, codec } = chunk;
        const bytes = await (index === undefined ? this.file.read(start, end - start) : index.read(segment));
        const values = await openValues(
          { leaf, codec, bytes },
          endRow - firstRow,
          isLast ? wanted.scope : undefined,
        );
        return { firstRow, values };
      });
    });
  }

  /** What a read made, from the cache or for it; but what is wanted for the last time goes from there, or does not go in. */
  #kept<T>(key: string, numBytes: number, isLast: boolean, read: () => Promise<T>): Promise<T> {
    return isLast ? (this.cache.take<T>(key) ?? read()) : this.cache.get(key, numBytes, read);
  }

  #indexOf(group: Group, chunk: Chunk): PageIndex {
    const held = this.#indexes.get(chunk) ?? new PageIndex(this.file, chunk, group.numRows);
    this.#indexes.set(chunk, held);
    return held;
  }
}

/** Whether nobody will soon ask for rows before `endRow` again: reads with a scope go through the rows in order. */
function isLastOf(endRow: number, { rows, scope }: Wanted): boolean {
  return scope !== undefined && rows.includes(endRow - 1);
}

/** Opens pages of a column without lists. @param scope is given the memory that the values lie in */
async function openValues(pages: Pages, numRows: number, scope: ReadScope | undefined): Promise<Values> {
  if (pages.codec === 'ZSTD') await prepareZstd();
  const flat = FlatValues.open(pages, numRows);
  if (flat === undefined) {
    const values = await decodeColumn(onlyLeaf(pages.leaf), [pages], numRows);
    return { get: (row) => values[row] };
  }
  if (!flat.liesIn(pages.bytes.buffer)) freeMemory(pages.bytes);
  else scope?.own(pages.bytes);
  if (scope !== undefined) for (const memory of flat.memory) scope.own(memory);
  return flat;
}

/** A bound that hyparquet runs into is told of in words of the file, not of its program. */
function reasonOf(cause: unknown): string {
  const isBound = cause instanceof RangeError && /outside the bounds|Invalid typed array/.test(cause.message);
  return cause instanceof TypeError || isBound ? 'its pages are damaged' : message(cause);
}

/** Puts structs of one leaf each together. */
function merge(parts: readonly unknown[]): unknown {
  if (parts.length === 1) return parts[0];
  if (parts.some((part) => part === null || part === undefined)) return null;
  const byName = new Map<string, unknown[]>();
  for (const part of parts) {
    for (const [name, value] of Object.entries(part as object))
      byName.set(name, [...(byName.get(name) ?? []), value]);
  }
  return Object.fromEntries(
    [...byName].map(([name, values]) => [name, values.length === 1 ? values[0] : merge(values)]),
  );
}
