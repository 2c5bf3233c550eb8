/**
 * Safetensors files, the weight format of open_clip, transformers and diffusers: an 8-byte little-endian
 * header length, a JSON header of names, types, shapes and byte ranges, then the bytes.
 * Source: the format's description in the safetensors project; its limits are checked as its own reader does.
 */
import { readFile } from 'node:fs/promises';
import { CheckpointError } from './errors.js';
import { replaceFile } from './replace-file.js';

/** A tensor on the host, row-major. */
export interface HostTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}

export interface SafetensorsFile {
  readonly tensors: Map<string, HostTensor>;
  readonly metadata: Record<string, string>;
}

/** The reference reader's limit. */
const MAX_HEADER_BYTES = 100_000_000;

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/**
 * Reads a file whole.
 *
 * @throws CheckpointError naming the file, and the tensor where one is at fault
 */
export async function readSafetensors(path: string): Promise<SafetensorsFile> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new CheckpointError(`Cannot read ${path}: ${(error as Error).message}`);
  }
  return parseSafetensors(bytes, path);
}

/** Reads the bytes of a file. `path` is for messages. @throws CheckpointError */
export function parseSafetensors(bytes: Uint8Array, path: string): SafetensorsFile {
  const fail = (what: string): never => {
    throw new CheckpointError(`${path} is not a whole safetensors file: ${what}. Use another checkpoint.`);
  };
  if (bytes.length < 8) fail(`it has ${bytes.length} bytes, fewer than the 8 of a header length`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerBytes = Number(view.getBigUint64(0, true));
  if (headerBytes > MAX_HEADER_BYTES)
    fail(`its header claims ${headerBytes} bytes, over the limit of ${MAX_HEADER_BYTES}`);
  const start = 8 + headerBytes;
  if (start > bytes.length) fail(`its header ends at byte ${start}, but the file has ${bytes.length} bytes`);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, start)));
  } catch {
    fail('its header is not JSON');
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header))
    fail('its header is not an object');
  const tensors = new Map<string, HostTensor>();
  let metadata: Record<string, string> = {};
  const ranges: [number, number, string][] = [];
  for (const [name, value] of Object.entries(header as object)) {
    if (name === '__metadata__') {
      metadata = readMetadata(value) ?? fail('its metadata is not a map of strings');
      continue;
    }
    const entry = readEntry(value) ?? fail(`the entry of tensor ${name} lacks dtype, shape or data_offsets`);
    const elements = entry.shape.reduce((product, d) => product * d, 1);
    if (entry.dtype !== 'F32' && entry.dtype !== 'I32') {
      throw new CheckpointError(
        `${path}: tensor ${name} is ${entry.dtype}; expected F32 or I32. Convert it to float32.`,
      );
    }
    const { begin, end } = entry;
    if (end - begin !== elements * 4) {
      fail(
        `tensor ${name} of shape [${entry.shape.join(', ')}] needs ${elements * 4} bytes and has ${end - begin}`,
      );
    }
    if (start + end > bytes.length) {
      fail(
        `tensor ${name} ends at byte ${start + end}, but the file has ${bytes.length} bytes; it was cut off`,
      );
    }
    ranges.push([begin, end, name]);
    // A Buffer's own slice would share its memory.
    const copy = Uint8Array.prototype.slice.call(bytes, start + begin, start + end).buffer;
    tensors.set(name, {
      shape: entry.shape,
      data: entry.dtype === 'F32' ? new Float32Array(copy) : new Int32Array(copy),
    });
  }
  let at = 0;
  for (const [begin, end, name] of ranges.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    if (begin !== at) fail(`tensor ${name} begins at byte ${begin} of the data where ${at} was expected`);
    at = end;
  }
  if (start + at !== bytes.length) fail(`${bytes.length - start - at} bytes follow its last tensor`);
  return { tensors, metadata };
}

function readMetadata(value: unknown): Record<string, string> | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.values(value).every((v) => typeof v === 'string')
    ? (value as Record<string, string>)
    : undefined;
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function readEntry(value: unknown): Entry | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>;
  if (typeof dtype !== 'string' || !Array.isArray(shape) || !shape.every(isSize)) return undefined;
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) return undefined;
  const [begin, end] = offsets as [number, number];
  return begin <= end ? { dtype, shape, begin, end } : undefined;
}

/** The file's bytes. Tensors are written in the given order; PyTorch's readers take the file as it is. */
export function serializeSafetensors(
  tensors: ReadonlyMap<string, HostTensor>,
  metadata: Record<string, string> = {},
): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt', ...metadata } };
  let at = 0;
  for (const [name, { shape, data }] of tensors) {
    header[name] = {
      dtype: data instanceof Int32Array ? 'I32' : 'F32',
      shape,
      data_offsets: [at, at + data.byteLength],
    };
    at += data.byteLength;
  }
  const text = Buffer.from(JSON.stringify(header));
  const headerBytes = Math.ceil(text.length / 8) * 8;
  const bytes = new Uint8Array(8 + headerBytes + at);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerBytes), true);
  bytes.fill(0x20, 8, 8 + headerBytes);
  bytes.set(text, 8);
  at = 8 + headerBytes;
  for (const { data } of tensors.values()) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
}

/** Writes a file so that a crash leaves either the old one or the new one. @throws CheckpointError */
export async function writeFileAtomically(path: string, bytes: Uint8Array | string): Promise<void> {
  try {
    await replaceFile(path, bytes);
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

/** The error for a file of a run that cannot be written, with what to do about it. */
export function cannotWrite(path: string, error: unknown): CheckpointError {
  const { code, message } = error as NodeJS.ErrnoException;
  const full = code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG';
  const cure = full ? 'The disk or the quota is full: make room' : 'Make sure that this user may write there';
  return new CheckpointError(`Cannot write ${path}: ${message}. ${cure}, then go on with --resume auto.`, {
    cause: error,
  });
}
