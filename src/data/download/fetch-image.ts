/** One try to fetch the bytes of an image over http or https. */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { LookupFunction } from 'node:net';
import { isTemporary, parseRetryAfter, reason } from '../../assets/request.js';
import { DataError } from '../../errors.js';
import { checkUrl, publicLookup, type Resolve } from './addresses.js';
import { readBody } from './body.js';
import { ImageFailure } from './failure.js';
import { findOptOut, productOf } from './opt-out.js';

/** How images are asked for, and what is taken. */
export interface FetchPolicy {
  readonly userAgent: string;
  /** A server that is silent for longer is given up; a whole image may take {@link TOTAL_FACTOR} times as long. */
  readonly timeoutMs: number;
  readonly maxBytes: number;
  readonly ignoreOptOut: boolean;
  readonly allowPrivate: boolean;
  readonly resolve: Resolve;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
  /** Called with the number of bytes as they come. */
  readonly onBytes: (count: number) => void;
}

const MAX_REDIRECTS = 10;
/** How many silences an image may take in all: a server that drips bytes is given up too. */
const TOTAL_FACTOR = 6;
/** A connection that nobody needs is kept for so long. */
const FREE_MS = 5_000;
/** A body that nobody needs is read up to this, so that the connection can be used again. */
const MAX_DRAINED_BYTES = 65_536;

/** Fetches images, and keeps connections for the next one of the same host. */
export class ImageFetcher {
  readonly #agents = {
    'http:': new HttpAgent({ keepAlive: true, timeout: FREE_MS }),
    'https:': new HttpsAgent({ keepAlive: true, timeout: FREE_MS }),
  };
  readonly #lookup: LookupFunction;
  readonly #product: string;

  constructor(private readonly policy: FetchPolicy) {
    this.#lookup = publicLookup(policy.resolve, policy.allowPrivate);
    this.#product = productOf(policy.userAgent);
  }

  /**
   * The bytes behind the URL, through redirects, each of which is checked as the first address is.
   *
   * @throws ImageFailure; DataError if this process may open no more connections; the signal's reason when aborted
   */
  async fetch(url: URL): Promise<Uint8Array> {
    let current = url;
    for (let i = 0; i <= MAX_REDIRECTS; i++) {
      checkUrl(current, this.policy.allowPrivate);
      const found = await this.#exchange(current);
      if (!(found instanceof URL)) return found;
      current = found;
    }
    throw new ImageFailure('too-many-redirects', `more than ${MAX_REDIRECTS} redirects`);
  }

  /** Closes the connections. */
  close(): void {
    for (const agent of Object.values(this.#agents)) agent.destroy();
  }

  /** The image, or where it is instead. */
  #exchange(url: URL): Promise<Uint8Array | URL> {
    const { userAgent, timeoutMs, signal } = this.policy;
    const agent = this.#agents[url.protocol as 'http:' | 'https:'];
    const headers = { 'user-agent': userAgent, accept: 'image/*,*/*;q=0.5', 'accept-encoding': 'identity' };
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    return new Promise<Uint8Array | URL>((resolve, reject) => {
      let request: ReturnType<typeof httpRequest>;
      try {
        request = send(url, { agent, headers, lookup: this.#lookup, signal });
      } catch (cause) {
        reject(new ImageFailure('bad-url', reason(cause), { cause }));
        return;
      }
      const give = (what: string): void => {
        const error = new ImageFailure('timeout', what, { isTemporary: true });
        reject(error);
        request.destroy(error);
      };
      const idle = setTimeout(() => give(`silent for ${timeoutMs / 1000} s`), timeoutMs);
      const totalMs = TOTAL_FACTOR * timeoutMs;
      const total = setTimeout(() => give(`not done after ${totalMs / 1000} s`), totalMs);
      const end = (): void => {
        clearTimeout(idle);
        clearTimeout(total);
      };
      const fail = (error: unknown): void => {
        end();
        reject(signal.aborted ? signal.reason : failureOf(error));
      };
      request.on('error', fail);
      request.on('response', (response) => {
        idle.refresh();
        response.on('error', fail);
        this.#receive(response, url, () => idle.refresh()).then((found) => {
          end();
          resolve(found);
        }, fail);
      });
      request.end();
    });
  }

  async #receive(response: IncomingMessage, url: URL, onData: () => void): Promise<Uint8Array | URL> {
    const { ignoreOptOut, maxBytes, onBytes } = this.policy;
    const status = response.statusCode ?? 0;
    const optOut = ignoreOptOut ? undefined : findOptOut(response.headersDistinct, this.#product);
    if (optOut !== undefined) {
      response.destroy();
      throw new ImageFailure('opt-out', optOut);
    }
    if (status === 200 || status === 203) {
      return readBody(response, maxBytes, (count) => {
        onData();
        onBytes(count);
      });
    }
    dismiss(response);
    const { location } = response.headers;
    if (status >= 300 && status < 400 && status !== 304 && location !== undefined) {
      if (URL.canParse(location, url.href)) return new URL(location, url);
      throw new ImageFailure('bad-url', `it redirects to '${location}', which is no address`);
    }
    throw new ImageFailure(`http-${status}`, `${status} ${response.statusMessage ?? ''}`.trim(), {
      isTemporary: isTemporary(status),
      retryAfterMs: parseRetryAfter(response.headers['retry-after']),
    });
  }
}

/** Gives up a body: a short one is read, for the connection's sake. */
function dismiss(response: IncomingMessage): void {
  if (Number(response.headers['content-length']) <= MAX_DRAINED_BYTES) response.resume();
  else response.destroy();
}

const DNS = /^(ENOTFOUND|ENODATA|EBADNAME|EAI_NONAME)$/;
const DNS_TEMPORARY = /^(EAI_AGAIN|ESERVFAIL|ETIMEOUT|EREFUSED|EBADRESP|ECANCELLED|ENOMEM)$/;
const BROKEN = /^(ECONNRESET|EPIPE|ECONNABORTED|ERR_STREAM_PREMATURE_CLOSE)$/;
const TLS = /^(ERR_TLS_|ERR_SSL_|EPROTO$|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH)/;

/** What a failed exchange is counted as. */
function failureOf(error: unknown): Error {
  if (error instanceof ImageFailure) return error;
  const first = error instanceof AggregateError ? error.errors[0] : error;
  const code =
    (error as NodeJS.ErrnoException).code ?? (first as NodeJS.ErrnoException | undefined)?.code ?? '';
  const text = reason(error);
  const failed = (name: ConstructorParameters<typeof ImageFailure>[0], isTemporary: boolean): ImageFailure =>
    new ImageFailure(name, text, { cause: error, isTemporary });
  if (code === 'EMFILE' || code === 'ENFILE') {
    return new DataError(
      'This process may open no more connections and files. Lower --concurrency, or raise the limit: ulimit -n 65536.',
      { cause: error },
    );
  }
  if (DNS.test(code)) return failed('dns', false);
  if (DNS_TEMPORARY.test(code)) return failed('dns', true);
  if (BROKEN.test(code)) return failed('reset', true);
  if (TLS.test(code)) return failed('tls', false);
  if (code === 'ETIMEDOUT') return failed('timeout', true);
  if (code.startsWith('HPE_')) return failed('bad-response', false);
  return failed('connect', true);
}
