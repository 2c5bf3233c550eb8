/** Decodes chunks in worker threads, or in this one. */
import { builtFile } from '../built-file.js';
import { DataError } from '../errors.js';
import {
  type Chunk,
  type DecodedChunk,
  type DecodeSettings,
  decodeChunk,
  pixelBytes,
} from './decode-chunk.js';
import type { DecodeJob, DecodeResult, DecodeWorkerData } from './decode-worker.js';
import type { DecodedCache } from './decoded-cache.js';
import { PixelRoom } from './image/pixels.js';
import { SpareMemory } from './spare-memory.js';
import { mergeMemory } from './text/shared-merges.js';
import type { Tokenizer } from './text/token-batch.js';
import { loadTokenizer, type TokenizerFile } from './text/tokenizer.js';
import { ThreadPool } from './thread-pool.js';

/** Something that decodes chunks; what comes out does not depend on which. */
export interface Decoder {
  /** Chunks worth having under way at a time. */
  readonly capacity: number;
  /** Memory for a chunk's bytes: at least so many, of any content. */
  room(numBytes: number): Uint8Array<ArrayBuffer>;
  /** Decodes a chunk; the chunk's bytes may be moved away. @throws DataError if a worker stopped or the decoder closed. */
  decode(chunk: Chunk): Promise<DecodedChunk>;
  /** Takes the pixels of a decoded chunk back, for another; nobody may look at them afterwards. */
  release(pixels: Uint8Array<ArrayBuffer>): void;
  /** Ends all work; chunks under way are rejected. May be called again. */
  close(): Promise<void>;
}

/** A decoder with that many worker threads, which share the cache; 0 decodes in this thread. */
export async function createDecoder(
  numWorkers: number,
  settings: DecodeSettings,
  tokenizer: TokenizerFile,
  cache: DecodedCache | undefined,
): Promise<Decoder> {
  if (numWorkers === 0) return new InlineDecoder(settings, await tokenizerOf(tokenizer), cache);
  const merges = tokenizer.kind === 'clip' ? mergeMemory() : undefined;
  return new WorkerPool(numWorkers, { settings, tokenizer, merges, cacheMemory: cache?.memory });
}

// Building the merge table takes longer than a small batch; a thread needs it once.
const tokenizers = new Map<string, Promise<Tokenizer>>();

function tokenizerOf(file: TokenizerFile): Promise<Tokenizer> {
  const key = JSON.stringify(file);
  const known = tokenizers.get(key);
  if (known !== undefined) return known;
  const loading = loadTokenizer(file);
  tokenizers.set(key, loading);
  loading.catch(() => tokenizers.delete(key)); // the next loader may find the file mended
  return loading;
}

class InlineDecoder implements Decoder {
  readonly capacity = 2;
  readonly #room = new PixelRoom();
  readonly #bytes = new SpareMemory(this.capacity);
  readonly #pixels = new SpareMemory(this.capacity);
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(
    private readonly settings: DecodeSettings,
    private readonly tokenizer: Tokenizer,
    private cache: DecodedCache | undefined,
  ) {}

  room(numBytes: number): Uint8Array<ArrayBuffer> {
    return this.#bytes.take(numBytes);
  }

  decode(chunk: Chunk): Promise<DecodedChunk> {
    const decoded = this.#last.then(async () => {
      if (this.#closed) throw closedError();
      const pixels = this.#pixels.takeExact(pixelBytes(chunk.keys.length, this.settings));
      const memory = { room: this.#room, pixels };
      const done = await decodeChunk(chunk, this.settings, this.tokenizer, this.cache, memory);
      this.#bytes.put(chunk.bytes);
      return done;
    });
    this.#last = decoded.catch(() => undefined);
    return decoded;
  }

  release(pixels: Uint8Array<ArrayBuffer>): void {
    this.#pixels.put(pixels);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#last;
    this.cache = undefined; // it is much memory, and the loader may be held for long
  }
}

/** Worker threads that take chunks from one queue. If one stops, nothing more is decoded: see {@link ThreadPool}. */
export class WorkerPool implements Decoder {
  readonly #threads: ThreadPool<DecodeJob, DecodeResult>;
  readonly #settings: DecodeSettings;
  readonly #bytes: SpareMemory;
  readonly #pixels: SpareMemory;

  constructor(numWorkers: number, data: DecodeWorkerData) {
    this.#threads = new ThreadPool(builtFile(import.meta.url, './decode-worker.js'), numWorkers, data, {
      transfer: ({ chunk, pixels }) => [chunk.bytes.buffer, ...(pixels === undefined ? [] : [pixels.buffer])],
      stopped: workerError,
      closed: closedError,
    });
    this.#settings = data.settings;
    this.#bytes = new SpareMemory(this.capacity);
    this.#pixels = new SpareMemory(this.capacity);
  }

  get capacity(): number {
    return this.#threads.capacity;
  }

  /** Identifiers of the threads that run. */
  get threadIds(): number[] {
    return this.#threads.threadIds;
  }

  room(numBytes: number): Uint8Array<ArrayBuffer> {
    return this.#bytes.take(numBytes);
  }

  release(pixels: Uint8Array<ArrayBuffer>): void {
    this.#pixels.put(pixels);
  }

  async decode(chunk: Chunk): Promise<DecodedChunk> {
    const pixels = this.#pixels.takeExact(pixelBytes(chunk.keys.length, this.#settings));
    const { decoded, bytes } = await this.#threads.run({ chunk, pixels });
    this.#bytes.put(bytes);
    return decoded;
  }

  async close(): Promise<void> {
    await this.#threads.close();
    this.#bytes.clear();
    this.#pixels.clear();
  }
}

const closedError = (): DataError => new DataError('The loader was closed.');

const workerError = (what: string, cause: unknown): DataError =>
  new DataError(
    `A decoding worker stopped: ${what}. Resume from the last checkpoint; if it happens again, ` +
      'set data.workers to 0 to see the fault in the main thread, or to fewer if memory ran out.',
    { cause },
  );
