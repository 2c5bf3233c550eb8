/**
 * Blocks of remote files on the local disk, shared by any number of processes without locks. Each block is one
 * file, written under another name and renamed, so that a process may be killed at any moment; a checksum is
 * verified whenever a block is read. Names are spread over 64 parts by a hash, and each part keeps its share of
 * the bound by itself: the bytes stand in the files' names, so a listing tells what a part holds.
 */
import { createHash, randomUUID, webcrypto } from 'node:crypto';
import { open, readdir, rename, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectories } from '../../directories.js';
import { message } from './stored-file.js';

/** One block: bytes of one version of one file. */
export interface BlockKey {
  /** Hash of address, version, size and block size. */
  readonly file: string;
  readonly index: number;
  readonly bytes: number;
}

/** What the cache did since it was opened. */
export interface DiskCacheStats {
  hits: number;
  misses: number;
  /** Blocks found damaged, dropped, and counted as misses too. */
  damaged: number;
  evicted: number;
}

const MAGIC = Buffer.from('CPSTBLK1');
const HEADER_BYTES = MAGIC.length + 32;
const NUM_PARTS = 64;
/** A part that is over its bound is emptied to this share, so that not each block must look for its room. */
const KEPT_SHARE = 7 / 8;
/** An unfinished file of a process that was killed. */
const ABANDONED_MS = 3_600_000;
/** A use is noted on disk this often at most. */
const TOUCH_MS = 60_000;
const UNFINISHED = '.tmp';
/** A disk slower than the network must not fill the memory with what waits for it: such blocks are not kept. */
const MAX_PENDING_BYTES = 134_217_728;

/** The name of a file's blocks. */
export function fileKey(...parts: (string | number)[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 40);
}

/** A bounded cache with eviction of what was used longest ago. Never throws: without a disk, it holds nothing. */
export class DiskCache {
  readonly stats: DiskCacheStats = { hits: 0, misses: 0, damaged: 0, evicted: 0 };
  private readonly partBytes: number;
  private isWritable = true;
  private pendingBytes = 0;
  /** Writers of a part in this process wait for each other, so that each sees what the last one left. */
  private readonly turns = new Map<string, Promise<void>>();

  /**
   * @param maxBytes bound of all files of the cache. Processes that write into one part at the same instant may
   *   exceed it by a block each until the next write there.
   */
  constructor(
    private readonly directory: string,
    maxBytes: number,
    private readonly onWarning: (message: string) => void,
  ) {
    this.partBytes = Math.floor(maxBytes / NUM_PARTS);
  }

  /** The block, verified; undefined if it is not there or damaged. */
  async get(key: BlockKey): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const path = join(this.partOf(key), nameOf(key));
    const block = await this.load(path, key).catch((error: NodeJS.ErrnoException) => {
      // A block that cannot be read (a bad sector) is a damaged one.
      return error.code === 'ENOENT' || error.code === 'ENOTDIR' ? undefined : DAMAGED;
    });
    if (block === DAMAGED) {
      this.stats.damaged++;
      await unlink(path).catch(() => undefined);
    } else if (block !== undefined) {
      this.stats.hits++;
      return block;
    }
    this.stats.misses++;
    return undefined;
  }

  /** Keeps the block, if there is room on the disk and its turn does not come too late. */
  async put(key: BlockKey, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    if (!this.isWritable || this.pendingBytes > MAX_PENDING_BYTES) return;
    this.pendingBytes += bytes.length;
    const part = this.partOf(key);
    const turn = (this.turns.get(part) ?? Promise.resolve()).then(() => this.write(part, nameOf(key), bytes));
    this.turns.set(part, turn);
    await turn;
    this.pendingBytes -= bytes.length;
    if (this.turns.get(part) === turn) this.turns.delete(part);
  }

  private async load(
    path: string,
    key: BlockKey,
  ): Promise<Uint8Array<ArrayBuffer> | typeof DAMAGED | undefined> {
    const file = await open(path);
    try {
      const { size, mtimeMs } = await file.stat();
      if (size !== HEADER_BYTES + key.bytes) return DAMAGED;
      const all = new Uint8Array(size);
      const { bytesRead } = await file.read(all, 0, size, 0);
      const payload = all.subarray(HEADER_BYTES);
      const isWhole =
        bytesRead === size && (await header(nameOf(key), payload)).equals(all.subarray(0, HEADER_BYTES));
      if (!isWhole) return DAMAGED;
      const now = Date.now();
      if (now - mtimeMs > TOUCH_MS) await utimes(path, now / 1000, now / 1000).catch(() => undefined);
      return payload;
    } finally {
      await file.close();
    }
  }

  /** Waits until nothing is being written any more. */
  async idle(): Promise<void> {
    await Promise.all(this.turns.values());
  }

  private async write(part: string, name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    if (!this.isWritable) return;
    try {
      await this.tryWrite(part, name, bytes).catch((error: NodeJS.ErrnoException) => {
        // Somebody emptied the cache just now: its folders are made anew.
        if (error.code === 'ENOENT') return this.tryWrite(part, name, bytes);
        throw error;
      });
    } catch (error) {
      if (!this.isWritable) return;
      this.isWritable = false;
      this.onWarning(
        `The cache of remote data cannot be written (${message(error)}); data are fetched without it. ` +
          `Free some space at ${this.directory}, or set the storage option cacheDir or cacheMiB.`,
      );
    }
  }

  private async tryWrite(part: string, name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const unfinished = join(part, `${name}.${randomUUID()}${UNFINISHED}`);
    try {
      await makeDirectories(part);
      await writeFile(unfinished, [await header(name, bytes), bytes], { flag: 'wx' });
      // Unfinished files count, this one and those of other processes, so the bound holds when it is renamed.
      await this.makeRoom(part, unfinished);
      await rename(unfinished, join(part, name));
    } catch (error) {
      await unlink(unfinished).catch(() => undefined);
      throw error;
    }
  }

  /** Removes what was used longest ago until the part is within its bound. */
  private async makeRoom(part: string, keep: string): Promise<void> {
    const names = await readdir(part);
    let total = names.reduce((sum, name) => sum + bytesOf(name), 0);
    if (total <= this.partBytes) return;
    const found = await Promise.all(names.map(async (name) => lastUse(join(part, name), bytesOf(name))));
    const files = found.filter((file) => file !== undefined);
    total = files.reduce((sum, { bytes }) => sum + bytes, 0);
    files.sort((a, b) => a.mtimeMs - b.mtimeMs);
    for (const { path, bytes, mtimeMs } of files) {
      if (total <= this.partBytes * KEPT_SHARE) return;
      const isInUse = path.endsWith(UNFINISHED) && Date.now() - mtimeMs < ABANDONED_MS;
      if (path === keep || isInUse) continue;
      await unlink(path).catch(() => undefined);
      total -= bytes;
      this.stats.evicted++;
    }
  }

  private partOf({ file, index }: BlockKey): string {
    // Neighbouring blocks go to different parts, so that one large file may fill the whole cache.
    const part = (Number.parseInt(file.slice(0, 8), 16) + index) % NUM_PARTS;
    return join(this.directory, part.toString(16).padStart(2, '0'));
  }
}

const DAMAGED = Symbol('damaged');

function nameOf({ file, index, bytes }: BlockKey): string {
  return `${file}-${index}-${bytes}`;
}

/** Bytes on disk of the file of that name. */
function bytesOf(name: string): number {
  return HEADER_BYTES + Number(/^[0-9a-f]{40}-\d+-(\d+)/.exec(name)?.[1] ?? 0);
}

/** Undefined if it went away meanwhile. */
async function lastUse(
  path: string,
  bytes: number,
): Promise<{ path: string; bytes: number; mtimeMs: number } | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found && { path, bytes, mtimeMs: found.mtimeMs };
}

/** What stands before the payload. The checksum covers the name, so that a block never passes for another. */
async function header(name: string, payload: Uint8Array<ArrayBuffer>): Promise<Buffer> {
  // Web crypto hashes on another thread, which a block of this size is worth.
  const digest = await webcrypto.subtle.digest('SHA-256', payload);
  const bound = createHash('sha256').update(name).update(new Uint8Array(digest)).digest();
  return Buffer.concat([MAGIC, bound]);
}
