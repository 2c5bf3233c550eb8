/** A worker thread of {@link WorkerPool}: decodes the chunks that it is sent, one after the other. */
import { parentPort, workerData } from 'node:worker_threads';
import { type Chunk, type DecodedChunk, type DecodeSettings, decodeChunk } from './decode-chunk.js';
import { DecodedCache } from './decoded-cache.js';
import { ClipTokenizer } from './text/clip-tokenizer.js';
import { serveThread } from './thread-pool.js';

/** What a worker is started with. */
export interface DecodeWorkerData {
  readonly settings: DecodeSettings;
  /** The merges file of the tokenizer. */
  readonly mergesPath: string;
  /** Memory of the cache of decoded images, if there is one. */
  readonly cacheMemory?: SharedArrayBuffer | undefined;
}

if (parentPort !== null) {
  const { settings, mergesPath, cacheMemory } = workerData as DecodeWorkerData;
  const tokenizer = ClipTokenizer.load(mergesPath);
  const cache = cacheMemory === undefined ? undefined : new DecodedCache(cacheMemory);
  serveThread<Chunk, DecodedChunk>(
    async (chunk) => decodeChunk(chunk, settings, await tokenizer, cache),
    ({ pixels, tokens, numTokens }) => [pixels.buffer, tokens.buffer, numTokens.buffer],
  );
}
