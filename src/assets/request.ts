/** One HTTP exchange over Node's own http and https, redirects followed; downloads and remote data sets share it. */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { AssetError } from '../errors.js';

/** A server or connection that failed; `permanent` when trying again cannot help. */
export class TransferError extends AssetError {
  /** The HTTP status, if the server answered with one. */
  readonly status: number | undefined;
  /** How long the server asks to be left alone. */
  readonly retryAfterMs: number | undefined;

  constructor(
    message: string,
    readonly permanent: boolean,
    options: ErrorOptions & { status?: number | undefined; retryAfterMs?: number | undefined } = {},
  ) {
    super(message, options);
    this.status = options.status;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** What a request sends, and how long it waits. */
export interface RequestOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** Certificate authorities instead of Node's own: PEM texts. */
  readonly certificates?: string[] | undefined;
  readonly signal?: AbortSignal | undefined;
  /** A connection that is silent for longer counts as broken. */
  readonly idleMs: number;
}

/** A response that is no redirect; its body is still to be read or destroyed. */
export interface Reply {
  readonly response: IncomingMessage;
  /** Where it came from in the end. */
  readonly url: URL;
}

const MAX_REDIRECTS = 10;
/** A redirect's body up to this is read and dropped, so that the connection can be used again. */
const MAX_DRAINED_BYTES = 65_536;

/**
 * Sends a GET to `url`, following redirects. Credentials in the headers go to the first origin only.
 *
 * @throws TransferError when the server cannot be reached or redirects without end
 */
export async function openResponse(url: URL, options: RequestOptions): Promise<Reply> {
  let current = url;
  for (let i = 0; i < MAX_REDIRECTS; i++) {
    const headers = current.origin === url.origin ? options.headers : withoutCredentials(options.headers);
    const response = await send(current, { ...options, headers: headers ?? {} });
    const status = response.statusCode ?? 0;
    const { location } = response.headers;
    if (status < 300 || status >= 400 || location === undefined) return { response, url: current };
    if (Number(response.headers['content-length']) <= MAX_DRAINED_BYTES) response.resume();
    else response.destroy();
    if (!URL.canParse(location, current.href)) {
      throw new TransferError(`the server redirects to '${location}', which is no address`, true, { status });
    }
    current = new URL(location, current);
  }
  throw new TransferError(`more than ${MAX_REDIRECTS} redirects`, true);
}

/** The error of a response whose status is not one that was hoped for. */
export function refusal(response: IncomingMessage): TransferError {
  const status = response.statusCode ?? 0;
  return new TransferError(
    `the server answered ${status} ${response.statusMessage ?? ''}`.trim(),
    !isTemporary(status),
    { status, retryAfterMs: parseRetryAfter(response.headers['retry-after']) },
  );
}

/** Whether a later try may well get another answer than this status. */
export function isTemporary(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500;
}

/** Milliseconds of a Retry-After header: seconds, or a date (RFC 9110, 10.2.3). */
export function parseRetryAfter(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

/** The message at the root of a failed connection. */
export function reason(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reason(error.errors[0]);
  return error instanceof Error ? error.message : String(error);
}

function withoutCredentials(
  headers: Readonly<Record<string, string>> | undefined,
): Record<string, string> | undefined {
  if (headers === undefined) return undefined;
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'authorization'),
  );
}

function send(url: URL, options: RequestOptions): Promise<IncomingMessage> {
  const { certificates: ca, signal, idleMs } = options;
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      reject(new TransferError(`cannot reach the server (${reason(error)})`, false, { cause: error }));
    };
    const shared = {
      headers: { 'user-agent': 'capstan', ...options.headers },
      ...(signal ? { signal } : {}),
    };
    let request: ClientRequest;
    if (url.protocol === 'https:') request = httpsRequest(url, { ...shared, ...(ca ? { ca } : {}) }, resolve);
    else if (url.protocol === 'http:') request = httpRequest(url, shared, resolve);
    else {
      reject(new TransferError(`cannot fetch from a ${url.protocol} address`, true));
      return;
    }
    request.setTimeout(idleMs, () => request.destroy(new Error(`silent for ${idleMs / 1000} s`)));
    request.on('error', fail);
    request.end();
  });
}
