/** What a row is called in a file's name: its key, as far as a name can hold it. */
import { createHash } from 'node:crypto';
import { type Row, sampleKey } from '../schema.js';
import { RecordFault } from '../sources/records/record-format.js';

/** Bytes of a file's name, of which the ending takes some. */
const MAX_NAME_BYTES = 200;
/** Digits of the number of a row without a key, as img2dataset has them. */
const NUMBER_DIGITS = 9;

/** Names for the rows of one shard, no two alike. */
export class RecordNames {
  readonly #taken = new Set<string>();

  /**
   * @param hasKeys whether rows have keys; else they are numbered
   * @param folders whether a name may have slashes
   */
  constructor(
    private readonly hasKeys: boolean,
    private readonly folders: boolean,
  ) {}

  /**
   * The name of a row.
   *
   * @param number of the row, counted in its split
   * @throws RecordFault if it has no key
   */
  next(row: Row, number: number): string {
    if (!this.hasKeys) return String(number).padStart(NUMBER_DIGITS, '0');
    const key = sampleKey(row);
    if (key === undefined) throw new RecordFault('It has no key.');
    const first = safeName(key, this.folders);
    let name = first;
    // Keys may begin anew in each shard of a source. Of one name, rows would be one sample.
    for (let copy = 2; this.#taken.has(name); copy++) name = `${first}~${copy}`;
    this.#taken.add(name);
    return name;
  }
}

/**
 * A key as a name without dots, which end a sample's name in a tar, that leads nowhere else. What is not safe is
 * percent-encoded; a long key is its hash.
 */
export function safeName(key: string, folders: boolean): string {
  const parts = folders ? key.split('/') : [key];
  // By way of bytes, for encodeURIComponent refuses half a surrogate pair.
  const encoded = parts.map((part) =>
    encodeURIComponent(Buffer.from(part).toString()).replaceAll('.', '%2E'),
  );
  const name = encoded.every((part) => part !== '') ? encoded.join('/') : encoded.join('%2F');
  if (name.length <= MAX_NAME_BYTES) return name;
  return createHash('sha256').update(key).digest('hex');
}
