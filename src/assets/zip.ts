/**
 * Reads a zip file (a wheel) from disk without holding it in memory: the central directory first, then each
 * wanted entry streamed through inflate. Format: PKWARE APPNOTE 6.3, sections 4.3.7, 4.3.12, 4.3.16.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createInflateRaw } from 'node:zlib';
import { AssetError } from '../errors.js';

/** An entry of the central directory. */
export interface ZipEntry {
  readonly path: string;
  readonly method: number;
  readonly compressedBytes: number;
  readonly bytes: number;
  readonly headerOffset: number;
  readonly executable: boolean;
}

const END = 0x06054b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const STORED = 0;
const DEFLATED = 8;

/** Lists the entries of `file`. @throws AssetError when it is not a zip or needs zip64 (over 4 GiB). */
export async function readZipEntries(file: string): Promise<ZipEntry[]> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const tail = await readAt(handle, Math.max(0, size - 65_557), Math.min(size, 65_557));
    const end = findEnd(tail);
    if (end < 0) throw new AssetError(`${file} is not a zip file, or is cut off (no end record).`);
    const count = tail.readUInt16LE(end + 10);
    const length = tail.readUInt32LE(end + 12);
    const offset = tail.readUInt32LE(end + 16);
    if (count === 0xffff || length === 0xffffffff || offset === 0xffffffff) {
      throw new AssetError(`${file} uses zip64, which is not supported.`);
    }
    return parseDirectory(await readAt(handle, offset, length), count, file);
  } finally {
    await handle.close();
  }
}

/**
 * Extracts `entries` of `file` below `directory`, keeping their paths and executable bits.
 *
 * @throws AssetError when an entry would land outside `directory` or has not its stated size.
 */
export async function extractZipEntries(
  file: string,
  entries: readonly ZipEntry[],
  directory: string,
  onEntry?: (entry: ZipEntry) => void,
): Promise<void> {
  const handle = await open(file, 'r');
  try {
    for (const entry of entries) {
      const path = normalize(entry.path);
      if (path.startsWith('..') || path.startsWith('/')) {
        throw new AssetError(`${file}: entry ${entry.path} points outside of the archive.`);
      }
      const target = join(directory, path);
      await mkdir(dirname(target), { recursive: true });
      await extractEntry(handle, file, entry, target);
      onEntry?.(entry);
    }
  } finally {
    await handle.close();
  }
}

async function extractEntry(
  handle: FileHandle,
  file: string,
  entry: ZipEntry,
  target: string,
): Promise<void> {
  const header = await readAt(handle, entry.headerOffset, 30);
  if (header.length < 30 || header.readUInt32LE(0) !== LOCAL) {
    throw new AssetError(`${file}: the header of ${entry.path} is damaged.`);
  }
  const start = entry.headerOffset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
  // Flushed, because the directory is renamed into place and counts as whole from then on.
  const output = createWriteStream(target, { flush: true });
  if (entry.compressedBytes === 0) {
    output.end();
    await pipeline([], output);
  } else {
    const input = createReadStream(file, {
      start,
      end: start + entry.compressedBytes - 1,
      highWaterMark: 1 << 20,
    });
    if (entry.method === DEFLATED) await pipeline(input, createInflateRaw({ chunkSize: 1 << 20 }), output);
    else if (entry.method === STORED) await pipeline(input, output);
    else throw new AssetError(`${file}: ${entry.path} has compression method ${entry.method}, not 0 or 8.`);
  }
  if (output.bytesWritten !== entry.bytes) {
    throw new AssetError(
      `${file}: ${entry.path} gave ${output.bytesWritten} bytes, ${entry.bytes} expected.`,
    );
  }
  if (entry.executable) await chmod(target, 0o755);
}

function findEnd(tail: Buffer): number {
  for (let i = tail.length - 22; i >= 0; i--) {
    if (tail.readUInt32LE(i) === END && i + 22 + tail.readUInt16LE(i + 20) <= tail.length) return i;
  }
  return -1;
}

function parseDirectory(bytes: Buffer, count: number, file: string): ZipEntry[] {
  const entries: ZipEntry[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + 46 > bytes.length || bytes.readUInt32LE(at) !== CENTRAL) {
      throw new AssetError(`${file}: entry ${i} of the zip directory is damaged.`);
    }
    const nameLength = bytes.readUInt16LE(at + 28);
    const mode = bytes.readUInt32LE(at + 38) >>> 16;
    entries.push({
      path: bytes.toString('utf8', at + 46, at + 46 + nameLength),
      method: bytes.readUInt16LE(at + 10),
      compressedBytes: bytes.readUInt32LE(at + 20),
      bytes: bytes.readUInt32LE(at + 24),
      headerOffset: bytes.readUInt32LE(at + 42),
      executable: (mode & 0o111) !== 0,
    });
    at += 46 + nameLength + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32);
  }
  return entries;
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(buffer, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}
