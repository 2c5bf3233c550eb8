/** A worker thread of {@link WorkerPool}: decodes the chunks that it is sent, one after the other. */
import { parentPort, workerData } from 'node:worker_threads';
import { type Chunk, type DecodedChunk, type DecodeSettings, decodeChunk } from './decode-chunk.js';
import { DecodedCache } from './decoded-cache.js';
import { PixelRoom } from './image/pixels.js';
import { loadTokenizer, type TokenizerFile } from './text/tokenizer.js';
import { serveThread } from './thread-pool.js';

/** What a worker is started with. */
export interface DecodeWorkerData {
  readonly settings: DecodeSettings;
  readonly tokenizer: TokenizerFile;
  /** Where the threads share CLIP's merges. */
  readonly merges?: SharedArrayBuffer | undefined;
  /** Memory of the cache of decoded images, if there is one. */
  readonly cacheMemory?: SharedArrayBuffer | undefined;
}

/** A chunk, and memory for its pixels, whatever that holds. */
export interface DecodeJob {
  readonly chunk: Chunk;
  readonly pixels?: Uint8Array<ArrayBuffer> | undefined;
}

/** A decoded chunk, and the memory of its files' bytes, of which no more use is made. */
export interface DecodeResult {
  readonly decoded: DecodedChunk;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

if (parentPort !== null) {
  const { settings, tokenizer: file, merges, cacheMemory } = workerData as DecodeWorkerData;
  const tokenizer = loadTokenizer(file, merges);
  const cache = cacheMemory === undefined ? undefined : new DecodedCache(cacheMemory);
  const room = new PixelRoom();
  serveThread<DecodeJob, DecodeResult>(
    async ({ chunk, pixels }) => ({
      decoded: await decodeChunk(chunk, settings, await tokenizer, cache, { room, pixels }),
      bytes: chunk.bytes,
    }),
    ({ decoded: { pixels, tokens, numTokens }, bytes }) => [
      pixels.buffer,
      tokens.buffer,
      numTokens.buffer,
      bytes.buffer,
    ],
  );
}
