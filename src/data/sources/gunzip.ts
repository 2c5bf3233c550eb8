/**
 * Files compressed by gzip, which has no random access: a file is unpacked once into the user's cache directory and read
 * from there. gzip's own checksum tells damage.
 */
import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { cacheDirectory, formatBytes, freeBytes } from '../../assets/index.js';
import { DataError } from '../../errors.js';
import { withLock } from '../../lock.js';
import { message, openLocalFile, type StoredFile } from '../storage/stored-file.js';
import { fileIdentity } from './records/index-store.js';

const READ_BYTES = 1024 * 1024;
/** Text shrinks to a fifth or a tenth; gzip's most is a thousandth, which is a bomb. */
const MAX_RATIO = 200;
/** Unpacked bytes that any file may have, whatever it shrank to. */
const FREE_BYTES = 64 * 1024 * 1024;
/** Left free on the cache's disk. */
const RESERVE_BYTES = 1024 ** 3;
/** The disk is looked at again after so many bytes written. */
const CHECK_BYTES = 256 * 1024 * 1024;

/**
 * The unpacked copy of a gzip file, made unless it is there. It goes by the file's own path in messages. Copies of earlier
 * versions of the file are removed.
 *
 * @throws DataError if the file is damaged or cut off, unpacks to more than 200 times its size, or does not fit the disk.
 */
export async function openUnpacked(file: StoredFile): Promise<StoredFile> {
  const directory = join(cacheDirectory(), 'unpacked');
  const prefix = hash(fileIdentity({ path: file.path, size: 0, version: '' }, 'unpacked'));
  const name = `${prefix}-${hash(fileIdentity(file, 'unpacked'))}`;
  const path = join(directory, name);
  try {
    await mkdir(directory, { recursive: true });
    if (!(await exists(path))) {
      await withLock(`${path}.lock`, async () => {
        if (await exists(path)) return; // another process was first
        await removeEarlier(directory, prefix);
        await unpack(file, path);
      });
    }
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw new DataError(
      `${file.path}: cannot be unpacked to ${path} (${message(cause)}). Free some space, set CAPSTAN_CACHE to a directory ` +
        'that can be written, or unpack the file yourself.',
      { cause },
    );
  }
  const copy = await openLocalFile(path);
  return {
    path: file.path,
    size: copy.size,
    version: `${file.version} unpacked`,
    read: (offset, length) => copy.read(offset, length),
  };
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function removeEarlier(directory: string, prefix: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (name.startsWith(prefix) && !name.endsWith('.lock')) await rm(join(directory, name), { force: true });
  }
}

/** Writes the unpacked bytes whole or not at all. */
async function unpack(file: StoredFile, path: string): Promise<void> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}`;
  const output = await open(temporary, 'wx');
  let refusal: unknown; // pipeline may tell only that it was aborted
  try {
    await pipeline(Readable.from(pieces(file)), createGunzip(), (unpacked: AsyncIterable<Uint8Array>) =>
      write(file, unpacked, output, dirname(path)).catch((cause: unknown) => {
        refusal = cause;
        throw cause;
      }),
    );
    await output.sync();
    await output.close();
    await rename(temporary, path);
  } catch (cause) {
    await output.close();
    await rm(temporary, { force: true });
    const first = refusal ?? cause;
    if (!isZlibError(first)) throw first;
    const text = `${file.path}: the gzip file is cut off or damaged (${message(first)}). Copy it again.`;
    throw new DataError(text, { cause: first });
  }
}

async function write(
  file: StoredFile,
  unpacked: AsyncIterable<Uint8Array>,
  output: FileHandle,
  directory: string,
): Promise<void> {
  let size = 0;
  let checked = Number.NEGATIVE_INFINITY;
  for await (const bytes of unpacked) {
    if (size - checked >= CHECK_BYTES) {
      await checkSpace(file, directory);
      checked = size;
    }
    size += bytes.length;
    if (size > Math.max(FREE_BYTES, file.size * MAX_RATIO)) throw bomb(file, size);
    await output.writeFile(bytes);
  }
}

async function* pieces(file: StoredFile): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < file.size; at += READ_BYTES) {
    yield await file.read(at, Math.min(READ_BYTES, file.size - at));
  }
}

function isZlibError(cause: unknown): boolean {
  return String((cause as NodeJS.ErrnoException).code).startsWith('Z_');
}

async function checkSpace(file: StoredFile, directory: string): Promise<void> {
  const free = await freeBytes(directory);
  if (free >= RESERVE_BYTES) return;
  throw new DataError(
    `${file.path}: there is no room to unpack it in ${directory}: ${formatBytes(free)} are free. Free some space, set ` +
      'CAPSTAN_CACHE to a directory on a larger disk, or unpack the file yourself.',
  );
}

function bomb(file: StoredFile, size: number): DataError {
  return new DataError(
    `${file.path}: unpacks from ${file.size} bytes to more than ${size - 1}; expected at most ${MAX_RATIO} times as many. ` +
      'Check the file, or unpack it yourself.',
  );
}
