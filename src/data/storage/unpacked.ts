/**
 * Files compressed by gzip, which has no random access: a file is unpacked once into the user's cache directory and read
 * from there. gzip's own checksum tells damage of the file, checksums of ours that of the copy.
 *
 * Copies stay within a bound: those used longest ago go first, but none that a process uses, which keeps touching it.
 * A copy that is gone or damaged all the same (a suspended process, a cache emptied by hand, a bad disk) is made anew
 * when it is read.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { cacheDirectory, formatBytes, freeBytes } from '../../assets/index.js';
import { DataError } from '../../errors.js';
import { withLock } from '../../lock.js';
import { keepWithin } from './bounded-folder.js';
import { fileIdentity, message, type StoredFile } from './stored-file.js';
import { CopyDamaged, CopyWriter, UnpackedCopy } from './unpacked-copy.js';

const READ_BYTES = 1024 * 1024;
/** Text shrinks to a fifth or a tenth; gzip's most is a thousandth, which is a bomb. */
const MAX_RATIO = 200;
/** Unpacked bytes that any file may have, whatever it shrank to. */
const FREE_BYTES = 64 * 1024 * 1024;
/** Left free on the cache's disk. */
const RESERVE_BYTES = 1024 ** 3;
/** The disk and the bound are looked at again after so many bytes written. */
const CHECK_BYTES = 64 * 1024 * 1024;
/** Copies in use are touched this often, and one untouched for so long is in use no more. */
const TOUCH_MS = 30_000;
const IN_USE_MS = 180_000;

/** The unpacked copies that a process uses. */
export class UnpackedCopies {
  /** By path. */
  readonly #used = new Map<string, Promise<UnpackedCopy>>();
  #touching: NodeJS.Timeout | undefined;

  /** @param maxBytes bound of all copies, other processes' included, which may exceed it by 64 MiB each for a moment */
  constructor(private readonly maxBytes: number) {}

  /**
   * The unpacked copy of a gzip file, made unless it is there. It goes by the file's own path in messages. Copies of
   * earlier versions of the file are removed, unless they are in use.
   *
   * @throws DataError if the file is damaged or cut off, unpacks to more than 200 times its size, or does not fit the
   *   disk or the bound.
   */
  async open(file: StoredFile): Promise<StoredFile> {
    const { length } = await this.#copyOf(file);
    return {
      path: file.path,
      ...(file.key === undefined ? {} : { key: file.key }),
      size: length,
      version: `${file.version} unpacked`,
      read: (offset, bytes) => this.#read(file, offset, bytes),
    };
  }

  /** Gives the copies up: they may be removed when room is needed. */
  async close(): Promise<void> {
    clearInterval(this.#touching);
    this.#touching = undefined;
    const used = [...this.#used.keys()];
    this.#used.clear();
    await touch(used, Date.now() - IN_USE_MS);
  }

  async #read(file: StoredFile, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    for (let isFirst = true; ; isFirst = false) {
      const copy = await this.#copyOf(file);
      try {
        return await copy.read(offset, length);
      } catch (cause) {
        const isGone = (cause as NodeJS.ErrnoException).code === 'ENOENT';
        if (!isFirst || !(isGone || cause instanceof CopyDamaged)) throw unusable(file, copy.path, cause);
        await this.#giveUp(copy, isGone);
      }
    }
  }

  #copyOf(file: StoredFile): Promise<UnpackedCopy> {
    const place = placeOf(file);
    const known = this.#used.get(place.path);
    if (known !== undefined) return known;
    const made = ready(file, place, this.maxBytes);
    this.#used.set(place.path, made);
    made.catch(() => this.#used.delete(place.path));
    this.#touching ??= setInterval(() => void touch([...this.#used.keys()], Date.now()), TOUCH_MS).unref();
    return made;
  }

  /** Another reader may have given it up already, and have it made anew. */
  async #giveUp(copy: UnpackedCopy, isGone: boolean): Promise<void> {
    const known = await this.#used.get(copy.path)?.catch(() => undefined);
    if (known !== copy) return;
    this.#used.delete(copy.path);
    if (!isGone) await rm(copy.path, { force: true });
  }
}

/** Where the copy of a file lies. */
interface Place {
  readonly directory: string;
  /** What the names of copies of all versions of the file begin with. */
  readonly prefix: string;
  readonly path: string;
  readonly identity: string;
}

function placeOf(file: StoredFile): Place {
  const directory = join(cacheDirectory(), 'unpacked');
  const identity = fileIdentity(file, 'unpacked');
  const prefix = hash(fileIdentity({ ...file, size: 0, version: '' }, 'unpacked'));
  return { directory, prefix, path: join(directory, `${prefix}-${hash(identity)}`), identity };
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

const isWhole = (name: string): boolean => /^[0-9a-f]{32}-[0-9a-f]{32}$/.test(name);

/** Sets when files were last used. One that is gone is made anew when it is read. */
async function touch(paths: readonly string[], timeMs: number): Promise<void> {
  await Promise.all(paths.map((path) => utimes(path, timeMs / 1000, timeMs / 1000).catch(() => undefined)));
}

async function ready(file: StoredFile, place: Place, maxBytes: number): Promise<UnpackedCopy> {
  const { directory, path } = place;
  try {
    await mkdir(directory, { recursive: true });
    const copy = await openWhole(place);
    if (copy !== undefined) return copy;
    return await withLock(`${path}.lock`, async () => {
      const other = await openWhole(place);
      if (other !== undefined) return other; // another process was first
      await removeEarlier(place);
      await unpack(file, place, maxBytes);
      return UnpackedCopy.open(path, place.identity);
    });
  } catch (cause) {
    throw unusable(file, path, cause);
  }
}

function unusable(file: StoredFile, path: string, cause: unknown): DataError {
  if (cause instanceof DataError) return cause;
  return new DataError(
    `${file.path}: cannot be unpacked to ${path} (${message(cause)}). Free some space, set CAPSTAN_CACHE to a directory ` +
      'that can be written, or unpack the file yourself.',
    { cause },
  );
}

/** Undefined if it is not there, or damaged and removed. From now on it is in use. */
async function openWhole({ path, identity }: Place): Promise<UnpackedCopy | undefined> {
  await touch([path], Date.now());
  try {
    return await UnpackedCopy.open(path, identity);
  } catch (cause) {
    if (cause instanceof CopyDamaged) await rm(path, { force: true });
    else if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    return undefined;
  }
}

/** Removes copies of other versions that nobody uses, and what a killed process left of this one, whose lock is held. */
async function removeEarlier({ directory, prefix, path }: Place): Promise<void> {
  for (const name of await readdir(directory)) {
    const each = join(directory, name);
    if (!name.startsWith(prefix) || name.endsWith('.lock') || name.endsWith('.takeover')) continue;
    const info = await stat(each).catch(() => undefined);
    const isOurs = each.startsWith(path);
    const isIdle = info !== undefined && isWhole(name) && Date.now() - info.mtimeMs >= IN_USE_MS;
    if (isOurs || isIdle) await rm(each, { force: true });
  }
}

/** Writes the unpacked bytes whole or not at all. */
async function unpack(file: StoredFile, place: Place, maxBytes: number): Promise<void> {
  const temporary = `${place.path}.${randomBytes(4).toString('hex')}`;
  const output = await open(temporary, 'wx');
  const writer = new CopyWriter(output);
  let refusal: unknown; // pipeline may tell only that it was aborted
  try {
    await pipeline(Readable.from(pieces(file)), createGunzip(), (unpacked: AsyncIterable<Uint8Array>) =>
      write(file, unpacked, writer, temporary, maxBytes).catch((cause: unknown) => {
        refusal = cause;
        throw cause;
      }),
    );
    await writer.finish(place.identity);
    await makeRoom(file, temporary, maxBytes);
    await output.close();
    await rename(temporary, place.path);
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
  writer: CopyWriter,
  temporary: string,
  maxBytes: number,
): Promise<void> {
  let checked = Number.NEGATIVE_INFINITY;
  for await (const bytes of unpacked) {
    if (writer.length - checked >= CHECK_BYTES) {
      await makeRoom(file, temporary, maxBytes);
      checked = writer.length;
    }
    const size = writer.length + bytes.length;
    if (size > Math.max(FREE_BYTES, file.size * MAX_RATIO)) throw bomb(file, size);
    await writer.write(bytes);
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

/** @throws DataError if the disk is full, or copies in use take all the room there is */
async function makeRoom(file: StoredFile, temporary: string, maxBytes: number): Promise<void> {
  const directory = dirname(temporary);
  const taken = await keepWithin(directory, { maxBytes, isWhole, inUseMs: IN_USE_MS });
  if (taken > maxBytes) {
    throw new DataError(
      `${file.path}: there is no room to unpack it: the copies in use in ${directory} and this one take ` +
        `${formatBytes(taken)}; ${formatBytes(maxBytes)} are allowed. Raise data.storage.unpackedMiB (in code, the storage ` +
        'option unpackedMiB), or unpack the file yourself.',
    );
  }
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
