/** Trying again: exponential backoff with full jitter, and the error that ends it. */
import { setTimeout as delay } from 'node:timers/promises';
import { reason, TransferError } from '../../assets/request.js';
import { DataError } from '../../errors.js';

/** How often and how long to try. */
export interface RetryPolicy {
  readonly tries: number;
  readonly retryDelaySeconds: number;
  /** Called before each further try. */
  readonly onRetry: () => void;
  /** Ends the pauses too. */
  readonly signal: AbortSignal;
}

const MAX_BACKOFF_MS = 30_000;
/** A server that wants to be left alone for longer is an error: a run that silently stands still helps nobody. */
const MAX_RETRY_AFTER_MS = 300_000;

/**
 * Calls `attempt` until it succeeds, `policy.tries` times at most. A TransferError that is not permanent is
 * tried again, after the server's Retry-After if that is the longer pause.
 *
 * @param path of the file, for the error
 * @throws DataError that names the file, the last failure, the number of tries, and what to do; errors that are
 *   no TransferError pass unchanged
 */
export async function withRetries<T>(
  path: string,
  policy: RetryPolicy,
  attempt: () => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      policy.signal.throwIfAborted();
      return await attempt();
    } catch (error) {
      if (policy.signal.aborted) throw closed(path);
      if (!(error instanceof TransferError)) throw error;
      const asked = error.retryAfterMs ?? 0;
      if (error.permanent || tries >= policy.tries || asked > MAX_RETRY_AFTER_MS) {
        throw giveUp(path, error, tries);
      }
      policy.onRetry();
      await delay(Math.max(backoffMs(policy, tries), asked), undefined, { signal: policy.signal }).catch(
        () => undefined,
      );
    }
  }
}

/** Chance only spreads the load of many clients; no data depend on it. */
function backoffMs({ retryDelaySeconds }: RetryPolicy, tries: number): number {
  return Math.random() * Math.min(MAX_BACKOFF_MS, retryDelaySeconds * 1000 * 2 ** (tries - 1));
}

function giveUp(path: string, error: TransferError, tries: number): DataError {
  const count = tries === 1 ? '1 try' : `${tries} tries`;
  return new DataError(`${path}: cannot be read: ${reason(error)} (${count}). ${advice(error)}`, {
    cause: error,
  });
}

function advice({ status, permanent, retryAfterMs }: TransferError): string {
  if (status === 401 || status === 403) {
    return 'Check that it is public, or that your credentials are set and may read it.';
  }
  if (status === 404 || status === 410)
    return 'Check the address for typing errors, and that the file exists.';
  if (retryAfterMs !== undefined && retryAfterMs > MAX_RETRY_AFTER_MS) {
    return `The server asks to wait ${Math.round(retryAfterMs / 1000)} s: start again later.`;
  }
  if (permanent) return 'Check the address and the server.';
  return 'Check the network and the server, then start again; to wait for longer, raise the storage option tries.';
}

function closed(path: string): DataError {
  const cause = new TransferError('closed', false);
  return new DataError(`${path}: the storage was closed while it was read.`, { cause });
}

/** Whether a file could not be read for a reason that may pass, and that says nothing about the file. */
export function isOutage({ cause }: DataError): boolean {
  return cause instanceof TransferError && !cause.permanent;
}
