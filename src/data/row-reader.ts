/** Reads the rows of one source in the order in which an epoch visits them, without reading a piece of a file often. */
import { DataError } from '../errors.js';
import { ReadScope } from './free-memory.js';
import type { PositionRange, WindowOrder } from './order/window-order.js';
import type { Row } from './schema.js';
import { SizedMemory } from './sized-memory.js';
import type { Source } from './sources/source.js';

/** A row's place in the order of its source. */
export interface RowPlace {
  readonly epoch: number;
  readonly position: number;
}

/** Reads rows by their place. */
export interface RowReader {
  /** The rows at the places, in their order. @throws DataError of the source */
  read(places: readonly RowPlace[]): Promise<Row[]>;
  /** Says that the bytes of a row that was read will not be looked at any more. */
  done(row: Row): void;
  /** Says that no place before this one will be read. */
  release(place: RowPlace): void;
  /** Begins no new read and waits for those under way. */
  close(): Promise<void>;
}

export interface RowReaderOptions {
  readonly source: Source;
  readonly order: WindowOrder;
  readonly columns: readonly string[];
  /** The first place that will be read. */
  readonly start: RowPlace;
  /** Epochs of the source that will be read at most. */
  readonly epochs: number | undefined;
}

/** Most bytes of rows held for a shuffled window. */
const BUFFER_BYTES = 256 * 2 ** 20;

/** Bytes of rows that are done with, kept for the next ones. */
const SPARE_BYTES = 32 * 2 ** 20;

/** Rows of a window where they are light. */
const MAX_WINDOW = 65_536;

/** Rows of a window where they are heavy: fewer would hardly be shuffled. */
const MIN_WINDOW = 256;

/** Sources up to this size stay in the reader's cache of pieces, so that their rows can be read in any order. */
const SCATTERED_BYTES = 128 * 2 ** 20;

/** Rows read at a time where a window is read as it is stored. */
const SLICE_ROWS = 128;

/** Positions at which a reader begins that are read first and few at a time, so that the first batch comes soon. */
const HEAD_ROWS = 128;
const HEAD_SLICE_ROWS = 16;

/**
 * Slices that nobody waits for yet, read for each slice's worth of rows that are taken. None before: on few cores
 * reading ahead would take the time in which the first batch is decoded.
 */
const SLICES_AHEAD = 4;

/** Windows planned ahead of the one that is visited, so that an epoch's small first ones do not stall it. */
const AHEAD = 2;

/** The window for a source of which none is configured: as many rows as {@link BUFFER_BYTES} hold, to a limit. */
export function defaultWindow({ rowBytes }: Pick<Source, 'rowBytes'>): number {
  if (rowBytes === undefined) return MAX_WINDOW;
  return Math.max(MIN_WINDOW, Math.min(MAX_WINDOW, Math.floor(BUFFER_BYTES / Math.max(1, rowBytes))));
}

/** The reader that suits a source: small ones are read row by row, others window by window. */
export function createRowReader(options: RowReaderOptions): RowReader {
  const { rowBytes, numRows } = options.source;
  const scattered = rowBytes === undefined || rowBytes * numRows <= SCATTERED_BYTES;
  return scattered ? new ScatteredReader(options) : new WindowReader(options, BUFFER_BYTES);
}

const closedError = (): DataError => new DataError('The loader was closed.');

/** Reads each row when it is asked for. */
class ScatteredReader implements RowReader {
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(private readonly options: RowReaderOptions) {}

  read(places: readonly RowPlace[]): Promise<Row[]> {
    const { source, order, columns } = this.options;
    // One read after the other: the source sees the epoch's order, and two reads never hold twice the memory.
    const read = this.#last.then(() => {
      if (this.#closed) throw closedError();
      return source.readRows(
        places.map(({ epoch, position }) => order.rowAt(epoch, position)),
        columns,
      );
    });
    this.#last = read.catch(() => undefined);
    return read;
  }

  done(): void {} // the source may keep them

  release(): void {}

  async close(): Promise<void> {
    this.#closed = true;
    await this.#last;
  }
}

/** Rows of a window that lie close together in the source, read at once. */
interface Slice {
  /** Positions, in order of their rows. */
  readonly positions: readonly number[];
  readonly ready: Promise<void>;
  readonly settle: (error?: unknown) => void;
}

interface LoadedWindow extends PositionRange {
  readonly epoch: number;
  readonly slices: readonly Slice[];
  /** Number of each position's slice, counted from the window's start. */
  readonly sliceOf: Uint32Array;
  /** Slices that were read. */
  numRead: number;
  /** Rows that were read and not yet asked for, by position. */
  readonly rows: Map<number, Row>;
  /** Somebody waits for one of its rows, or did. */
  wanted: boolean;
  /** How many wait now. */
  numWaiting: number;
}

/**
 * Reads each window's rows in the order in which they are stored and keeps them until they are asked for. Rows of the
 * window after it are read as those of the current one are used up, so that at any time about a window is held.
 */
export class WindowReader implements RowReader {
  readonly #options: RowReaderOptions;
  readonly #maxBytes: number;
  readonly #memory = new SizedMemory(SPARE_BYTES);
  /** Rows handed out whose bytes are nobody else's. */
  readonly #own = new WeakSet<Row>();
  /** In the order in which they are visited. */
  #windows: LoadedWindow[] = [];
  /** Where the first window that is not among them begins. */
  #next: RowPlace;
  /** No place before it will be asked for. */
  #released: RowPlace;
  #heldBytes = 0;
  #numTaken = 0;
  /** Slices read before anybody waited for their window. */
  #numAhead = 0;
  #reading = false;
  #lastReading: Promise<void> = Promise.resolve();
  #closed = false;

  /** @param maxBytes rows of later windows are read while fewer bytes are held */
  constructor(options: RowReaderOptions, maxBytes: number) {
    this.#options = options;
    this.#maxBytes = maxBytes;
    this.#next = options.start;
    this.#released = options.start;
  }

  /** Bytes of the rows held now. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  read(places: readonly RowPlace[]): Promise<Row[]> {
    const rows = Promise.all(places.map((place) => this.#take(place)));
    this.#pump();
    return rows;
  }

  done(row: Row): void {
    if (this.#own.delete(row)) for (const bytes of bytesIn(row)) this.#memory.put(bytes);
  }

  release(place: RowPlace): void {
    this.#released = place;
    for (const window of this.#windows) {
      if (!isBefore(window, place)) break;
      for (const position of window.rows.keys()) {
        if (window.epoch < place.epoch || position < place.position) this.#remove(window, position);
      }
    }
    // What was asked for before is still read: it may be waited for together with rows that are not released.
    this.#windows = this.#windows.filter(
      ({ epoch, end, numWaiting }) =>
        numWaiting > 0 || epoch > place.epoch || (epoch === place.epoch && end > place.position),
    );
    this.#pump();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#lastReading;
    for (const { slices } of this.#windows) for (const { settle } of slices) settle(closedError());
    this.#windows = [];
    this.#heldBytes = 0;
    this.#memory.clear();
  }

  async #take(place: RowPlace): Promise<Row> {
    if (this.#closed) throw closedError();
    const { source, order, columns } = this.#options;
    const window = this.#windowOf(place);
    const slice = window?.slices[window.sliceOf[place.position - window.start] as number];
    if (window !== undefined && slice !== undefined) {
      window.wanted = true;
      window.numWaiting++;
      await slice.ready.finally(() => window.numWaiting--);
      this.#numTaken++;
      const row = window.rows.get(place.position);
      this.#remove(window, place.position);
      this.#pump();
      if (row !== undefined) {
        this.#own.add(row);
        return row;
      }
    }
    // It was read and let go before.
    const [row] = await source.readRows([order.rowAt(place.epoch, place.position)], columns);
    return row as Row;
  }

  #remove(window: LoadedWindow, position: number): void {
    const row = window.rows.get(position);
    if (row === undefined) return;
    this.#heldBytes -= bytesOf(row);
    window.rows.delete(position);
  }

  /** The window of a place, opened if it is one of those to come; undefined if it was left behind. */
  #windowOf(place: RowPlace): LoadedWindow | undefined {
    while (!isBefore(place, this.#next)) this.#open();
    return this.#windows.find(
      ({ epoch, start, end }) => epoch === place.epoch && place.position >= start && place.position < end,
    );
  }

  /** Plans the next window, from where it is entered. */
  #open(): LoadedWindow {
    const { order } = this.#options;
    const { epoch, position: start } = this.#next;
    const { end } = order.windowOf(start);
    const rows = Array.from({ length: end - start }, (_, i) => order.rowAt(epoch, start + i));
    const inOrder = (places: Iterable<number>): number[] =>
      [...places].sort((a, b) => (rows[a] as number) - (rows[b] as number));
    const sliceOf = new Uint32Array(rows.length);
    const slices: Slice[] = [];
    const add = (places: readonly number[]): void => {
      for (const place of places) sliceOf[place] = slices.length;
      slices.push(newSlice(places.map((place) => start + place)));
    };
    const places = [...rows.keys()];
    const isFirst = isSame(this.#next, this.#options.start);
    const head = isFirst ? places.splice(0, HEAD_ROWS) : [];
    for (let at = 0; at < head.length; at += HEAD_SLICE_ROWS)
      add(inOrder(head.slice(at, at + HEAD_SLICE_ROWS)));
    const sorted = inOrder(places);
    for (let at = 0; at < sorted.length; at += SLICE_ROWS) add(sorted.slice(at, at + SLICE_ROWS));
    const window = {
      epoch,
      start,
      end,
      slices,
      sliceOf,
      numRead: 0,
      rows: new Map(),
      wanted: false,
      numWaiting: 0,
    };
    this.#windows.push(window);
    this.#next = end === order.numRows ? { epoch: epoch + 1, position: 0 } : { epoch, position: end };
    return window;
  }

  #pump(): void {
    if (this.#reading || this.#closed) return;
    this.#reading = true;
    this.#lastReading = this.#readAhead();
  }

  async #readAhead(): Promise<void> {
    for (let window = this.#due(); window !== undefined && !this.#closed; window = this.#due()) {
      if (!window.wanted) this.#numAhead++;
      await this.#readSlice(window, window.slices[window.numRead++] as Slice);
    }
    this.#reading = false;
  }

  /** The window whose next slice should be read now. */
  #due(): LoadedWindow | undefined {
    // A window that is used up goes.
    while (this.#windows[0] !== undefined && isUsedUp(this.#windows[0])) this.#windows.shift();
    const unread = this.#windows.filter(({ numRead, slices }) => numRead < slices.length);
    const [first] = unread;
    // One that somebody waits for comes before an earlier one that nobody does, which may never be read.
    if (first !== undefined) {
      return unread.find(({ wanted }) => wanted) ?? (this.#mayReadAhead ? first : undefined);
    }
    const { epochs } = this.#options;
    const ended = epochs !== undefined && this.#next.epoch >= epochs;
    return ended || this.#windows.length > AHEAD || !this.#mayReadAhead ? undefined : this.#open();
  }

  get #mayReadAhead(): boolean {
    const allowed = SLICES_AHEAD * Math.floor(this.#numTaken / SLICE_ROWS);
    return this.#heldBytes < this.#maxBytes && this.#numAhead < allowed;
  }

  async #readSlice(window: LoadedWindow, slice: Slice): Promise<void> {
    const { source, order, columns } = this.#options;
    const indices = slice.positions.map((position) => order.rowAt(window.epoch, position));
    try {
      const scope = new ReadScope();
      const rows = await source.readRows(indices, columns, scope);
      for (const [i, position] of slice.positions.entries()) {
        if (isBefore({ epoch: window.epoch, position }, this.#released)) continue;
        const row = this.#copied(rows[i] as Row);
        window.rows.set(position, row);
        this.#heldBytes += bytesOf(row);
      }
      scope.free();
      slice.settle();
    } catch (error) {
      slice.settle(error);
    }
  }

  /** The row with bytes of its own: a view would keep the whole piece of the file that it was cut from. */
  #copied(row: Row): Row {
    const copy = { ...row };
    for (const [column, value] of Object.entries(row)) {
      if (value instanceof Uint8Array) copy[column] = this.#memory.copy(value);
    }
    return copy;
  }
}

const isBefore = (
  a: { readonly epoch: number; readonly position?: number; readonly start?: number },
  b: RowPlace,
): boolean => a.epoch < b.epoch || (a.epoch === b.epoch && ((a.position ?? a.start) as number) < b.position);

const isSame = (a: RowPlace, b: RowPlace): boolean => a.epoch === b.epoch && a.position === b.position;

const isUsedUp = ({ numRead, slices, rows }: LoadedWindow): boolean =>
  numRead === slices.length && rows.size === 0;

function newSlice(positions: readonly number[]): Slice {
  let settle: Slice['settle'] = () => undefined;
  const ready = new Promise<void>((resolve, reject) => {
    settle = (error) => (error === undefined ? resolve() : reject(error));
  });
  ready.catch(() => undefined); // it is thrown where a row is asked for
  return { positions, ready, settle };
}

function bytesIn(row: Row): Uint8Array<ArrayBuffer>[] {
  return Object.values(row).filter((value) => value instanceof Uint8Array) as Uint8Array<ArrayBuffer>[];
}

/** About what a row takes. */
function bytesOf(row: Row): number {
  let bytes = 0;
  for (const value of Object.values(row)) {
    if (value instanceof Uint8Array) bytes += value.byteLength;
    else if (typeof value === 'string') bytes += value.length;
  }
  return bytes;
}
