/**
 * Writes tar archives as WebDataset reads them: the members of a sample one after the other, named for its key.
 *
 * Source: webdataset 1.0.2, writer.py.
 */
import { DataError } from '../../errors.js';
import { PartFile } from './part-file.js';
import { BLOCK } from './tar.js';
import { tarMember } from './tar-encoder.js';

/** A tar archive being written. It appears under its path when it is closed, whole, or not at all. */
export interface TarWriter {
  readonly numSamples: number;
  /**
   * Adds a sample.
   *
   * @param key without a dot, different for each sample of the archive
   * @param members contents by what follows the key and a dot: `jpg`, `txt`, `json`
   * @throws DataError for a key that WebDataset would not read as one, or a failing disk.
   */
  addSample(key: string, members: Readonly<Record<string, Uint8Array | string>>): Promise<void>;
  /** Ends the archive, and puts it in its place. @throws DataError for a failing disk. */
  close(): Promise<void>;
  /** Gives the archive up and leaves nothing of it. */
  abort(): Promise<void>;
}

/** Opens an archive. The same samples give the same bytes: members have no time and no owner. */
export async function openTarWriter(path: string): Promise<TarWriter> {
  return new FileTarWriter(path, await PartFile.open(path));
}

/** Written at once. */
const BUFFER_BYTES = 1024 * 1024;
/** Two blocks of zeros end an archive, and whole records of twenty blocks are what tar writes. */
const RECORD = 20 * BLOCK;

class FileTarWriter implements TarWriter {
  numSamples = 0;
  #size = 0;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;

  constructor(
    private readonly path: string,
    private readonly file: PartFile,
  ) {}

  async addSample(key: string, members: Readonly<Record<string, Uint8Array | string>>): Promise<void> {
    if (!/^[^./\0][^.\0]*$/.test(key)) {
      throw new DataError(
        `${this.path}: '${key}' cannot be a sample's key; expected text without a dot, a slash before it, or a zero.`,
      );
    }
    for (const [name, content] of Object.entries(members)) {
      this.#put(tarMember(`${key}.${name}`, Buffer.from(content as Uint8Array)));
    }
    this.numSamples++;
    if (this.#pendingBytes >= BUFFER_BYTES) await this.#flush();
  }

  async close(): Promise<void> {
    const end = this.#size + 2 * BLOCK;
    this.#put([new Uint8Array(Math.ceil(end / RECORD) * RECORD - this.#size)]);
    await this.#flush();
    await this.file.commit();
  }

  abort(): Promise<void> {
    return this.file.discard();
  }

  #put(chunks: readonly Uint8Array[]): void {
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    this.#pending.push(...chunks);
    this.#pendingBytes += bytes;
    this.#size += bytes;
  }

  async #flush(): Promise<void> {
    const pending = Buffer.concat(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
    await this.file.append([pending]);
  }
}
