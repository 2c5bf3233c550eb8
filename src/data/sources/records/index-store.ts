/**
 * Indexes of records kept in the user's cache directory, so that a file is scanned once. An index belongs to a
 * file's path, size and version, and to the version of the scan. It is a cache: one that is damaged or cannot be
 * written costs another scan and nothing else.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { cacheDirectory } from '../../../assets/index.js';
import type { StoredFile } from '../../storage/stored-file.js';
import type { RecordIndex } from './record-index.js';

/** Raised whenever a scan finds other records or columns than before, so that earlier indexes are not used. */
const SCAN_VERSION = 1;
const MAGIC = 'capstan index 1\n';
const DIGEST_BYTES = 32;

const headSchema = z.object({
  identity: z.string(),
  columns: z.array(z.string()),
  layout: z.string(),
  numRows: z.int().nonnegative(),
  numGroups: z.int().nonnegative(),
});

/** What tells a file from every other, and from itself before a change. */
export function fileIdentity(
  { path, size, version }: Pick<StoredFile, 'path' | 'size' | 'version'>,
  purpose: string,
): string {
  // A relative path means another file in another directory; a URL is absolute.
  const absolute = /^[a-z][a-z0-9+.-]*:\/\//i.test(path) ? path : resolve(path);
  return JSON.stringify([SCAN_VERSION, purpose, absolute, size, version]);
}

/** The index of that file in the cache, or what `scan` finds, which is kept. @throws as `scan` does */
export async function cachedIndex(
  file: StoredFile,
  format: string,
  scan: () => Promise<RecordIndex>,
): Promise<RecordIndex> {
  const identity = fileIdentity(file, format);
  const name = createHash('sha256').update(identity).digest('hex');
  const path = join(cacheDirectory(), 'indexes', `${name}.idx`);
  const kept = await readFile(path).catch(() => undefined);
  const held = kept === undefined ? undefined : decodeIndex(kept, identity);
  if (held !== undefined) return held;
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
