/**
 * Where the records of comma- or tab-separated values begin and end: as Python's csv reader has it, which is RFC 4180
 * with any of the three line ends, and text before or after the quotes of a field taken as it is.
 */
import type { Splitter } from './records/scan-text.js';

export const QUOTE = 0x22;
export const NEWLINE = 0x0a;
export const RETURN = 0x0d;

/** Between records, at a field's start, in a field without quotes, between quotes, behind a quote among quotes. */
type State = 'between' | 'field' | 'plain' | 'quoted' | 'quote';

/** Records that are not empty lines, without their line ends. */
export class CsvSplitter implements Splitter {
  #state: State = 'between';
  #open = 0;
  /** Where the quoted field that has begun last starts. */
  #quotedAt = 0;

  constructor(
    private readonly found: (start: number, end: number) => void,
    private readonly delimiter: number,
  ) {}

  get open(): number | undefined {
    return this.#state === 'between' ? undefined : this.#open;
  }

  push(bytes: Uint8Array, at: number): void {
    for (let i = 0; i < bytes.length; ) {
      switch (this.#state) {
        case 'between':
          if (bytes[i] !== NEWLINE && bytes[i] !== RETURN) {
            this.#open = at + i;
            this.#state = 'field';
          } else i++;
          break;
        case 'field':
          if (bytes[i] === QUOTE) {
            this.#quotedAt = at + i;
            this.#state = 'quoted';
            i++;
          } else this.#state = 'plain';
          break;
        case 'quoted': {
          const quote = bytes.indexOf(QUOTE, i);
          if (quote === -1) return;
          this.#state = 'quote';
          i = quote + 1;
          break;
        }
        case 'quote':
          this.#state = bytes[i] === QUOTE ? 'quoted' : 'plain';
          if (bytes[i] === QUOTE) i++;
          break;
        case 'plain':
          i = this.#passPlain(bytes, i, at);
      }
    }
  }

  /** From within a field to the next one, or to the next record. */
  #passPlain(bytes: Uint8Array, from: number, at: number): number {
    for (let i = from; i < bytes.length; i++) {
      const byte = bytes[i];
      if (byte === this.delimiter) {
        this.#state = 'field';
        return i + 1;
      }
      if (byte === NEWLINE || byte === RETURN) {
        this.#state = 'between';
        this.found(this.#open, at + i);
        return i + 1;
      }
    }
    return bytes.length;
  }

  finish(at: number): void {
    if (this.#state === 'quoted') {
      throw new Error(`the quoted field that begins at byte ${this.#quotedAt} is not closed`);
    }
    if (this.#state !== 'between') this.found(this.#open, at);
    this.#state = 'between';
  }
}

/** The fields of one record that a {@link CsvSplitter} found. */
export function csvFields(record: string, delimiter: string): string[] {
  const fields: string[] = [];
  for (let at = 0; ; ) {
    let field = '';
    if (record[at] === '"') {
      at++;
      for (;;) {
        const found = record.indexOf('"', at);
        const quote = found === -1 ? record.length : found; // as Python ends a field that is not closed
        field += record.slice(at, quote);
        at = quote + 1;
        if (record[at] !== '"') break;
        field += '"';
        at++;
      }
    }
    const end = record.indexOf(delimiter, at);
    fields.push(field + record.slice(at, end === -1 ? undefined : end));
    if (end === -1) return fields;
    at = end + 1;
  }
}
