/**
 * CLIP's merges file (`bpe_simple_vocab_16e6.txt`): a header, then a merge a line, best first. Each makes a token of two
 * that are known, which the next ones may name. Tokens are compared as bytes in place, since a million small strings
 * would take longer than a loader's first batch should.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { DataError } from '../../errors.js';
import { pairKey } from './bpe.js';
import { MergeTable } from './merge-table.js';

/** Size of CLIP's vocabulary. */
export const CLIP_VOCAB_SIZE = 49_408;

const NUM_BYTES = 256;
/** Ids of bytes, and of bytes that end a word. */
const NUM_SINGLE = 2 * NUM_BYTES;
/** Without the start and the end of text. */
const NUM_MERGES = CLIP_VOCAB_SIZE - NUM_SINGLE - 2;
const WORD_END = '</w>';
const [LINE_FEED, SPACE] = [0x0a, 0x20];

/** GPT-2's mapping of bytes to printable characters, in which the merges are written. */
function byteCharacters(): string[] {
  const printable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let next = 256;
  return Array.from({ length: NUM_BYTES }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
}

/** Bytes in the order of their ids: the printable ones first. */
function bytesById(): number[] {
  const chars = byteCharacters();
  const all = chars.map((_, byte) => byte);
  const isMoved = (byte: number): boolean => (chars[byte] as string).charCodeAt(0) >= 256;
  return [...all.filter((byte) => !isMoved(byte)), ...all.filter(isMoved)];
}

/** Of each byte, its id where it does not end a word. */
export function idsOfBytes(): Uint16Array {
  const ids = new Uint16Array(NUM_BYTES);
  for (const [id, byte] of bytesById().entries()) ids[byte] = id;
  return ids;
}

/**
 * Reads the file, gzipped.
 *
 * @param memory of an empty table to put the merges in
 * @throws DataError if it is not CLIP's
 */
export function readMerges(path: string, memory?: ArrayBufferLike): MergeTable {
  const packed = readFileSync(path);
  let text: Buffer;
  try {
    text = gunzipSync(packed);
  } catch (cause) {
    const found = `CLIP merges ${path}: expected a gzip file, found something else. Fetch it again.`;
    throw new DataError(found, { cause });
  }
  return parseMerges(text, memory);
}

/** Tokens by their bytes: a hash table with linear probing. */
class TokenIds {
  /** Id + 1, or 0 where a slot is free. */
  readonly #slots = new Int32Array(2 ** 17);
  readonly #starts = new Int32Array(CLIP_VOCAB_SIZE);
  readonly #ends = new Int32Array(CLIP_VOCAB_SIZE);
  /** The tokens, one after the other. */
  #bytes = new Uint8Array(2 ** 20);
  #end = 0;

  /** The id of the token in a range of bytes, or the slot where it belongs, as -1 - slot. */
  find(bytes: Uint8Array, from: number, end: number): number {
    let hash = 0x811c9dc5; // FNV-1a's
    for (let i = from; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
    const mask = this.#slots.length - 1;
    for (let slot = (hash ^ (hash >>> 15)) & mask; ; slot = (slot + 1) & mask) {
      const id = (this.#slots[slot] as number) - 1;
      if (id < 0) return -1 - slot;
      if (this.#equals(id, bytes, from, end)) return id;
    }
  }

  /** Adds the token whose bytes are those two ranges'; false if there is one. */
  add(
    id: number,
    bytes: Uint8Array,
    left: readonly [number, number],
    right: readonly [number, number],
  ): boolean {
    const length = left[1] - left[0] + right[1] - right[0];
    if (this.#end + length > this.#bytes.length) {
      const larger = new Uint8Array(2 * (this.#end + length));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    let at = this.#end;
    for (const [from, end] of [left, right])
      for (let i = from; i < end; i++) this.#bytes[at++] = bytes[i] as number;
    const free = this.find(this.#bytes, this.#end, at);
    if (free >= 0) return false;
    this.#slots[-1 - free] = id + 1;
    this.#starts[id] = this.#end;
    this.#ends[id] = at;
    this.#end = at;
    return true;
  }

  #equals(id: number, bytes: Uint8Array, from: number, end: number): boolean {
    const start = this.#starts[id] as number;
    if ((this.#ends[id] as number) - start !== end - from) return false;
    for (let i = 0; i < end - from; i++) if (this.#bytes[start + i] !== bytes[from + i]) return false;
    return true;
  }
}

/** The merges of the file's content. @throws DataError if it is not CLIP's */
export function parseMerges(text: Uint8Array, memory?: ArrayBufferLike): MergeTable {
  const tokens = new TokenIds();
  const chars = byteCharacters();
  for (const [id, byte] of bytesById().entries()) {
    const char = Buffer.from(chars[byte] as string);
    tokens.add(id, char, [0, char.length], [0, 0]);
    const last = Buffer.from(`${chars[byte]}${WORD_END}`);
    tokens.add(id + NUM_BYTES, last, [0, last.length], [0, 0]);
  }
  const table = new MergeTable(memory);
  let numMerges = 0;
  for (let i = 0, at = lineEnd(text, 0) + 1; i < NUM_MERGES && at < text.length; i++) {
    const end = lineEnd(text, at);
    let space = at;
    while (space < end && text[space] !== SPACE) space++;
    const left = tokens.find(text, at, space);
    const right = tokens.find(text, space + 1, end);
    if (left < 0 || right < 0) {
      const line = Buffer.from(text.subarray(at, end)).toString('utf8');
      throw new DataError(
        `CLIP merges, line ${i + 2}: expected two known tokens, found "${line.slice(0, 80)}". ` +
          'The file is not bpe_simple_vocab_16e6.txt; fetch it again.',
      );
    }
    table.set(pairKey(left, right), NUM_SINGLE + i);
    if (tokens.add(NUM_SINGLE + i, text, [at, space], [space + 1, end])) numMerges++;
    at = end + 1;
  }
  if (numMerges !== NUM_MERGES) {
    throw new DataError(
      `CLIP merges: expected ${NUM_MERGES} distinct merges, found ${numMerges}. ` +
        'The file is cut off or not bpe_simple_vocab_16e6.txt; fetch it again.',
    );
  }
  return table;
}

/** Where the line that begins there ends. */
function lineEnd(text: Uint8Array, from: number): number {
  const end = text.indexOf(LINE_FEED, from);
  return end < 0 ? text.length : end;
}
