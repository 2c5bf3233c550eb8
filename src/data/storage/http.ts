/** Files of a web server, read by ranges (RFC 9110, 14). */
import type { IncomingMessage } from 'node:http';
import { openResponse, type Reply, refusal, TransferError } from '../../assets/request.js';
import { DataError } from '../../errors.js';
import {
  changed,
  checkRange,
  isStrong,
  lied,
  type ObjectVersion,
  parseContentRange,
  type RemoteObject,
  readBody,
} from './remote-object.js';

/** How a web server is asked. */
export interface HttpAccess {
  /** For messages. */
  readonly path: string;
  readonly url: URL;
  /** Sent to the URL's own origin, and not to where it redirects. */
  readonly authorization?: string | undefined;
  readonly idleMs: number;
  readonly signal: AbortSignal;
}

/**
 * Asks for the first byte, which tells the size, the version, and whether the server knows ranges. (HEAD would
 * be refused by addresses that are signed for GET.)
 *
 * @throws TransferError and DataError as `RemoteObject.readRange`
 */
export async function openHttp(access: HttpAccess): Promise<RemoteObject> {
  const { response, url } = await request(access, access.url, { range: 'bytes=0-0' });
  response.destroy();
  const { headers } = response;
  const status = response.statusCode ?? 0;
  const version = versionOf(response);
  const isEmpty =
    (status === 416 && headers['content-range'] === 'bytes */0') ||
    (status === 200 && headers['content-length'] === '0');
  if (isEmpty) return new HttpObject(access, 0, version, url);
  if (status === 200) throw lied(access.path, 'bytes 0-0', 'the whole file');
  if (status !== 206) throw refusal(response);
  const range = parseContentRange(headers['content-range']);
  if (range?.start !== 0 || range.end !== 0 || range.size === undefined) {
    throw lied(access.path, 'bytes 0-0 and the size', `'${headers['content-range'] ?? 'no Content-Range'}'`);
  }
  return new HttpObject(access, range.size, version, url);
}

class HttpObject implements RemoteObject {
  readonly path: string;
  readonly key: string;

  /** @param target where the address redirected to, asked from then on until it refuses (signed ones expire) */
  constructor(
    private readonly access: HttpAccess,
    readonly size: number,
    readonly version: ObjectVersion,
    private target: URL,
  ) {
    this.path = access.path;
    this.key = access.url.href;
  }

  async readRange(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const response = await this.ask({ range: `bytes=${offset}-${offset + length - 1}`, ...this.condition() });
    try {
      const { headers } = response;
      const status = response.statusCode ?? 0;
      if (status === 412 || status === 416) {
        throw changed(this.path, `${this.size} bytes`, `not that version (${status})`);
      }
      if (status === 200) throw lied(this.path, `bytes ${offset}-${offset + length - 1}`, 'the whole file');
      if (status !== 206) throw refusal(response);
      if ((headers['content-encoding'] ?? 'identity') !== 'identity') {
        throw lied(this.path, 'the bytes as they are', `them as ${headers['content-encoding']}`);
      }
      checkRange(this, { ...versionOf(response), contentRange: headers['content-range'] }, offset, length);
    } catch (error) {
      response.destroy();
      throw error;
    }
    // From here on readBody watches, which knows a trickle for a stall too.
    response.setTimeout(0);
    return readBody(this.path, response, length, this.access.idleMs);
  }

  private async ask(headers: Record<string, string>): Promise<IncomingMessage> {
    const isRedirected = this.target.href !== this.access.url.href;
    const { response } = await request(this.access, this.target, headers);
    const status = response.statusCode ?? 0;
    const isExpired = isRedirected && (status === 401 || status === 403 || status === 404 || status === 410);
    if (!isExpired) return response;
    response.destroy();
    const anew = await request(this.access, this.access.url, headers);
    this.target = anew.url;
    return anew.response;
  }

  /** Only for the server that gave the tag: one that redirects may have tags of its own. */
  private condition(): Record<string, string> {
    const { etag, lastModified } = this.version;
    if (this.target.href !== this.access.url.href) return {};
    if (isStrong(etag)) return { 'if-match': etag };
    return lastModified === undefined ? {} : { 'if-unmodified-since': lastModified };
  }
}

function request(access: HttpAccess, url: URL, headers: Record<string, string>): Promise<Reply> {
  const own = url.origin === access.url.origin && access.authorization;
  return openResponse(url, {
    headers: { 'accept-encoding': 'identity', ...headers, ...(own ? { authorization: own } : {}) },
    idleMs: access.idleMs,
    signal: access.signal,
  });
}

function versionOf({ headers }: IncomingMessage): ObjectVersion {
  return { etag: headers.etag, lastModified: headers['last-modified'] };
}

const MAX_JSON_BYTES = 67_108_864;

/** Fetches a JSON document. @throws TransferError, and DataError if it is none or larger than 64 MiB */
export async function fetchJson(access: HttpAccess): Promise<{ value: unknown; response: IncomingMessage }> {
  const { response } = await request(access, access.url, { accept: 'application/json' });
  if (response.statusCode !== 200) {
    response.destroy();
    throw refusal(response);
  }
  response.setTimeout(access.idleMs, () => response.destroy(new Error('stalled')));
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      if (bytes > MAX_JSON_BYTES) break;
      chunks.push(chunk);
    }
  } catch (cause) {
    throw new TransferError(`the connection broke after ${bytes} bytes`, false, { cause });
  }
  if (bytes > MAX_JSON_BYTES) throw new DataError(`${access.path}: the server's list is larger than 64 MiB.`);
  try {
    return { value: JSON.parse(Buffer.concat(chunks).toString('utf8')), response };
  } catch (cause) {
    throw new DataError(`${access.path}: the server answered with what is no JSON. Check the address.`, {
      cause,
    });
  }
}
