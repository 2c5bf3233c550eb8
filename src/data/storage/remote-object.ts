/** What HTTP, S3 and the hub have in common: an object that is read by ranges, each of them held against what was opened. */
import type { Readable } from 'node:stream';
import { reason, TransferError } from '../../assets/request.js';
import { DataError } from '../../errors.js';

/** An opened object of a server. */
export interface RemoteObject {
  /** For messages: the address without what may be secret in it. */
  readonly path: string;
  /** Names the object in the cache: the whole address, with the server that it came from. */
  readonly key: string;
  readonly size: number;
  readonly version: ObjectVersion;
  /**
   * One request for bytes [offset, offset + length), which lie within the object.
   *
   * @throws TransferError if another try may help, or the server refuses; DataError if the object was changed or
   *   the answer is not what was asked for
   */
  readRange(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** What a server says about an object's content at one time. */
export interface ObjectVersion {
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
}

/** What a server said about one range. */
export interface RangeHeaders extends ObjectVersion {
  readonly contentRange: string | undefined;
}

/** Text that differs when the content does, as far as the server tells; undefined if it tells nothing. */
export function versionText({ etag, lastModified }: ObjectVersion): string | undefined {
  if (isStrong(etag)) return etag;
  const known = [etag, lastModified].filter((part) => part !== undefined);
  return known.length > 0 ? known.join(' ') : undefined;
}

/** Whether equal tags mean equal bytes (RFC 9110, 8.8.1). */
export function isStrong(etag: string | undefined): etag is string {
  return etag !== undefined && etag !== '' && !etag.startsWith('W/');
}

/** @throws DataError unless the answer is the range that was asked for, of the object that was opened */
export function checkRange(
  object: RemoteObject,
  headers: RangeHeaders,
  offset: number,
  length: number,
): void {
  const found = parseContentRange(headers.contentRange);
  const asked = `bytes ${offset}-${offset + length - 1}`;
  if (found === undefined) throw lied(object.path, asked, `'${headers.contentRange ?? 'no Content-Range'}'`);
  if (found.size !== undefined && found.size !== object.size) {
    throw changed(object.path, `${object.size} bytes`, `${found.size}`);
  }
  const [before, now] = [versionText(object.version), versionText(headers)];
  if (before !== now) throw changed(object.path, `version ${before ?? 'none'}`, now ?? 'none');
  if (found.start !== offset || found.end !== offset + length - 1) {
    throw lied(object.path, asked, `bytes ${found.start}-${found.end}`);
  }
}

/** `bytes 0-9/100`, with `*` for an unknown size. Undefined if it is not that. */
export function parseContentRange(
  text: string | undefined,
): { start: number; end: number; size: number | undefined } | undefined {
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(text ?? '');
  if (match === null) return undefined;
  return {
    start: Number(match[1]),
    end: Number(match[2]),
    size: match[3] === '*' ? undefined : Number(match[3]),
  };
}

/** A connection must bring this much within each timeout: a trickle is a stall too. */
const MIN_PROGRESS_BYTES = 16_384;

/**
 * Reads a body of exactly `length` bytes, and destroys it in any case.
 *
 * @throws TransferError when it breaks, stalls or ends early; DataError when it is longer
 */
export async function readBody(
  path: string,
  body: Readable,
  length: number,
  idleMs: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  let at = 0;
  let seen = 0;
  const watch = setInterval(() => {
    if (at - seen < MIN_PROGRESS_BYTES) {
      const text = `stalled after ${at} of ${length} bytes, silent or all but for ${idleMs / 1000} s`;
      body.destroy(new Error(text));
    }
    seen = at;
  }, idleMs);
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      if (at + chunk.length > length) throw lied(path, `${length} bytes`, 'more');
      bytes.set(chunk, at);
      at += chunk.length;
    }
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new TransferError(`the connection broke after ${at} of ${length} bytes (${reason(error)})`, false, {
      cause: error,
    });
  } finally {
    clearInterval(watch);
    body.destroy();
  }
  if (at < length) throw new TransferError(`the answer ended after ${at} of ${length} bytes`, false);
  return bytes;
}

/** The error of a file that is not the one that was opened. */
export function changed(path: string, expected: string, found: string): DataError {
  return new DataError(
    `${path}: the file was changed while it was read: opened with ${expected}, now ${found}. ` +
      'Start again, from a copy that stays as it is.',
  );
}

/** The error of a server that answers ranges wrongly. */
export function lied(path: string, asked: string, found: string): DataError {
  return new DataError(
    `${path}: the server does not serve byte ranges rightly: asked for ${asked}, got ${found}. ` +
      'Copy the file to this machine or to a server with ranges.',
  );
}
