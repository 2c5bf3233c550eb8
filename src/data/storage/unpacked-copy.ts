/**
 * One unpacked file on disk: its bytes, a checksum of each 64 KiB of them, and an end that tells its length and covers
 * the checksums, so that what is read can be verified without reading all of it.
 */
import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { cutOff } from './stored-file.js';

const MAGIC = 'capstan unpacked 1\n';
const PIECE_BYTES = 64 * 1024;
/** Bytes kept of each piece's SHA-256: against damage, not malice. */
const SUM_BYTES = 16;
/** SHA-256 over identity, length and checksums; the length; the magic. */
const END_BYTES = 32 + 8 + MAGIC.length;

/** A copy that is not what was written. Make it anew. */
export class CopyDamaged extends Error {}

/** Writes a copy from front to back. */
export class CopyWriter {
  readonly #sums: Buffer[] = [];
  #piece: Hash = createHash('sha256');
  #filled = 0;
  #length = 0;

  constructor(private readonly output: FileHandle) {}

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + PIECE_BYTES - this.#filled);
      this.#piece.update(part);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === PIECE_BYTES) this.#endPiece();
    }
    this.#length += bytes.length;
    await this.output.writeFile(bytes);
  }

  /** Ends the copy of the file of that identity, and waits until it is on the disk. */
  async finish(identity: string): Promise<void> {
    if (this.#filled > 0) this.#endPiece();
    const sums = Buffer.concat(this.#sums);
    await this.output.writeFile(Buffer.concat([sums, endOf(identity, this.#length, sums)]));
    await this.output.sync();
  }

  #endPiece(): void {
    this.#sums.push(this.#piece.digest().subarray(0, SUM_BYTES));
    this.#piece = createHash('sha256');
    this.#filled = 0;
  }
}

function endOf(identity: string, length: number, sums: Buffer): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(length));
  const sum = createHash('sha256').update(identity).update(bytes).update(sums).digest();
  return Buffer.concat([sum, bytes, Buffer.from(MAGIC)]);
}

/** A whole copy. It is held open only while it is read. Safe to read concurrently. */
export class UnpackedCopy {
  private constructor(
    readonly path: string,
    readonly length: number,
    private readonly sums: Buffer,
  ) {}

  /** @throws CopyDamaged; the file system's error, `ENOENT` if there is none */
  static async open(path: string, identity: string): Promise<UnpackedCopy> {
    const file = await open(path);
    try {
      const { size } = await file.stat();
      if (size < END_BYTES) throw new CopyDamaged(`it has ${size} bytes`);
      const end = await readAt(file, size - END_BYTES, END_BYTES);
      const length = Number(end.readBigUInt64LE(32));
      const sumBytes = Math.ceil(length / PIECE_BYTES) * SUM_BYTES;
      if (length + sumBytes + END_BYTES !== size) throw new CopyDamaged(`it has ${size} bytes`);
      const sums = await readAt(file, length, sumBytes);
      if (!endOf(identity, length, sums).equals(end)) throw new CopyDamaged('its checksums are damaged');
      return new UnpackedCopy(path, length, sums);
    } finally {
      await file.close();
    }
  }

  /** @throws CopyDamaged; DataError beyond the end; the file system's error, `ENOENT` if it is there no more */
  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    if (offset < 0 || length < 0 || offset + length > this.length) {
      throw cutOff(this.path, `${offset + length} bytes`, `${this.length}`);
    }
    const first = Math.floor(offset / PIECE_BYTES);
    const start = first * PIECE_BYTES;
    const end = Math.min(this.length, Math.ceil((offset + length) / PIECE_BYTES) * PIECE_BYTES);
    if (length === 0) return new Uint8Array(0);
    const file = await open(this.path);
    try {
      const pieces = await readAt(file, start, end - start);
      for (let at = 0; at < pieces.length; at += PIECE_BYTES) {
        const piece = first + at / PIECE_BYTES;
        const sum = createHash('sha256')
          .update(pieces.subarray(at, at + PIECE_BYTES))
          .digest();
        const kept = this.sums.subarray(piece * SUM_BYTES, (piece + 1) * SUM_BYTES);
        if (!sum.subarray(0, SUM_BYTES).equals(kept)) throw new CopyDamaged(`64 KiB from byte ${start + at}`);
      }
      return new Uint8Array(pieces.buffer, offset - start, length).slice();
    } finally {
      await file.close();
    }
  }
}

/** @throws CopyDamaged if the file ends earlier */
async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer<ArrayBuffer>> {
  const bytes = Buffer.from(new ArrayBuffer(length));
  for (let at = 0; at < length; ) {
    const { bytesRead } = await file.read(bytes, at, length - at, offset + at);
    if (bytesRead === 0) throw new CopyDamaged(`it ends at byte ${offset + at}`);
    at += bytesRead;
  }
  return bytes;
}
