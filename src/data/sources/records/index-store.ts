/**
 * Indexes of records kept in the user's cache directory, so that a file is scanned once. An index belongs to a
 * file's path, size and version, and to the version of the scan. It is a cache: one that is damaged or cannot be
 * written costs another scan and nothing else. Those used longest ago go when all take more than 1 GiB.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { cacheDirectory } from '../../../assets/index.js';
import { keepWithin } from '../../storage/bounded-folder.js';
import { fileIdentity, type StoredFile } from '../../storage/stored-file.js';
import type { RecordIndex } from './record-index.js';

/** Raised whenever a scan finds other records or columns than before, so that earlier indexes are not used. */
const SCAN_VERSION = 1;
const MAGIC = 'capstan index 1\n';
const DIGEST_BYTES = 32;
const MAX_BYTES = 1024 ** 3;
/** The bound is looked after at a process's first index, and again after so many bytes of them. */
const CHECK_BYTES = 64 * 1024 * 1024;

let bytesToCheck = 0;

const headSchema = z.object({
  identity: z.string(),
  columns: z.array(z.string()),
  layout: z.string(),
  numRows: z.int().nonnegative(),
  numGroups: z.int().nonnegative(),
});

/** The index of that file in the cache, or what `scan` finds, which is kept. @throws as `scan` does */
export async function cachedIndex(
  file: StoredFile,
  format: string,
  scan: () => Promise<RecordIndex>,
): Promise<RecordIndex> {
  const identity = fileIdentity(file, SCAN_VERSION, format);
  const name = createHash('sha256').update(identity).digest('hex');
  const path = join(cacheDirectory(), 'indexes', `${name}.idx`);
  const kept = await readFile(path).catch(() => undefined);
  const held = kept === undefined ? undefined : decodeIndex(kept, identity);
  if (held !== undefined) {
    const now = new Date();
    await utimes(path, now, now).catch(() => undefined); // it was used: others go first
    return held;
  }
  const index = await scan();
  await keep(path, encodeIndex(index, identity));
  return index;
}

/** Writes the file whole or not at all. */
async function keep(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(temporary, bytes);
    await rename(temporary, path);
    bytesToCheck -= bytes.length;
    if (bytesToCheck > 0) return;
    bytesToCheck = CHECK_BYTES;
    await keepWithin(dirname(path), {
      maxBytes: MAX_BYTES,
      isWhole: (name) => /^[0-9a-f]{64}\.idx$/.test(name),
    });
  } catch {
    await rm(temporary, { force: true }).catch(() => undefined);
  }
}

/** Magic, length of the head, head as JSON, padding to 8 bytes, offsets, lengths, first rows, SHA-256 of it all. */
export function encodeIndex(index: RecordIndex, identity: string): Uint8Array {
  const { columns, layout, numRows, offsets, lengths, firstRows } = index;
  const head = Buffer.from(JSON.stringify({ identity, columns, layout, numRows, numGroups: offsets.length }));
  const length = Buffer.alloc(8);
  length.writeUInt32LE(head.length);
  const padding = Buffer.alloc(-head.length & 7);
  const arrays = [offsets, lengths, firstRows].map(({ buffer, byteOffset, byteLength }) =>
    Buffer.from(buffer, byteOffset, byteLength),
  );
  const body = Buffer.concat([Buffer.from(MAGIC), length, head, padding, ...arrays]);
  return Buffer.concat([body, createHash('sha256').update(body).digest()]);
}

/** The index, or undefined if the bytes are damaged or another file's. */
export function decodeIndex(bytes: Buffer, identity: string): RecordIndex | undefined {
  const end = bytes.length - DIGEST_BYTES;
  if (end < MAGIC.length + 8 || bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) return undefined;
  if (!createHash('sha256').update(bytes.subarray(0, end)).digest().equals(bytes.subarray(end)))
    return undefined;
  const headEnd = MAGIC.length + 8 + bytes.readUInt32LE(MAGIC.length);
  const head = headSchema.parse(JSON.parse(bytes.toString('utf8', MAGIC.length + 8, headEnd)));
  if (head.identity !== identity) return undefined;
  const arrays = bytes.buffer.slice(bytes.byteOffset + headEnd + (-headEnd & 7), bytes.byteOffset + end);
  const { columns, layout, numRows, numGroups } = head;
  return {
    columns,
    layout,
    numRows,
    offsets: new Float64Array(arrays as ArrayBuffer, 0, numGroups),
    lengths: new Float64Array(arrays as ArrayBuffer, numGroups * 8, numGroups),
    firstRows: new Uint32Array(arrays as ArrayBuffer, numGroups * 16, numGroups),
  };
}
