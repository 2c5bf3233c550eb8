/**
 * Weighted sums over rows and columns of 8-bit images, by `assembly/resample.ts` in WebAssembly. Both passes round
 * to 8 bits; a weight is a whole number of 2^-22.
 */
import { readFileSync } from 'node:fs';
import { builtFile } from '../../built-file.js';
import type { Box } from './crop.js';
import type { Pixels } from './pixels.js';

/** Of a pair of weights: two times the lower 12 bits, two times the upper 10 and the sign, each in 16. */
const PAIR_WORDS = 4;
const LOW_BITS = 12;

/** Per output pixel, the first input pixel, how many, and their weights, as the passes read them. */
export class Weights {
  readonly #starts: Int32Array;
  readonly #counts: Int32Array;
  readonly #values: Int16Array;
  /** Pairs of weights for which each output pixel has room: an even number. */
  readonly numPairs: number;
  /** All of it. */
  readonly table: Uint8Array;

  /** @param maxTaps the most input pixels of an output pixel */
  constructor(
    readonly count: number,
    maxTaps: number,
  ) {
    this.numPairs = 2 * Math.ceil(maxTaps / 4);
    const headBytes = 2 * count * Int32Array.BYTES_PER_ELEMENT;
    const words = count * this.numPairs * PAIR_WORDS;
    this.table = new Uint8Array(headBytes + words * Int16Array.BYTES_PER_ELEMENT);
    const { buffer } = this.table;
    this.#starts = new Int32Array(buffer, 0, count);
    this.#counts = new Int32Array(buffer, headBytes / 2, count);
    this.#values = new Int16Array(buffer, headBytes, words);
  }

  /** Says which input pixels output pixel `i` is made of; both ends of the range rise with `i`. */
  place(i: number, start: number, length: number): void {
    this.#starts[i] = start;
    this.#counts[i] = length;
  }

  /** Sets the weight of the input pixel `start + j` in output pixel `i`. */
  set(i: number, j: number, weight: number): void {
    const at = (i * this.numPairs + (j >> 1)) * PAIR_WORDS + (j & 1);
    this.#values[at] = weight & ((1 << LOW_BITS) - 1);
    this.#values[at + 2] = weight >> LOW_BITS;
  }

  /** The input pixels that any weight is of: the first, and how many. */
  span(): { first: number; length: number } {
    const first = this.#starts[0] as number;
    const last = this.count - 1;
    return { first, length: (this.#starts[last] as number) + (this.#counts[last] as number) - first };
  }
}

/** What happens to a box of an image. */
export interface Passes {
  /** Its weights count pixels from the box's left edge. If it is left out, columns stay. */
  readonly horizontal: Weights | undefined;
  /** Its weights count pixels from the box's upper edge. If it is left out, rows stay. One of the two is there. */
  readonly vertical: Weights | undefined;
  readonly verticalFirst: boolean;
}

type Horizontal = (
  source: number,
  sourceStride: number,
  numRows: number,
  out: number,
  outStride: number,
  outWidth: number,
  table: number,
  numPairs: number,
) => void;

interface Exports {
  readonly memory: WebAssembly.Memory;
  readonly horizontal3: Horizontal;
  readonly horizontal4: Horizontal;
  readonly vertical: (
    source: number,
    sourceStride: number,
    rowBytes: number,
    out: number,
    outStride: number,
    outHeight: number,
    table: number,
    numPairs: number,
  ) => void;
}

const PAGE_BYTES = 2 ** 16;
/** Memory never shrinks; one that a huge image has made larger than this is not kept. */
const MAX_KEPT_BYTES = 64 * 2 ** 20;
const LANES = 16;

let compiled: WebAssembly.Module | undefined;
let kept: Exports | undefined;

/** The passes with a memory of at least that size. */
function instance(bytes: number): Exports {
  compiled ??= new WebAssembly.Module(readFileSync(builtFile(import.meta.url, './resample.wasm')));
  kept ??= new WebAssembly.Instance(compiled).exports as unknown as Exports;
  const missing = bytes - kept.memory.buffer.byteLength;
  if (missing > 0) kept.memory.grow(Math.ceil(missing / PAGE_BYTES));
  return kept;
}

const roundUp = (bytes: number): number => Math.ceil(bytes / LANES) * LANES;

/** Places in a memory, one after the other. */
class Layout {
  /** How much is taken. */
  bytes = 0;

  place(bytes: number): number {
    const at = this.bytes;
    this.bytes = roundUp(at + bytes);
    return at;
  }

  /**
   * Rows, behind each of them room for what a pass writes too much: a byte, or the rest of a vector; and behind all for
   * what the next reads too much: a vector, or the row with which a pair of weights is filled up.
   */
  plane(rowBytes: number, numRows: number): Plane {
    const stride = roundUp(rowBytes + 1);
    return { at: this.place(stride * (numRows + 1) + LANES), stride };
  }
}

/** Rows in a memory: where the first begins, and the bytes from one to the next. */
interface Plane {
  readonly at: number;
  readonly stride: number;
}

/** The plane whose pixel (column, row) is the first of this one. */
const shifted = ({ at, stride }: Plane, column: number, row: number, channels: number): Plane => ({
  at: at - row * stride - column * channels,
  stride,
});

/**
 * Resizes a box of the source and writes the `window` of the result to `out`: `window.height * window.width *
 * channels` bytes. The weights are those of the window's pixels; where a pass is left out, the window is the box's.
 */
export function resample(source: Pixels, box: Box, window: Box, passes: Passes, out: Uint8Array): void {
  const { channels } = source;
  const { horizontal, vertical } = passes;
  const columns = horizontal?.span() ?? { first: window.left, length: window.width };
  const rows = vertical?.span() ?? { first: window.top, length: window.height };
  const verticalFirst = vertical !== undefined && (horizontal === undefined || passes.verticalFirst);

  const layout = new Layout();
  const acrossTable = layout.place(horizontal?.table.length ?? 0);
  const downTable = layout.place(vertical?.table.length ?? 0);
  const between = verticalFirst
    ? layout.plane(columns.length * channels, window.height)
    : layout.plane(window.width * channels, rows.length);
  const rowBytes = window.width * channels;
  // Rows by columns are written one after the other: what is too much of one, the next goes over.
  const result =
    vertical !== undefined && !(verticalFirst && horizontal !== undefined)
      ? { at: layout.place(rowBytes * window.height + LANES), stride: rowBytes }
      : layout.plane(rowBytes, window.height);
  const stride = source.width * channels;
  const input = { at: layout.place(stride * (rows.length + 1) + LANES), stride };

  const wasm = instance(layout.bytes);
  const bytes = new Uint8Array(wasm.memory.buffer);
  const top = (box.top + rows.first) * stride;
  bytes.set(source.data.subarray(top, top + rows.length * stride), input.at);
  if (horizontal !== undefined) bytes.set(horizontal.table, acrossTable);
  if (vertical !== undefined) bytes.set(vertical.table, downTable);

  const across = (from: Plane, numRows: number, to: Plane, { count, numPairs }: Weights): void =>
    (channels === 3 ? wasm.horizontal3 : wasm.horizontal4)(
      ...([from.at, from.stride, numRows, to.at, to.stride, count, acrossTable, numPairs] as const),
    );
  const down = (from: Plane, numColumns: number, to: Plane, { count, numPairs }: Weights): void =>
    wasm.vertical(
      ...([
        from.at,
        from.stride,
        numColumns * channels,
        to.at,
        to.stride,
        count,
        downTable,
        numPairs,
      ] as const),
    );
  // The first row and column that are in the memory are not those from which weights count.
  const boxCorner = shifted(input, -box.left, rows.first, channels);
  if (verticalFirst) {
    const to = horizontal === undefined ? result : between;
    down(shifted(boxCorner, -columns.first, 0, channels), columns.length, to, vertical);
    if (horizontal !== undefined) {
      across(shifted(between, columns.first, 0, channels), window.height, result, horizontal);
    }
  } else if (horizontal !== undefined) {
    const to = vertical === undefined ? result : between;
    across(shifted(boxCorner, 0, -rows.first, channels), rows.length, to, horizontal);
    if (vertical !== undefined)
      down(shifted(between, 0, rows.first, channels), window.width, result, vertical);
  }
  copyPlane(bytes, result, rowBytes, window.height, out);
  if (bytes.length > MAX_KEPT_BYTES) kept = undefined;
}

function copyPlane(
  bytes: Uint8Array,
  { at, stride }: Plane,
  rowBytes: number,
  numRows: number,
  out: Uint8Array,
): void {
  if (stride === rowBytes) {
    out.set(bytes.subarray(at, at + numRows * rowBytes));
    return;
  }
  for (let y = 0; y < numRows; y++) {
    const from = at + y * stride;
    out.set(bytes.subarray(from, from + rowBytes), y * rowBytes);
  }
}
