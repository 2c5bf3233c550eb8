/** Random access to a file's records by way of their index. */
import { DataError } from '../../../errors.js';
import { freeMemory, type ReadScope } from '../../free-memory.js';
import { FAULT, type Row, type Value } from '../../schema.js';
import { message, type StoredFile } from '../../storage/stored-file.js';
import type { BlockCache } from '../block-cache.js';
import type { Shard } from '../source.js';
import { type Ranges, RecordFault, type RecordFormat, tooLong } from './record-format.js';
import { groupOf, groupRows, type RecordIndex } from './record-index.js';

/** Groups that follow one another are read together up to so many bytes. */
const READ_BYTES = 4 * 1024 * 1024;
/** Rows of a column read at a time. */
const COLUMN_ROWS = 4096;

interface Group {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly ranges: Ranges;
}

/** A group that is being waited for. */
interface Missing {
  readonly group: number;
  readonly resolve: (group: Group) => void;
  readonly reject: (cause: unknown) => void;
}

/** A shard of records. `size` is that of the file as the user has it, which may be compressed. */
export class RecordShard implements Shard {
  readonly path: string;
  readonly columns: readonly string[];
  readonly numRows: number;
  readonly sparse: boolean;

  constructor(
    private readonly file: StoredFile,
    readonly size: number,
    private readonly index: RecordIndex,
    private readonly format: RecordFormat,
    private readonly cache: BlockCache,
  ) {
    this.path = file.path;
    this.columns = index.columns;
    this.numRows = index.numRows;
    this.sparse = format.sparse === true;
  }

  async readRows(indices: readonly number[], columns: readonly string[], scope?: ReadScope): Promise<Row[]> {
    const groups = indices.map((row) => groupOf(this.index, row));
    const blocks = this.#groups(new Set(groups), scope);
    const wanted = new Set(columns);
    return Promise.all(
      indices.map(async (row, i) => {
        const group = groups[i] as number;
        const block = await (blocks.get(group) as Promise<Group> | undefined);
        if (block === undefined) {
          return faulty(columns, tooLong(this.index.lengths[group] as number, this.format.maxRecordBytes));
        }
        const place = 2 * (row - (this.index.firstRows[group] as number));
        const record = block.bytes.subarray(block.ranges[place], block.ranges[place + 1]);
        const found = this.#row(record, columns, wanted);
        return scope === undefined ? detached(found) : found;
      }),
    );
  }

  async readColumn(column: string): Promise<Value[]> {
    const values: Value[] = [];
    for (let row = 0; row < this.numRows; row += COLUMN_ROWS) {
      const count = Math.min(COLUMN_ROWS, this.numRows - row);
      const rows = await this.readRows(
        Array.from({ length: count }, (_, i) => row + i),
        [column],
      );
      for (const found of rows) values.push(found[column] as Value);
    }
    return values;
  }

  #row(record: Uint8Array<ArrayBuffer>, columns: readonly string[], wanted: ReadonlySet<string>): Row {
    try {
      const fields = this.format.parse(record, wanted);
      return Object.fromEntries(columns.map((column) => [column, fields.get(column) ?? null]));
    } catch (cause) {
      if (!(cause instanceof RecordFault)) throw cause;
      return faulty(columns, cause.message, this.format.keyOf?.(record));
    }
  }

  /** The groups, read where the cache lacks them; a group that is one too long record is left out. */
  #groups(wanted: ReadonlySet<number>, scope: ReadScope | undefined): Map<number, Promise<Group>> {
    const blocks = new Map<number, Promise<Group>>();
    const missing: Missing[] = [];
    for (const group of [...wanted].sort((a, b) => a - b)) {
      const bytes = this.index.lengths[group] as number;
      if (bytes > this.format.maxRecordBytes) continue;
      const read = (): Promise<Group> =>
        new Promise((resolve, reject) => {
          missing.push({ group, resolve, reject });
        });
      const key = `${this.path}\0${group}`;
      const block = scope ? (this.cache.held<Group>(key) ?? read()) : this.cache.get(key, bytes, read);
      block.catch(() => undefined); // thrown where it is awaited, and another may be first
      blocks.set(group, block);
    }
    for (let i = 0; i < missing.length; ) {
      const start = i++;
      while (i < missing.length && this.#joins(missing[start] as Missing, missing[i - 1], missing[i])) i++;
      void this.#read(missing.slice(start, i), scope);
    }
    return blocks;
  }

  /** Whether a group is read along with those before it. */
  #joins(first: Missing, before: Missing | undefined, next: Missing | undefined): boolean {
    if (before === undefined || next === undefined || next.group !== before.group + 1) return false;
    return this.#end(next.group) - (this.index.offsets[first.group] as number) <= READ_BYTES;
  }

  #end(group: number): number {
    return (this.index.offsets[group] as number) + (this.index.lengths[group] as number);
  }

  /** Reads groups that follow one another; in a scope, their bytes are its. */
  async #read(run: readonly Missing[], scope: ReadScope | undefined): Promise<void> {
    try {
      const start = this.index.offsets[(run[0] as Missing).group] as number;
      const end = this.#end((run.at(-1) as Missing).group);
      const bytes = await this.file.read(start, end - start);
      for (const { group, resolve } of run) {
        const from = (this.index.offsets[group] as number) - start;
        const to = this.#end(group) - start;
        // Copied, so that a group that stays in the cache does not keep the others' bytes.
        const own = run.length > 1 && scope === undefined ? bytes.slice(from, to) : bytes.subarray(from, to);
        resolve({ bytes: own, ranges: this.#split(group, own) });
      }
      if (scope !== undefined) scope.own(bytes);
      else if (run.length > 1) freeMemory(bytes);
    } catch (cause) {
      for (const { reject } of run) reject(cause);
    }
  }

  #split(group: number, bytes: Uint8Array<ArrayBuffer>): Ranges {
    let problem: string;
    try {
      const ranges = this.format.split(bytes);
      if (ranges.length === 2 * groupRows(this.index, group)) return ranges;
      problem = `expected ${groupRows(this.index, group)} rows, found ${ranges.length / 2}`;
    } catch (cause) {
      problem = message(cause);
    }
    throw new DataError(
      `${this.path}: was changed since it was indexed: from byte ${this.index.offsets[group]}, ${problem}. ` +
        'Open it again, and do not write to it meanwhile.',
    );
  }
}

/** The row with bytes of their own, not the whole group's, to be sent alone. */
function detached(row: Row): Row {
  for (const [column, value] of Object.entries(row)) {
    if (value instanceof Uint8Array) row[column] = value.slice();
  }
  return row;
}

function faulty(columns: readonly string[], fault: string, key?: readonly [string, string]): Row {
  const cells = columns.map((column) => [column, column === key?.[0] ? key[1] : null] as const);
  return { ...Object.fromEntries(cells), [FAULT]: fault };
}
