/** A worker thread of {@link WorkerPool}: decodes the chunks that it is sent, one after the other. */
import { parentPort, workerData } from 'node:worker_threads';
import { type Chunk, type DecodedChunk, type DecodeSettings, decodeChunk } from './decode-chunk.js';
import { DecodedCache } from './decoded-cache.js';
import { PixelRoom } from './image/pixels.js';
import { ClipTokenizer } from './text/clip-tokenizer.js';

/** What a worker is started with. */
export interface DecodeWorkerData {
  readonly settings: DecodeSettings;
  /** The merges file of the tokenizer. */
  readonly mergesPath: string;
  /** Memory of the cache of decoded images, if there is one. */
  readonly cacheMemory?: SharedArrayBuffer | undefined;
}

export interface DecodeRequest {
  readonly id: number;
  readonly chunk: Chunk;
  /** Memory for the pixels. */
  readonly pixels?: Uint8Array<ArrayBuffer> | undefined;
}

export interface DecodeReply {
  readonly id: number;
  readonly decoded: DecodedChunk;
  /** The chunk's bytes, of which no more use is made. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const port = parentPort;
if (port !== null) {
  const { settings, mergesPath, cacheMemory } = workerData as DecodeWorkerData;
  const tokenizer = ClipTokenizer.load(mergesPath);
  const cache = cacheMemory === undefined ? undefined : new DecodedCache(cacheMemory);
  const room = new PixelRoom();
  let last: Promise<void> = Promise.resolve();
  const work = async ({ id, chunk, pixels }: DecodeRequest): Promise<void> => {
    const { bytes } = chunk;
    const decoded = await decodeChunk(chunk, settings, await tokenizer, cache, { room, pixels });
    const reply: DecodeReply = { id, decoded, bytes };
    const { buffer } = decoded.pixels;
    port.postMessage(reply, [buffer, decoded.tokens.buffer, decoded.numTokens.buffer, bytes.buffer]);
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
