/** Resumable download of one URL into a file, over Node's own http and https. */
import { createReadStream, createWriteStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { rootCertificates } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { AssetError } from '../errors.js';
import { describeFileError } from './cache-dir.js';
import { openResponse, reason, refusal, TransferError } from './request.js';

/** Options of `download`. */
export interface DownloadOptions {
  /** Size that the whole file must have. */
  readonly bytes: number;
  /** Extra certificate authorities: a PEM file. */
  readonly certificates?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (done: number) => void;
}

/** Tries in a row that bring no byte before giving up; a try that brings some starts the count anew. */
const MAX_FRUITLESS_TRIES = 4;
const IDLE_MS = 60_000;
const PROGRESS_MS = 100;

/**
 * Fetches `url` (http, https or file) into `file`, continuing where the file ends if it has a beginning.
 *
 * @throws TransferError when the server cannot be reached, refuses, or has a file of another size;
 *   AssetError when the disk is full or not writable; the signal's reason when aborted.
 */
export async function download(url: string, file: string, options: DownloadOptions): Promise<void> {
  const certificates =
    options.certificates === undefined
      ? undefined
      : [...rootCertificates, await readFile(options.certificates, 'utf8')];
  for (let fruitless = 0; ; ) {
    const before = await sizeOf(file);
    if (before === options.bytes) return;
    try {
      await continueDownload(new URL(url), file, before > options.bytes ? 0 : before, certificates, options);
      return;
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!(error instanceof TransferError) || error.permanent) throw error;
      fruitless = (await sizeOf(file)) > before ? 0 : fruitless + 1;
      if (fruitless >= MAX_FRUITLESS_TRIES) throw error;
      await delay(200 * 2 ** fruitless, undefined, options.signal ? { signal: options.signal } : {});
    }
  }
}

async function continueDownload(
  url: URL,
  file: string,
  start: number,
  ca: string[] | undefined,
  options: DownloadOptions,
): Promise<void> {
  let source: Readable;
  let from = start;
  if (url.protocol === 'file:') {
    source = createReadStream(fileURLToPath(url), { start });
  } else {
    const response = await openFrom(url, start, ca, options.signal);
    // A server without ranges sends the file from its beginning.
    if (response.statusCode === 200) from = 0;
    const total = totalBytes(response, from);
    if (total !== undefined && total !== options.bytes) {
      response.destroy();
      throw new TransferError(`the server has ${total} bytes, ${options.bytes} expected`, true);
    }
    source = response;
  }
  const output = createWriteStream(file, from > 0 ? { flags: 'r+', start: from } : { flags: 'w' });
  let done = from;
  let reportedAt = 0;
  try {
    await pipeline(
      source,
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          done += chunk.length;
          const now = performance.now();
          if (now - reportedAt > PROGRESS_MS) {
            reportedAt = now;
            options.onProgress?.(done);
          }
          yield chunk;
        }
      },
      output,
      { signal: options.signal },
    );
  } catch (error) {
    const described = describeFileError(error, file);
    if (described instanceof AssetError || options.signal?.aborted) throw described;
    throw new TransferError(`the connection broke after ${done} bytes (${reason(error)})`, false, {
      cause: error,
    });
  }
  options.onProgress?.(done);
  if (done !== options.bytes) {
    throw new TransferError(
      `the connection ended after ${done} of ${options.bytes} bytes`,
      done > options.bytes,
    );
  }
}

async function openFrom(
  url: URL,
  start: number,
  certificates: string[] | undefined,
  signal: AbortSignal | undefined,
): Promise<IncomingMessage> {
  const headers: Record<string, string> = start > 0 ? { range: `bytes=${start}-` } : {};
  const { response } = await openResponse(url, { headers, certificates, signal, idleMs: IDLE_MS });
  const status = response.statusCode ?? 0;
  if (status === 200 || (status === 206 && rangeStart(response) === start)) return response;
  response.destroy();
  throw refusal(response);
}

function rangeStart(response: IncomingMessage): number {
  return Number(/^bytes (\d+)-/.exec(response.headers['content-range'] ?? '')?.[1] ?? -1);
}

function totalBytes(response: IncomingMessage, from: number): number | undefined {
  const length = response.headers['content-length'];
  return length === undefined || response.headers['content-encoding'] ? undefined : from + Number(length);
}

async function sizeOf(file: string): Promise<number> {
  return (await stat(file).catch(() => undefined))?.size ?? 0;
}
