/**
 * Where the records of a file without an index of its own lie. Neighbouring records are held as one group, so that
 * the index stays small: a file of 30 million captions of 300 bytes has some 280,000 groups, 6 MB.
 */

/** Groups of a file's records, in order. */
export interface RecordIndex {
  /** Union of the columns of all records that could be read. */
  readonly columns: readonly string[];
  /** How the file is laid out, where its format knows several ways; else ''. */
  readonly layout: string;
  readonly numRows: number;
  /** Byte at which each group begins. */
  readonly offsets: Float64Array<ArrayBuffer>;
  /** Bytes of each group; two groups may have bytes between them that belong to no record. */
  readonly lengths: Float64Array<ArrayBuffer>;
  /** First row of each group. */
  readonly firstRows: Uint32Array<ArrayBuffer>;
}

/** Gathers records, which come in the file's order, to groups of about `groupBytes`. */
export class GroupBuilder {
  readonly #offsets: number[] = [];
  readonly #lengths: number[] = [];
  readonly #firstRows: number[] = [];
  #numRows = 0;

  constructor(private readonly groupBytes: number) {}

  get numRows(): number {
    return this.#numRows;
  }

  /** Adds the record of the bytes from `start` to `end`. One longer than a group is a group of its own. */
  add(start: number, end: number): void {
    const last = this.#offsets.length - 1;
    const first = this.#offsets[last];
    if (first === undefined || end - first > this.groupBytes) {
      this.#offsets.push(start);
      this.#lengths.push(end - start);
      this.#firstRows.push(this.#numRows);
    } else {
      this.#lengths[last] = end - first;
    }
    this.#numRows++;
  }

  finish(columns: Iterable<string>, layout: string): RecordIndex {
    return {
      columns: [...columns],
      layout,
      numRows: this.#numRows,
      offsets: Float64Array.from(this.#offsets),
      lengths: Float64Array.from(this.#lengths),
      firstRows: Uint32Array.from(this.#firstRows),
    };
  }
}

/** The group that holds a row. */
export function groupOf({ firstRows }: RecordIndex, row: number): number {
  let low = 0;
  let high = firstRows.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if ((firstRows[middle] as number) <= row) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Rows of a group. */
export function groupRows({ firstRows, numRows }: RecordIndex, group: number): number {
  return (firstRows[group + 1] ?? numRows) - (firstRows[group] as number);
}
