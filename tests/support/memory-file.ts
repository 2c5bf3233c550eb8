import { cutOff, type StoredFile } from '../../src/data/storage/stored-file.js';

/** A file in memory that notes what is read of it. */
export class MemoryFile implements StoredFile {
  readonly reads: (readonly [offset: number, length: number])[] = [];

  constructor(
    readonly path: string,
    readonly bytes: Uint8Array,
    readonly version = '1',
  ) {}

  get size(): number {
    return this.bytes.length;
  }

  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    if (!(offset >= 0 && length >= 0)) throw new Error(`a read of ${length} bytes at ${offset}`);
    this.reads.push([offset, length]);
    if (offset + length > this.size) throw cutOff(this.path, `${offset + length} bytes`, `${this.size}`);
    return new Uint8Array(this.bytes.subarray(offset, offset + length));
  }
}
