/** The bytes of a response, bounded while they come: packed, unpacked, and in time. */
import type { IncomingMessage } from 'node:http';
import { pipeline, type Readable } from 'node:stream';
import { createBrotliDecompress, createInflate, createUnzip } from 'node:zlib';
import { ImageFailure } from './failure.js';

/** Servers send these though nobody asked; `deflate` is zlib's format. */
const DECODERS = new Map([
  ['gzip', createUnzip],
  ['x-gzip', createUnzip],
  ['deflate', createInflate],
  ['br', createBrotliDecompress],
]);

/**
 * Reads a response to its end. Once more than `maxBytes` have come, before or after unpacking, it is given up.
 *
 * @param onBytes called with the number of bytes as they come over the network
 * @throws ImageFailure if it is too large, is damaged, or ends early
 */
export function readBody(
  response: IncomingMessage,
  maxBytes: number,
  onBytes: (count: number) => void,
): Promise<Uint8Array> {
  const tooLarge = (): ImageFailure => new ImageFailure('too-large', `more than ${maxBytes} bytes`);
  const encoding = (response.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  const isPlain = encoding === 'identity' || encoding === '';
  const makeDecoder = DECODERS.get(encoding);
  if (Number(response.headers['content-length']) > maxBytes) {
    response.destroy();
    return Promise.reject(tooLarge());
  }
  if (!isPlain && makeDecoder === undefined) {
    response.destroy();
    return Promise.reject(new ImageFailure('bad-response', `its encoding is '${encoding}'`));
  }
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let packed = 0;
    let size = 0;
    const give = (error: Error): void => {
      response.destroy();
      reject(error);
    };
    response.on('data', (chunk: Buffer) => {
      packed += chunk.length;
      onBytes(chunk.length);
      if (packed > maxBytes) give(tooLarge());
    });
    let content: Readable = response;
    if (makeDecoder !== undefined) {
      content = pipeline(response, makeDecoder(), (error) => {
        if (error && response.complete)
          give(new ImageFailure('bad-response', `${encoding}: ${error.message}`));
      });
    }
    content.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) {
        content.destroy();
        give(tooLarge());
      } else chunks.push(chunk);
    });
    content.on('end', () => {
      if (response.complete)
        resolve(chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks, size));
      else give(new ImageFailure('reset', `it ended after ${packed} bytes`, { isTemporary: true }));
    });
    response.on('error', (cause) =>
      give(
        new ImageFailure('reset', `it broke after ${packed} bytes: ${cause.message}`, {
          isTemporary: true,
          cause,
        }),
      ),
    );
  });
}
