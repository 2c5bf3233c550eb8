/**
 * Parquet shards, decoded by hyparquet: only the row groups, columns and, of large columns, the pages that are asked for.
 *
 * Source: https://parquet.apache.org/docs/file-format/ (footer, row groups, column chunks, page index).
 */
import { DataError } from '../../errors.js';
import type { Row, Value } from '../schema.js';
import { message, type StoredFile } from '../storage/stored-file.js';
import type { BlockCache } from './block-cache.js';
import { ByteGate } from './byte-gate.js';
import { decodeColumn, onlyLeaf, type Pages, tooLarge } from './parquet-chunk.js';
import { type Chunk, type Column, type Footer, type Group, readFooter } from './parquet-footer.js';
import { PageIndex, type Segment } from './parquet-pages.js';
import type { Shard } from './source.js';

/** Columns of a row group that are larger once decompressed are read by pages. */
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
  readonly values: ArrayLike<unknown>;
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

  async readRows(indices: readonly number[], columns: readonly string[]): Promise<Row[]> {
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
      [...places].flatMap(([group, wanted]) =>
        columns.map(async (name) => {
          const local = wanted.map((place) => (indices[place] as number) - group.firstRow);
          const values = await this.#values(group, this.columns.indexOf(name), local);
          for (const [i, place] of wanted.entries()) (rows[place] as Row)[name] = values[i] as Value;
        }),
      ),
    );
    return rows;
  }

  async readColumn(name: string): Promise<Value[]> {
    const values: Value[] = [];
    for (const group of this.footer.groups) {
      const rows = Array.from({ length: group.numRows }, (_, i) => i);
      for (const value of await this.#values(group, this.columns.indexOf(name), rows)) values.push(value);
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

  async #values(group: Group, index: number, rows: readonly number[]): Promise<Value[]> {
    const column = this.footer.columns[index] as Column;
    const chunks = group.chunks[index] as readonly Chunk[];
    try {
      const odd = chunks.find(({ isEncrypted }) => isEncrypted);
      if (odd !== undefined)
        throw new Error('it is encrypted, which is not read; write it without encryption');
      const numBytes = chunks.reduce((sum, { plainBytes }) => sum + plainBytes, 0);
      const isFlat = column.leaves.every(({ maxRepetition }) => maxRepetition === 0);
      if (numBytes > WHOLE_BYTES && isFlat) return await this.#byPages(group, column, chunks, rows);
      if (numBytes > MAX_NESTED_BYTES) throw new Error(tooLarge(numBytes));
      const values = await this.#whole(group, column, chunks, numBytes);
      return rows.map((row) => column.convert(values[row]));
    } catch (cause) {
      if (cause instanceof DataError) throw cause;
      throw new DataError(
        `${this.path}: column '${column.name}', row group from row ${group.firstRow}: cannot be read (${message(cause)}). ` +
          'Build or copy the shard again.',
        { cause },
      );
    }
  }

  #whole(
    group: Group,
    column: Column,
    chunks: readonly Chunk[],
    numBytes: number,
  ): Promise<ArrayLike<unknown>> {
    return this.cache.get(`${this.path}\0${chunks[0]?.start}`, numBytes, async () => {
      return gate.pass(numBytes, async () => {
        const pages = await Promise.all(
          chunks.map(async ({ leaf, codec, start, end }): Promise<Pages> => {
            return { leaf, codec, bytes: await this.file.read(start, end - start) };
          }),
        );
        return decodeColumn(column.node, pages, group.numRows);
      });
    });
  }

  /** Reads the pages that hold the rows, of each leaf of a column without lists. */
  async #byPages(
    group: Group,
    column: Column,
    chunks: readonly Chunk[],
    rows: readonly number[],
  ): Promise<Value[]> {
    const read = chunks.map((chunk) => this.#leafRows(group, chunk, rows));
    // All of them, so that none fails unheard.
    const settled = await Promise.allSettled(read);
    const failed = settled.find(({ status }) => status === 'rejected');
    if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
    const leaves = await Promise.all(read);
    return rows.map((_, i) => column.convert(merge(leaves.map((values) => values[i]))));
  }

  async #leafRows(group: Group, chunk: Chunk, rows: readonly number[]): Promise<unknown[]> {
    const index = this.#indexOf(group, chunk);
    const segments = new Map<Segment, number[]>();
    for (const [place, row] of rows.entries()) {
      const segment = await index.segmentOf(row);
      const held = segments.get(segment);
      if (held === undefined) segments.set(segment, [place]);
      else held.push(place);
    }
    const values = new Array<unknown>(rows.length);
    await Promise.all(
      [...segments].map(async ([segment, places]) => {
        const run = await this.#segment(chunk, index, segment);
        // Copies: a page may be far larger than the value, and be held by it.
        for (const place of places)
          values[place] = detached(run.values[(rows[place] as number) - run.firstRow]);
      }),
    );
    return values;
  }

  #segment(chunk: Chunk, index: PageIndex, segment: Segment): Promise<Run> {
    const { start, firstRow, endRow, plainBytes } = segment;
    return this.cache.get(`${this.path}\0${start}`, plainBytes, async () => {
      return gate.pass(plainBytes, async () => {
        const { leaf, codec } = chunk;
        const pages = { leaf, codec, bytes: await index.read(segment) };
        return { firstRow, values: await decodeColumn(onlyLeaf(leaf), [pages], endRow - firstRow) };
      });
    });
  }

  #indexOf(group: Group, chunk: Chunk): PageIndex {
    const held = this.#indexes.get(chunk) ?? new PageIndex(this.file, chunk, group.numRows);
    this.#indexes.set(chunk, held);
    return held;
  }
}

/** A value of a column without lists as bytes of its own. */
function detached(raw: unknown): unknown {
  if (raw instanceof Uint8Array) return raw.slice();
  if (raw === null || typeof raw !== 'object') return raw;
  return Object.fromEntries(Object.entries(raw).map(([name, value]) => [name, detached(value)]));
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
