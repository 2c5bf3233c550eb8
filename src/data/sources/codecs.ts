/**
 * Decompression for Arrow bodies and Parquet pages into exactly as many bytes as the file says. A stream that holds
 * more, less or another kind of data is an error, so that no few bytes can inflate to gigabytes.
 *
 * Sources: https://github.com/lz4/lz4/tree/dev/doc (block and frame formats), RFC 8878 (Zstandard),
 * https://github.com/google/snappy/blob/main/format_description.txt.
 */
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { uncompressSync } from 'snappy';
import { ZSTDDecoder } from 'zstddec';
import { Lz4 } from './lz4.js';

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

/** Zstandard's decoder, made before it is first needed: compiling takes longer than a page. */
const zstd = new ZSTDDecoder();
let isZstdReady = false;

/** A frame of one byte. */
const ONE_BYTE = Buffer.from('28b52ffd200109000061', 'hex');

/** What {@link unzstd} must have been preceded by. */
export async function prepareZstd(): Promise<void> {
  if (isZstdReady) return;
  await zstd.init();
  isZstdReady = true;
}

/** Zstandard frames, by zstd itself, compiled to WebAssembly; after {@link prepareZstd}. It writes no more than it is told to. */
export const unzstd: Decompress = (input, length) => {
  if (length > 0) return exactly(zstd.decode(input, length), length);
  // A length of 0 it takes for one that is not known, and errors look like no bytes.
  exactly(zstd.decode(Buffer.concat([input, ONE_BYTE]), 1), 1);
  return new Uint8Array(0);
};

/** Snappy's raw format, by the crate `snap`, which makes as many bytes as the input says first. */
export const unsnappy: Decompress = (input, length) => {
  const declared = varint(input);
  if (declared !== length) throw new Error(`a length of ${declared}; expected ${length}`);
  // A copy: memory that is not V8's own costs more to hand over than to copy.
  return exactly(uncompressSync(input, { asBuffer: true, copyOutputData: true }) as Buffer, length);
};

function varint(input: Uint8Array): number {
  let value = 0;
  for (let i = 0; i < 5; i++) {
    const byte = input[i] ?? fail('an unfinished length');
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 128) return value;
  }
  return fail('a length without end');
}

/** One LZ4 block, as Parquet's codec LZ4_RAW has it. */
export const unlz4Block: Decompress = (input, length) => {
  const lz4 = new Lz4(input, length);
  lz4.block(0, input.length);
  return lz4.finish();
};

/** Hadoop's framing of LZ4 blocks (big-endian sizes before each), which Parquet's old codec LZ4 has, or a bare block. */
export const unlz4Hadoop: Decompress = (input, length) => {
  if (!isHadoopFramed(input, length)) return unlz4Block(input, length);
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  const lz4 = new Lz4(input, length);
  for (let at = 0; at < input.length; ) {
    const end = at + 8 + view.getUint32(at + 4);
    lz4.block(at + 8, end);
    at = end;
  }
  return lz4.finish();
};

/** Whether the sizes before the blocks add up, which those that a bare block seems to have do not. */
function isHadoopFramed(input: Uint8Array, length: number): boolean {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  let [at, made] = [0, 0];
  while (at + 8 <= input.length) {
    made += view.getUint32(at);
    at += 8 + view.getUint32(at + 4);
  }
  return at === input.length && made === length;
}

/** LZ4 frames, as Arrow has them. Checksums are passed over. */
export const unlz4Frame: Decompress = (input, length) => {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  const lz4 = new Lz4(input, length);
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
      if (head >>> 31 === 0) lz4.block(at, at + size);
      else lz4.literal(at, at + size);
      at += size + ((flags >> 2) & 4);
    }
    at += flags & 4;
  }
  return lz4.finish();
};

function exactly(output: Uint8Array, length: number): Uint8Array {
  if (output.length !== length) throw new Error(`${output.length} bytes; expected ${length}`);
  return output;
}

function fail(text: string): never {
  throw new Error(text);
}
