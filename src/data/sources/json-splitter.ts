/**
 * Where the elements of one large JSON array or object, or the lines of JSON Lines, begin and end. Only quotes and
 * brackets are followed; what is between them is judged when the element is parsed.
 */
import type { Splitter } from './records/scan-text.js';

const NEWLINE = 0x0a;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;

/** Space, tab, line feed, carriage return: what JSON takes for white space. */
export function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === NEWLINE || byte === 0x0d;
}

type Found = (start: number, end: number) => void;

/** Lines that hold anything but white space, without their ends. */
export class LineSplitter implements Splitter {
  #open: number | undefined;

  constructor(private readonly found: Found) {}

  get open(): number | undefined {
    return this.#open;
  }

  push(bytes: Uint8Array, at: number): void {
    for (let i = 0; i < bytes.length; ) {
      if (this.#open === undefined) {
        while (i < bytes.length && isSpace(bytes[i])) i++;
        if (i === bytes.length) return;
        this.#open = at + i;
      }
      const end = bytes.indexOf(NEWLINE, i);
      if (end === -1) return;
      this.found(this.#open, at + end);
      this.#open = undefined;
      i = end + 1;
    }
  }

  finish(at: number): void {
    if (this.#open !== undefined) this.found(this.#open, at);
    this.#open = undefined;
  }
}

/** What the outermost brackets are: `[` for an array's elements, `{` for an object's entries. */
export type Bracket = '[' | '{';

type State = 'start' | 'first' | 'next' | 'inside' | 'done';

/** Elements of an array or entries (`"name": value`) of an object. */
export class ElementSplitter implements Splitter {
  #state: State;
  #open: number | undefined;
  /** Where the element's last byte that is not white space ends. */
  #end = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;
  readonly #openByte: number;
  readonly #closeByte: number;

  /**
   * @param within whether the bytes begin with an element, as those of a group do, and not before the bracket.
   */
  constructor(
    private readonly found: Found,
    private readonly bracket: Bracket,
    private readonly within: boolean,
  ) {
    this.#state = within ? 'next' : 'start';
    [this.#openByte, this.#closeByte] = bracket === '[' ? [0x5b, 0x5d] : [0x7b, 0x7d];
  }

  get open(): number | undefined {
    return this.#open;
  }

  push(bytes: Uint8Array, at: number): void {
    for (let i = 0; i < bytes.length; ) {
      if (this.#state === 'inside') {
        i = this.#inString ? this.#passString(bytes, i, at) : this.#passElement(bytes, i, at);
      } else {
        if (!isSpace(bytes[i])) i = this.#begin(bytes[i] as number, i, at);
        i++;
      }
    }
  }

  finish(at: number): void {
    if (this.within && this.#state === 'inside' && this.#depth === 0 && !this.#inString) this.#close('done');
    else if (!this.within && this.#state !== 'done') {
      const where = this.#open === undefined ? '' : ` (an element begins at byte ${this.#open})`;
      throw new Error(
        `expected '${this.bracket === '[' ? ']' : '}'}' at the end, found the end at byte ${at}${where}`,
      );
    }
  }

  /** A byte outside elements. Returns the place before the one to go on at. */
  #begin(byte: number, i: number, at: number): number {
    if (this.#state === 'start') {
      if (byte !== this.#openByte) throw unexpected(byte, at + i, `'${this.bracket}'`);
      this.#state = 'first';
    } else if (byte === this.#closeByte && this.#state === 'first') {
      this.#state = 'done';
    } else if (this.#state === 'done') {
      throw new TrailingBytes(byte, at + i);
    } else {
      if (byte === COMMA || byte === 0x5d || byte === 0x7d) throw unexpected(byte, at + i, 'an element');
      this.#state = 'inside';
      this.#open = at + i;
      this.#depth = 0;
      return i - 1;
    }
    return i;
  }

  /** From within a string to behind its end: the first quote without an odd number of backslashes before it. */
  #passString(bytes: Uint8Array, from: number, at: number): number {
    let start = from;
    if (this.#escaped) {
      this.#escaped = false;
      start++;
    }
    for (;;) {
      const quote = bytes.indexOf(QUOTE, start);
      const end = quote === -1 ? bytes.length : quote;
      let first = end;
      while (first > start && bytes[first - 1] === BACKSLASH) first--;
      const isEscaped = (end - first) % 2 === 1;
      if (quote === -1) {
        this.#escaped = isEscaped;
        return bytes.length;
      }
      start = quote + 1;
      if (isEscaped) continue;
      this.#inString = false;
      this.#end = at + start;
      return start;
    }
  }

  /** From within an element to a string, or to its end. */
  #passElement(bytes: Uint8Array, from: number, at: number): number {
    for (let i = from; i < bytes.length; i++) {
      const byte = bytes[i] as number;
      if (byte === QUOTE) {
        this.#inString = true;
        return i + 1;
      }
      // Brackets of both kinds: 0x5b [, 0x5d ], 0x7b {, 0x7d } differ in the bit 0x20.
      const folded = byte | 0x20;
      if (folded === 0x7b) this.#depth++;
      else if (folded === 0x7d) {
        if (this.#depth === 0) {
          if (byte !== this.#closeByte) throw unexpected(byte, at + i, `',' or '${this.bracket}'`);
          this.#close('done');
          return i + 1;
        }
        this.#depth--;
      } else if (byte === COMMA && this.#depth === 0) {
        this.#close('next');
        return i + 1;
      } else if (isSpace(byte)) continue;
      this.#end = at + i + 1;
    }
    return bytes.length;
  }

  #close(state: State): void {
    const start = this.#open as number;
    this.#open = undefined;
    this.#state = state;
    this.found(start, this.#end);
  }
}

/** Something after the closing bracket: damage, or the first line of JSON Lines was taken for the whole. */
export class TrailingBytes extends Error {
  constructor(
    readonly byte: number,
    readonly at: number,
  ) {
    super(`expected the end after the closing bracket, found ${show(byte)} at byte ${at}`);
  }
}

function unexpected(byte: number, at: number, expected: string): Error {
  return new Error(`expected ${expected} at byte ${at}, found ${show(byte)}`);
}

function show(byte: number): string {
  return byte > 0x20 && byte < 0x7f
    ? `'${String.fromCharCode(byte)}'`
    : `0x${byte.toString(16).padStart(2, '0')}`;
}
