/** The bodies of Arrow messages: which bytes of them are read, and what their buffers hold once decompressed. */
import { CompressionType } from 'apache-arrow';
import type { StoredFile } from '../storage/stored-file.js';
import type { Region } from './arrow-layout.js';
import { type Decompress, prepareZstd, unlz4Frame, unzstd } from './codecs.js';

/** Ranges with fewer unwanted bytes between them are read as one. */
const MAX_GAP = 64 * 1024;
/** Ranges are not joined to reads of more. */
const MAX_JOINED = 64 * 1024 * 1024;
/** No buffer of a record batch that anybody trains from is larger; what inflates to more is a trap or damage. */
const MAX_DECOMPRESSED = 512 * 1024 * 1024;

const codecs: Readonly<Record<number, Decompress>> = {
  [CompressionType.LZ4_FRAME]: unlz4Frame,
  [CompressionType.ZSTD]: unzstd,
};

/** A run of bytes of a file, from `start` on. */
export interface Piece {
  readonly start: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Reads ranges of a file, those near each other together. The pieces come in the order of the file. */
export async function readRanges(
  file: StoredFile,
  ranges: readonly (readonly [start: number, end: number])[],
): Promise<Piece[]> {
  const joined: [start: number, end: number][] = [];
  for (const [start, end] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = joined.at(-1);
    if (last !== undefined && start <= last[1] + MAX_GAP && end - last[0] <= MAX_JOINED) {
      last[1] = Math.max(last[1], end);
    } else if (end > start) joined.push([start, end]);
  }
  return Promise.all(
    joined.map(async ([start, end]) => ({ start, bytes: await file.read(start, end - start) })),
  );
}

/** The bytes from `start` to `end` of the file out of the pieces, as bytes of their own. */
export function cut(pieces: readonly Piece[], start: number, end: number): Uint8Array {
  const bytes = view(pieces, start, end);
  return bytes.length === bytes.buffer.byteLength ? bytes : bytes.slice();
}

/** As {@link cut}, but shares the piece's bytes. */
export function view(pieces: readonly Piece[], start: number, end: number): Uint8Array {
  if (end === start) return new Uint8Array(0);
  let [low, high] = [0, pieces.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if ((pieces[middle] as Piece).start <= start) low = middle;
    else high = middle - 1;
  }
  const piece = pieces[low] as Piece;
  return piece.bytes.subarray(start - piece.start, end - piece.start);
}

/**
 * Reads buffers of a message's body that begins at byte `start` of the file.
 *
 * @param compression Arrow's number of the codec of the body, if it has one.
 * @returns the decompressed buffers, each aligned to eight bytes.
 */
export async function readBuffers(
  file: StoredFile,
  start: number,
  regions: readonly Region[],
  compression: number | undefined,
): Promise<Map<Region, Uint8Array>> {
  if (compression === CompressionType.ZSTD) await prepareZstd();
  const placed = regions.filter(({ length }) => length > 0);
  const pieces = await readRanges(
    file,
    placed.map(({ offset, length }) => [start + offset, start + offset + length]),
  );
  const buffers = new Map<Region, Uint8Array>();
  for (const region of regions) {
    const begin = start + region.offset;
    const bytes = region.length === 0 ? new Uint8Array(0) : view(pieces, begin, begin + region.length);
    const plain = compression === undefined ? bytes : decompress(bytes, compression);
    // Typed arrays over it need alignment.
    buffers.set(region, plain.byteOffset % 8 === 0 ? plain : plain.slice());
  }
  return buffers;
}

/** Undoes a buffer's compression: its length of eight bytes, -1 for none, then the compressed bytes. */
function decompress(bytes: Uint8Array, compression: number): Uint8Array {
  if (bytes.length === 0) return bytes;
  const decode = codecs[compression];
  if (decode === undefined) throw new Error(`an unknown compression ${compression}`);
  if (bytes.length < 8) throw new Error(`a compressed buffer of ${bytes.length} bytes`);
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigInt64(0, true);
  const body = bytes.subarray(8);
  if (length === -1n) return body;
  if (length < 0n || length > BigInt(MAX_DECOMPRESSED)) {
    throw new Error(`a buffer that claims to hold ${length} bytes; at most ${MAX_DECOMPRESSED} are read`);
  }
  return decode(body, Number(length));
}
