/** What the reader of records has to know of a format. */
import type { Value } from '../../schema.js';

/** Bytes of a record of text. A longer one is a fault: what JSON makes of it may take some fifty times as much. */
export const MAX_TEXT_RECORD = 16 * 1024 * 1024;

/** Columns of one shard. Far above any real data set's; records whose names are all different would fill the memory. */
export const MAX_COLUMNS = 4096;

/** Why one record cannot be used, while those around it can. */
export class RecordFault extends Error {}

/** The columns of one record by name. */
export type Fields = ReadonlyMap<string, Value>;

/** Places of records in bytes: start and end of each in turn. */
export type Ranges = readonly number[];

/** A format that is a sequence of records. */
export interface RecordFormat {
  /** Bytes of the longest record that is read. */
  readonly maxRecordBytes: number;
  /** Records have what names they like, so that a column that a shard lacks is one that its records lack. */
  readonly sparse?: true;
  /**
   * Finds the records in the bytes of a group.
   *
   * @throws Error if they are not what the scan saw.
   */
  split(group: Uint8Array<ArrayBuffer>): Ranges;
  /**
   * The fields of one record. Those that are not among `columns` may be left out; those that the record does not
   * have are.
   *
   * @throws RecordFault if the record is damaged.
   */
  parse(record: Uint8Array<ArrayBuffer>, columns: ReadonlySet<string>): Fields;
  /** The key of a record that cannot be parsed, if it has one all the same: the column and its value. */
  keyOf?(record: Uint8Array<ArrayBuffer>): readonly [column: string, key: string];
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** @throws RecordFault if the bytes are not UTF-8. */
export function decodeText(bytes: Uint8Array, what: string): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new RecordFault(`${what} is not UTF-8.`);
  }
}

/** The fault of a record too long to be read. */
export function tooLong(length: number, max: number): string {
  return `The record takes ${length} bytes; expected at most ${max}.`;
}
