/** A worker thread of {@link WorkerPool}: decodes the chunks that it is sent, one after the other. */
import { parentPort, workerData } from 'node:worker_threads';
import { type Chunk, type DecodedChunk, type DecodeSettings, decodeChunk } from './decode-chunk.js';
import { DecodedCache } from './decoded-cache.js';
import { loadTokenizer, type TokenizerFile } from './text/tokenizer.js';

/** What a worker is started with. */
export interface DecodeWorkerData {
  readonly settings: DecodeSettings;
  readonly tokenizer: TokenizerFile;
  /** Memory of the cache of decoded images, if there is one. */
  readonly cacheMemory?: SharedArrayBuffer | undefined;
}

export interface DecodeRequest {
  readonly id: number;
  readonly chunk: Chunk;
}

export interface DecodeReply {
  readonly id: number;
  readonly decoded: DecodedChunk;
}

const port = parentPort;
if (port !== null) {
  const { settings, tokenizer: file, cacheMemory } = workerData as DecodeWorkerData;
  const tokenizer = loadTokenizer(file);
  const cache = cacheMemory === undefined ? undefined : new DecodedCache(cacheMemory);
  let last: Promise<void> = Promise.resolve();
  const work = async ({ id, chunk }: DecodeRequest): Promise<void> => {
    const decoded = await decodeChunk(chunk, settings, await tokenizer, cache);
    const reply: DecodeReply = { id, decoded };
    port.postMessage(reply, [decoded.pixels.buffer, decoded.tokens.buffer, decoded.numTokens.buffer]);
  };
  port.on('message', (request: DecodeRequest) => {
    last = last.then(() => work(request));
    // What is not a damaged image is a bug: rethrown outside the chain it ends the thread, and the pool reports it.
    last.catch((error: unknown) => {
      setImmediate(() => {
        throw error;
      });
    });
  });
}
