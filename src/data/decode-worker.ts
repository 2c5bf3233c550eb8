/** A worker thread of {@link WorkerPool}: decodes the chunks that it is sent, one after the other. */
import { parentPort, workerData } from 'node:worker_threads';
import { type Chunk, type DecodedChunk, type DecodeSettings, decodeChunk } from './decode-chunk.js';
import { DecodedCache } from './decoded-cache.js';
import { loadTokenizer, type TokenizerFile } from './text/tokenizer.js';
import { serveThread } from './thread-pool.js';

/** What a worker is started with. */
export interface DecodeWorkerData {
  readonly settings: DecodeSettings;
  readonly tokenizer: TokenizerFile;
  /** Memory of the cache of decoded images, if there is one. */
  readonly cacheMemory?: SharedArrayBuffer | undefined;
}

if (parentPort !== null) {
  const { settings, tokenizer: file, cacheMemory } = workerData as DecodeWorkerData;
  const tokenizer = loadTokenizer(file);
  const cache = cacheMemory === undefined ? undefined : new DecodedCache(cacheMemory);
  serveThread<Chunk, DecodedChunk>(
    async (chunk) => decodeChunk(chunk, settings, await tokenizer, cache),
    ({ pixels, tokens, numTokens }) => [pixels.buffer, tokens.buffer, numTokens.buffer],
  );
}
