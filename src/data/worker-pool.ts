/** Decodes chunks in worker threads, or in this one. */
import { Worker } from 'node:worker_threads';
import { builtFile } from '../built-file.js';
import { DataError } from '../errors.js';
import {
  type Chunk,
  type DecodedChunk,
  type DecodeSettings,
  decodeChunk,
  pixelBytes,
} from './decode-chunk.js';
import type { DecodeReply, DecodeRequest, DecodeWorkerData } from './decode-worker.js';
import type { DecodedCache } from './decoded-cache.js';
import { PixelRoom } from './image/pixels.js';
import { SpareMemory } from './spare-memory.js';
import { ClipTokenizer } from './text/clip-tokenizer.js';

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
  mergesPath: string,
  cache: DecodedCache | undefined,
): Promise<Decoder> {
  if (numWorkers === 0) return new InlineDecoder(settings, await tokenizerOf(mergesPath), cache);
  return new WorkerPool(numWorkers, { settings, mergesPath, cacheMemory: cache?.memory });
}

// Building the merge table takes longer than a small batch; a thread needs it once.
const tokenizers = new Map<string, Promise<ClipTokenizer>>();

function tokenizerOf(mergesPath: string): Promise<ClipTokenizer> {
  const known = tokenizers.get(mergesPath);
  if (known !== undefined) return known;
  const loading = ClipTokenizer.load(mergesPath);
  tokenizers.set(mergesPath, loading);
  loading.catch(() => tokenizers.delete(mergesPath)); // the next loader may find the file mended
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
    private readonly tokenizer: ClipTokenizer,
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

/** Chunks that a worker holds at a time: one that it works on and one that waits, so that it never idles. */
const CHUNKS_PER_WORKER = 2;

interface Job {
  readonly request: DecodeRequest;
  readonly resolve: (decoded: DecodedChunk) => void;
  readonly reject: (error: Error) => void;
}

interface Slot {
  readonly worker: Worker;
  readonly jobs: Map<number, Job>;
}

/**
 * Worker threads that take chunks from one queue. If a worker stops, every chunk under way and every later
 * one is rejected with the cause: a sample lost silently would change the order of the rest.
 */
export class WorkerPool implements Decoder {
  readonly capacity: number;
  readonly #slots: Slot[];
  readonly #queue: Job[] = [];
  readonly #settings: DecodeSettings;
  readonly #bytes: SpareMemory;
  readonly #pixels: SpareMemory;
  #nextId = 0;
  #failure: DataError | undefined;

  constructor(numWorkers: number, data: DecodeWorkerData) {
    this.capacity = numWorkers * CHUNKS_PER_WORKER + 1;
    this.#settings = data.settings;
    this.#bytes = new SpareMemory(this.capacity);
    this.#pixels = new SpareMemory(this.capacity);
    this.#slots = Array.from({ length: numWorkers }, () => this.#start(data));
  }

  /** Identifiers of the threads that run. */
  get threadIds(): number[] {
    return this.#slots.map(({ worker }) => worker.threadId);
  }

  room(numBytes: number): Uint8Array<ArrayBuffer> {
    return this.#bytes.take(numBytes);
  }

  release(pixels: Uint8Array<ArrayBuffer>): void {
    this.#pixels.put(pixels);
  }

  decode(chunk: Chunk): Promise<DecodedChunk> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      this.#queue.push({ request: { id: this.#nextId++, chunk }, resolve, reject });
      this.#dispatch();
    });
  }

  async close(): Promise<void> {
    this.#fail(closedError());
    this.#bytes.clear();
    this.#pixels.clear();
    await Promise.all(this.#slots.map(({ worker }) => worker.terminate()));
  }

  #start(data: DecodeWorkerData): Slot {
    const worker = new Worker(builtFile(import.meta.url, './decode-worker.js'), { workerData: data });
    const slot: Slot = { worker, jobs: new Map() };
    worker.unref(); // only work under way keeps the process alive
    worker.on('message', ({ id, decoded, bytes }: DecodeReply) => {
      this.#bytes.put(bytes);
      slot.jobs.get(id)?.resolve(decoded);
      slot.jobs.delete(id);
      if (slot.jobs.size === 0) worker.unref();
      this.#dispatch();
    });
    worker.on('error', (cause) => this.#fail(workerError(errorText(cause), cause)));
    worker.on('messageerror', (cause) => this.#fail(workerError(errorText(cause), cause)));
    worker.on('exit', (code) => this.#fail(workerError(`it left with exit code ${code}`)));
    return slot;
  }

  #dispatch(): void {
    if (this.#failure !== undefined) return;
    while (this.#queue.length > 0) {
      const slot = this.#slots.reduce((least, other) => (other.jobs.size < least.jobs.size ? other : least));
      if (slot.jobs.size >= CHUNKS_PER_WORKER) return;
      const job = this.#queue.shift() as Job;
      slot.jobs.set(job.request.id, job);
      slot.worker.ref();
      const { chunk } = job.request;
      const pixels = this.#pixels.takeExact(pixelBytes(chunk.keys.length, this.#settings));
      const moved = [chunk.bytes.buffer, ...(pixels === undefined ? [] : [pixels.buffer])];
      slot.worker.postMessage({ ...job.request, pixels } satisfies DecodeRequest, moved);
    }
  }

  #fail(error: DataError): void {
    this.#failure ??= error;
    for (const job of this.#queue.splice(0)) job.reject(this.#failure);
    for (const { jobs } of this.#slots) {
      for (const job of jobs.values()) job.reject(this.#failure);
      jobs.clear();
    }
  }
}

const closedError = (): DataError => new DataError('The loader was closed.');

const errorText = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

const workerError = (what: string, cause?: unknown): DataError =>
  new DataError(
    `A decoding worker stopped: ${what}. Resume from the last checkpoint; if it happens again, ` +
      'set data.workers to 0 to see the fault in the main thread, or to fewer if memory ran out.',
    { cause },
  );
