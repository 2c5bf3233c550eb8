/** The scan of a file of text for its records, in bounded memory. */
import type { StoredFile } from '../../storage/stored-file.js';

/** Bytes read at a time. */
const CHUNK_BYTES = 1024 * 1024;

const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** Where the text of a file begins: behind its byte order mark, if it has one. */
export async function textStart(file: StoredFile): Promise<number> {
  const length = BYTE_ORDER_MARK.length;
  const head = await file.read(0, Math.min(length, file.size));
  return BYTE_ORDER_MARK.every((byte, i) => head[i] === byte) ? length : 0;
}

/** Finds records in bytes that come piece by piece. Numbers are bytes of the file. */
export interface Splitter {
  /** Looks at the bytes that follow those of before; `at` is where they begin in the file. @throws Error */
  push(bytes: Uint8Array, at: number): void;
  /** Ends at that byte of the file. @throws Error if a record or the whole is not closed */
  finish(at: number): void;
  /** Where the record that has begun but not ended yet starts; undefined between records. */
  readonly open: number | undefined;
}

/** Told of each record; its bytes are undefined if they are more than asked for. */
export type Visit = (start: number, end: number, record: Uint8Array<ArrayBuffer> | undefined) => void;

/**
 * Reads a file once from `start` on, a piece ahead of the splitter, and holds no more than two pieces and the
 * record that has begun, of which at most `maxBytes`.
 */
export async function scanText(
  file: StoredFile,
  makeSplitter: (found: (start: number, end: number) => void) => Splitter,
  maxBytes: number,
  visit: Visit,
  start = 0,
): Promise<void> {
  /** What is held of the file, and where it begins. */
  let held: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  let heldAt = start;
  const splitter = makeSplitter((from, to) => {
    // A record whose start was let go of was too long.
    const whole = to - from <= maxBytes && from >= heldAt;
    visit(from, to, whole ? held.subarray(from - heldAt, to - heldAt) : undefined);
  });
  const read = (at: number): Promise<Uint8Array<ArrayBuffer>> => {
    const chunk = file.read(at, Math.min(CHUNK_BYTES, file.size - at));
    chunk.catch(() => undefined); // thrown where it is awaited
    return chunk;
  };
  let next = read(start);
  for (let at = start; at < file.size; ) {
    const chunk = await next;
    const after = at + chunk.length;
    if (after < file.size) next = read(after);
    held = heldAt === at ? chunk : joined(held, chunk);
    splitter.push(chunk, at);
    at = after;
    const from = splitter.open ?? after;
    // Copied: what is left of a piece must not keep the whole of it.
    if (after - from > maxBytes) [held, heldAt] = [new Uint8Array(0), after];
    else if (from >= heldAt) [held, heldAt] = [held.slice(from - heldAt), from];
    else [held, heldAt] = [new Uint8Array(0), after];
  }
  splitter.finish(file.size);
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
