/**
 * Decompression for Arrow bodies and Parquet pages into exactly as many bytes as the file says. A stream that holds
 * more, less or another kind of data is an error, so that no few bytes can inflate to gigabytes.
 *
 * Sources: https://github.com/lz4/lz4/tree/dev/doc (block and frame formats), RFC 8878 (Zstandard frames),
 * https://github.com/google/snappy/blob/main/format_description.txt.
 */
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { decompress as decompressFrame, Decompress as FrameStream } from 'fzstd';

/** Makes `length` bytes of compressed ones. @throws Error that says what is wrong with them */
export type Decompress = (input: Uint8Array, length: number) => Uint8Array;

/** zlib, by Node. Several members count as one stream. */
export const gunzip: Decompress = (input, length) =>
  exactly(gunzipSync(input, { maxOutputLength: Math.max(length, 1), ...chunked(length) }), length);

/** Brotli, by Node. */
export const unbrotli: Decompress = (input, length) =>
  exactly(brotliDecompressSync(input, { maxOutputLength: Math.max(length, 1), ...chunked(length) }), length);

/** One chunk of output where that is small: there is nothing to join. */
function chunked(length: number): { chunkSize?: number } {
  return length > 64 && length < 1 << 24 ? { chunkSize: length } : {};
}

/** Zstandard's window, beyond which other decoders refuse a frame too. */
const MAX_WINDOW = 128 * 1024 * 1024;

/** Zstandard frames, by fzstd. */
export const unzstd: Decompress = (input, length) => {
  let output: Uint8Array | undefined;
  let written = 0;
  for (let at = 0; at < input.length; ) {
    const frame = zstdFrame(input, at);
    const bytes = input.subarray(at, frame.end);
    at = frame.end;
    if (frame.size === 0) continue;
    if (frame.size === undefined) {
      output ??= new Uint8Array(length);
      written += unzstdUnsized(bytes, output.subarray(written));
      continue;
    }
    if (written + frame.size > length) {
      throw new Error(`a frame of ${frame.size} bytes; expected ${length} in all`);
    }
    // It makes as many bytes as the frame says. To be given the bytes to fill makes it hundreds of times slower.
    const made = decompressFrame(bytes);
    if (made.length === length) return made;
    output ??= new Uint8Array(length);
    output.set(made, written);
    written += frame.size;
  }
  if (written !== length) throw new Error(`${written} bytes; expected ${length}`);
  return output ?? new Uint8Array(0);
};

/** Decodes a frame that does not say its size; gives the size. */
function unzstdUnsized(frame: Uint8Array, output: Uint8Array): number {
  const window = frame[5] ?? 0;
  const size = 2 ** (10 + (window >> 3));
  if (size + (size >> 3) * (window & 7) > MAX_WINDOW) throw new Error(`a window beyond ${MAX_WINDOW} bytes`);
  let written = 0;
  const stream = new FrameStream((chunk) => {
    if (written + chunk.length > output.length) throw new Error(`more than ${output.length} bytes`);
    output.set(chunk, written);
    written += chunk.length;
  });
  stream.push(frame, true);
  return written;
}

/** Where a frame ends, and how many bytes it makes if it says so; a frame to skip makes none. */
function zstdFrame(input: Uint8Array, start: number): { end: number; size?: number } {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  const magic = view.getUint32(start, true);
  if (magic >>> 4 === 0x184d2a5) return { end: start + 8 + view.getUint32(start + 4, true), size: 0 };
  if (magic !== 0xfd2fb528) throw new Error('no Zstandard frame');
  const descriptor = view.getUint8(start + 4);
  const singleSegment = (descriptor >> 5) & 1;
  let at = start + 6 - singleSegment + ([0, 1, 2, 4][descriptor & 3] as number);
  const sizeKind = descriptor >> 6;
  const held: { size?: number } = {};
  if (sizeKind === 0 && singleSegment === 1) held.size = view.getUint8(at);
  else if (sizeKind === 1) held.size = view.getUint16(at, true) + 256;
  else if (sizeKind === 2) held.size = view.getUint32(at, true);
  else if (sizeKind === 3) held.size = Number(view.getBigUint64(at, true));
  at += sizeKind === 0 ? singleSegment : 1 << sizeKind;
  for (let isLast = false; !isLast; ) {
    const head = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    isLast = (head & 1) === 1;
    at += 3 + (((head >> 1) & 3) === 1 ? 1 : head >> 3);
  }
  at += descriptor & 4; // a checksum of four bytes
  if (at > input.length) throw new Error(`a frame to byte ${at} of ${input.length}`);
  return { end: at, ...held };
}

/** Snappy's raw format. */
export const unsnappy: Decompress = (input, length) => {
  const output = new Uint8Array(length);
  const [declared, start] = varint(input);
  if (declared !== length) throw new Error(`a length of ${declared}; expected ${length}`);
  let written = 0;
  for (let at = start; at < input.length; ) {
    const tag = input[at++] as number;
    const kind = tag & 3;
    if (kind === 0) {
      let size = tag >> 2;
      if (size >= 60) {
        const numBytes = size - 59;
        size = littleEndian(input, at, numBytes);
        at += numBytes;
      }
      copyLiteral(input, at, output, written, ++size);
      at += size;
      written += size;
      continue;
    }
    const numBytes = kind === 3 ? 4 : kind;
    const offset = littleEndian(input, at, numBytes) + (kind === 1 ? (tag >> 5) << 8 : 0);
    at += numBytes;
    const size = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1;
    copyMatch(output, written, offset, size);
    written += size;
  }
  if (written !== length) throw new Error(`${written} bytes; expected ${length}`);
  return output;
};

function varint(input: Uint8Array): [value: number, end: number] {
  let value = 0;
  for (let i = 0; i < 5; i++) {
    const byte = input[i] ?? fail('an unfinished length');
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 128) return [value, i + 1];
  }
  return fail('a length without end');
}

/** One LZ4 block, as Parquet's codec LZ4_RAW has it. */
export const unlz4Block: Decompress = (input, length) => {
  const output = new Uint8Array(length);
  const written = lz4Block(input, output, 0);
  if (written !== length) throw new Error(`${written} bytes; expected ${length}`);
  return output;
};

/** Hadoop's framing of LZ4 blocks (big-endian sizes before each), which Parquet's old codec LZ4 has, or a bare block. */
export const unlz4Hadoop: Decompress = (input, length) => {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  const output = new Uint8Array(length);
  let [at, written] = [0, 0];
  while (at + 8 <= input.length) {
    const size = view.getUint32(at);
    const end = at + 8 + view.getUint32(at + 4);
    if (written + size > length || end > input.length) break;
    if (lz4Block(input.subarray(at + 8, end), output, written) !== written + size) break;
    [at, written] = [end, written + size];
  }
  return at === input.length && written === length ? output : unlz4Block(input, length);
};

/** LZ4 frames, as Arrow has them. Checksums are passed over. */
export const unlz4Frame: Decompress = (input, length) => {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  const output = new Uint8Array(length);
  let written = 0;
  for (let at = 0; at < input.length; ) {
    if (view.getUint32(at, true) !== 0x184d2204) throw new Error('no LZ4 frame');
    const flags = view.getUint8(at + 4);
    if (flags >> 6 !== 1 || (flags & 1) === 1) throw new Error(`LZ4 flags 0x${flags.toString(16)}`);
    at += 7 + (flags & 8);
    for (;;) {
      const head = view.getUint32(at, true);
      at += 4;
      if (head === 0) break;
      const size = head & 0x7fffffff;
      if (at + size > input.length) throw new Error(`a block to byte ${at + size} of ${input.length}`);
      // Blocks may refer to those before them, which are in the output.
      if (head >>> 31 === 0) written = lz4Block(input.subarray(at, at + size), output, written);
      else {
        copyLiteral(input, at, output, written, size);
        written += size;
      }
      at += size + ((flags >> 2) & 4);
    }
    at += flags & 4;
  }
  if (written !== length) throw new Error(`${written} bytes; expected ${length}`);
  return output;
};

/** Decodes a block to `output` from `written` on; gives where it ended. */
function lz4Block(input: Uint8Array, output: Uint8Array, written: number): number {
  let to = written;
  for (let at = 0; at < input.length; ) {
    const token = input[at++] as number;
    const runOf = (nibble: number): number => {
      let run = nibble;
      for (let byte = nibble === 15 ? 255 : 0; byte === 255; run += byte) {
        byte = input[at++] ?? fail('an unfinished run');
      }
      return run;
    };
    const literals = runOf(token >> 4);
    copyLiteral(input, at, output, to, literals);
    at += literals;
    to += literals;
    if (at >= input.length) break; // the last sequence has no match
    const offset = littleEndian(input, at, 2);
    at += 2;
    const size = runOf(token & 15) + 4;
    copyMatch(output, to, offset, size);
    to += size;
  }
  return to;
}

/** Shorter runs are quicker copied byte by byte. */
const SHORT = 32;

function copyLiteral(input: Uint8Array, at: number, output: Uint8Array, to: number, size: number): void {
  if (at + size > input.length || to + size > output.length) fail(`a run of ${size} bytes beyond the end`);
  if (size > SHORT) output.set(input.subarray(at, at + size), to);
  else for (let i = 0; i < size; i++) output[to + i] = input[at + i] as number;
}

/** Repeats `size` bytes from `offset` back; they may overlap those that they make. */
function copyMatch(output: Uint8Array, to: number, offset: number, size: number): void {
  if (offset === 0 || offset > to || to + size > output.length) fail(`a match ${offset} back at byte ${to}`);
  if (offset >= size && size > SHORT) output.copyWithin(to, to - offset, to - offset + size);
  else for (let i = to; i < to + size; i++) output[i] = output[i - offset] as number;
}

function littleEndian(input: Uint8Array, at: number, numBytes: number): number {
  if (at + numBytes > input.length) fail('an unfinished number');
  let value = 0;
  for (let i = numBytes - 1; i >= 0; i--) value = value * 256 + (input[at + i] as number);
  return value;
}

function exactly(output: Uint8Array, length: number): Uint8Array {
  if (output.length !== length) throw new Error(`${output.length} bytes; expected ${length}`);
  return output;
}

function fail(text: string): never {
  throw new Error(text);
}
