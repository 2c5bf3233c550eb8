/** A remote object as a StoredFile: blocks from memory, disk or server, read ahead where it is read in order. */
import { DataError } from '../../errors.js';
import type { BlockKey, DiskCache } from './disk-cache.js';
import { fileKey } from './disk-cache.js';
import { BLOCK_BYTES } from './options.js';
import { type RemoteObject, versionText } from './remote-object.js';
import { cutOff, type StoredFile } from './stored-file.js';

type Block = Uint8Array<ArrayBuffer>;

/** What the files of one storage share. */
export interface RemoteContext {
  readonly memory: BlockMemory;
  /** Undefined if none is kept. */
  readonly disk: DiskCache | undefined;
  readonly readAheadBlocks: number;
  /** Fetches a range with retries, within the bound on connections. */
  fetch(object: RemoteObject, offset: number, length: number): Promise<Block>;
}

/** One request asks for this many blocks at most: small enough to try again, large enough to be fast. */
const MAX_FETCH_BLOCKS = 8;

/** Of a smaller file most is wanted anyway, and whole blocks of it are few. */
const PEEKED_FROM_BYTES = 2 * BLOCK_BYTES;

let numUnversioned = 0;

export class RemoteFile implements StoredFile {
  readonly path: string;
  readonly size: number;
  readonly version: string;
  readonly key: string;
  readonly tag?: string;
  private readonly blocksKey: string;
  /** Undefined if the server tells no version: then old blocks could not be told from new ones. */
  private readonly disk: DiskCache | undefined;
  /** Where a reader that goes on in order would continue, and how many blocks it is granted ahead. */
  private nextBlock = 0;
  private ahead = 0;

  constructor(
    private readonly object: RemoteObject,
    private readonly context: RemoteContext,
  ) {
    this.path = object.path;
    this.size = object.size;
    const version = versionText(object.version);
    this.version = version ?? `unknown-${process.pid}-${Date.now()}-${numUnversioned++}`;
    this.disk = version === undefined ? undefined : context.disk;
    this.key = fileKey(object.key);
    if (version !== undefined) this.tag = version;
    this.blocksKey = fileKey(object.key, this.version, object.size, BLOCK_BYTES);
  }

  async peek(offset: number, length: number): Promise<Block> {
    this.checkRange(offset, length);
    const first = Math.floor(offset / BLOCK_BYTES);
    const isHeld = this.context.memory.has(`${this.blocksKey}-${first}`);
    if (length === 0 || this.size <= PEEKED_FROM_BYTES || isHeld) return this.read(offset, length);
    const key = { file: fileKey(this.blocksKey, 'peek'), index: offset, bytes: length };
    const kept = await this.disk?.get(key);
    if (kept !== undefined) return kept;
    const bytes = await this.context.fetch(this.object, offset, length);
    void this.disk?.put(key, bytes);
    return bytes;
  }

  private checkRange(offset: number, length: number): void {
    if (offset >= 0 && length >= 0 && offset + length <= this.size) return;
    throw cutOff(this.path, `${offset + length} bytes`, `${this.size}`);
  }

  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    this.checkRange(offset, length);
    const bytes = new Uint8Array(length);
    if (length === 0) return bytes;
    const first = Math.floor(offset / BLOCK_BYTES);
    const last = Math.floor((offset + length - 1) / BLOCK_BYTES);
    const blocks = this.blocks(first, last);
    this.readAhead(first, last);
    await Promise.all(
      blocks.map(async (pending, i) => {
        const block = await pending;
        const start = (first + i) * BLOCK_BYTES;
        const from = Math.max(0, offset - start);
        const to = Math.min(block.length, offset + length - start);
        bytes.set(block.subarray(from, to), start + from - offset);
      }),
    );
    return bytes;
  }

  /** Blocks [first, last], each under way already or begun now. */
  private blocks(first: number, last: number): Promise<Block>[] {
    const found: Promise<Block>[] = [];
    let begun: Begun[] = [];
    for (let index = first; index <= last; index++) {
      const id = `${this.blocksKey}-${index}`;
      const known = this.context.memory.get(id);
      if (known) {
        found.push(known);
        continue;
      }
      const block = begin(index);
      this.context.memory.add(id, block.promise);
      found.push(block.promise);
      begun.push(block);
      if (begun.length === MAX_FETCH_BLOCKS) {
        void this.load(begun);
        begun = [];
      }
    }
    void this.load(begun);
    return found;
  }

  /** A reader that goes on where it stopped gets twice as much ahead each time, up to the option's bound. */
  private readAhead(first: number, last: number): void {
    const goesOn = first === this.nextBlock || first === this.nextBlock - 1;
    if (!goesOn) this.ahead = 0;
    else if (last >= this.nextBlock)
      this.ahead = Math.min(Math.max(1, this.ahead * 2), this.context.readAheadBlocks);
    const movedOn = last + 1 !== this.nextBlock;
    this.nextBlock = last + 1;
    if (!movedOn || this.ahead === 0) return;
    const end = Math.min(last + this.ahead, Math.floor((this.size - 1) / BLOCK_BYTES));
    // A failure ahead is forgotten: whoever needs the block asks anew and gets its error.
    for (const block of this.blocks(last + 1, end)) block.catch(() => undefined);
  }

  /** Fills blocks from the disk, and the rest from the server: neighbours by one request. */
  private async load(begun: readonly Begun[]): Promise<void> {
    const kept = await Promise.all(begun.map(({ index }) => this.disk?.get(this.blockKey(index))));
    let run: Begun[] = [];
    for (const [i, block] of begun.entries()) {
      const bytes = kept[i];
      if (bytes !== undefined) block.resolve(bytes);
      const isNeighbour = run.length === 0 || run.at(-1)?.index === block.index - 1;
      if (bytes !== undefined || !isNeighbour) {
        void this.fetch(run);
        run = [];
      }
      if (bytes === undefined) run.push(block);
    }
    await this.fetch(run);
  }

  private async fetch(run: readonly Begun[]): Promise<void> {
    const first = run[0]?.index;
    if (first === undefined) return;
    const offset = first * BLOCK_BYTES;
    const length = run.reduce((sum, { index }) => sum + this.blockKey(index).bytes, 0);
    let bytes: Block;
    try {
      bytes = await this.context.fetch(this.object, offset, length);
    } catch (error) {
      for (const block of run) {
        this.context.memory.drop(`${this.blocksKey}-${block.index}`);
        block.reject(error instanceof Error ? error : new DataError(String(error)));
      }
      return;
    }
    for (const block of run) {
      const start = block.index * BLOCK_BYTES - offset;
      // A copy, so that a block that stays in memory does not hold its neighbours there.
      const own = bytes.slice(start, start + this.blockKey(block.index).bytes);
      block.resolve(own);
      void this.disk?.put(this.blockKey(block.index), own);
    }
  }

  private blockKey(index: number): BlockKey {
    return { file: this.blocksKey, index, bytes: Math.min(BLOCK_BYTES, this.size - index * BLOCK_BYTES) };
  }
}

/** A block that is being loaded. */
interface Begun {
  readonly index: number;
  readonly promise: Promise<Block>;
  resolve(block: Block): void;
  reject(error: Error): void;
}

function begin(index: number): Begun {
  let resolve: (block: Block) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<Block>((ok, fail) => {
    resolve = ok;
    reject = fail;
  });
  return { index, promise, resolve, reject };
}

/** Blocks used lately, or under way: who asks for one that another reader waits for waits with it. */
export class BlockMemory {
  private readonly blocks = new Map<string, Promise<Block>>();

  constructor(private readonly maxBlocks: number) {}

  has(id: string): boolean {
    return this.blocks.has(id);
  }

  get(id: string): Promise<Block> | undefined {
    const block = this.blocks.get(id);
    if (block === undefined) return undefined;
    this.blocks.delete(id);
    this.blocks.set(id, block);
    return block;
  }

  add(id: string, block: Promise<Block>): void {
    this.blocks.set(id, block);
    const oldest = this.blocks.keys().next().value;
    if (this.blocks.size > this.maxBlocks && oldest !== undefined) this.blocks.delete(oldest);
  }

  drop(id: string): void {
    this.blocks.delete(id);
  }
}
