import type { Chunk, DecodedChunk } from '../../src/data/decode-chunk.js';
import type { DecoderFactory } from '../../src/data/pipeline.js';

/** An image that the fake decoder finds to be broken. */
export const BROKEN = Uint8Array.of(0);

/**
 * Decoders of 1-pixel images and texts of one token, which finish their chunks out of order, as worker threads do.
 *
 * @param capacity chunks under way
 */
export function fakeDecoder(capacity: number): DecoderFactory {
  return async (_workers, { contextLength }) => {
    let chunks = 0;
    return {
      capacity,
      room: (numBytes) => new Uint8Array(numBytes),
      release: () => undefined,
      decode: async (chunk: Chunk): Promise<DecodedChunk> => {
        for (let turn = (chunks++ * 7) % 5; turn > 0; turn--) await undefined;
        const { keys, texts, bytes, offsets } = chunk;
        const tokens = new Int32Array(texts.length * contextLength);
        return {
          pixels: new Uint8Array(keys.length * 3),
          tokens,
          numTokens: new Int32Array(texts.length).fill(2),
          frame: { before: 1, after: 1 },
          failures: keys.map((_, i) => (bytes[offsets[i] as number] === 0 ? 'It is broken.' : null)),
        };
      },
      close: async () => {},
    };
  };
}
