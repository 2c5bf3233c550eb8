/** Brings the images of rows into the spools of their shards: fetched in turn, tried again, verified, brought to size. */
import { createHash } from 'node:crypto';
import { ImageFailure } from './failure.js';
import { ImageFetcher } from './fetch-image.js';
import { HostQueue } from './host-queue.js';
import type { FetchPlan, ResultPlan } from './options.js';
import type { ProgressCounter } from './progress.js';
import type { Outcome, ShardWork } from './shard-work.js';
import { type ImagePolicy, storeImage } from './store-image.js';

const MAX_BACKOFF_MS = 60_000;
/** A server that wants to be left alone for longer has its rows counted as failed. */
const MAX_RETRY_AFTER_MS = 300_000;

/** What {@link RowFetcher} tells. */
export interface RowFetcherHooks {
  /** Called when a row has its outcome. */
  readonly onSettled: () => void;
  /** Called with what ends the download, as a full disk. */
  readonly onError: (error: unknown) => void;
  readonly signal: AbortSignal;
}

/** Fetches rows. */
export class RowFetcher {
  readonly #fetcher: ImageFetcher;
  readonly #queue: HostQueue;
  readonly #policy: ImagePolicy;

  constructor(
    private readonly result: ResultPlan,
    private readonly plan: FetchPlan,
    private readonly progress: ProgressCounter,
    private readonly hooks: RowFetcherHooks,
  ) {
    const { maxBytes, ignoreOptOut } = result;
    const onBytes = (count: number): void => {
      progress.bytes += count;
    };
    this.#fetcher = new ImageFetcher({ ...plan, maxBytes, ignoreOptOut, signal: hooks.signal, onBytes });
    this.#queue = new HostQueue(plan.concurrency, plan.perHost, hooks.onError);
    this.#policy = {
      ...result,
      encode: result.encode ?? undefined,
      maxAspectRatio: result.maxAspectRatio ?? Number.POSITIVE_INFINITY,
    };
  }

  /** Whether more rows would be fetched at once or soon. */
  get isHungry(): boolean {
    return this.#queue.isHungry;
  }

  /** Fetches the image of the shard's `i`-th row, which has this address. */
  add(work: ShardWork, i: number, url: URL): void {
    this.#try(work, i, url, 1, 0);
  }

  /** Forgets what waits, and closes the connections. */
  close(): void {
    this.#queue.clear();
    this.#fetcher.close();
  }

  /** Sets a row's outcome and counts it. */
  settle(work: ShardWork, i: number, outcome: Outcome): void {
    work.settle(i, outcome);
    this.progress.add('image' in outcome ? undefined : outcome.reason);
    this.hooks.onSettled();
  }

  #try(work: ShardWork, i: number, url: URL, tries: number, delayMs: number): void {
    const run = async (release: () => void): Promise<void> => {
      try {
        const bytes = await this.#fetcher.fetch(url);
        release();
        this.settle(work, i, await this.#store(work, i, bytes));
      } catch (error) {
        if (!(error instanceof ImageFailure)) throw error;
        this.#failed(work, i, url, tries, error);
      }
    };
    this.#queue.add(url.host, run, delayMs);
  }

  #failed(work: ShardWork, i: number, url: URL, tries: number, failure: ImageFailure): void {
    const { isTemporary, reason, message: detail, retryAfterMs = 0 } = failure;
    if (!isTemporary || tries > this.plan.retries || retryAfterMs > MAX_RETRY_AFTER_MS) {
      this.settle(work, i, { reason, detail, tries });
      return;
    }
    if (retryAfterMs > 0) this.#queue.pause(url.host, retryAfterMs);
    const base = Math.min(MAX_BACKOFF_MS, this.plan.retryDelayMs * 2 ** (tries - 1));
    // Chance only spreads the load; no data depend on it.
    const backoffMs = base * (0.5 + Math.random());
    this.#try(work, i, url, tries + 1, Math.max(backoffMs, retryAfterMs));
  }

  /** @throws ImageFailure if the image is not what it should be */
  async #store(work: ShardWork, i: number, bytes: Uint8Array): Promise<Outcome> {
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    this.#verify(work, i, bytes, sha256);
    const { bytes: stored, ...image } = await storeImage(bytes, this.#policy);
    const offset = await work.spool.append(stored);
    return {
      image: { ...image, offset, length: stored.length, fetchedBytes: bytes.length, sha256, isKept: false },
    };
  }

  #verify(work: ShardWork, i: number, bytes: Uint8Array, sha256: string): void {
    const { verify } = this.result;
    const expected = verify === null ? null : work.rows[i]?.row[verify];
    if (typeof expected !== 'string' || expected === '') return;
    const found = verify === 'md5' ? createHash('md5').update(bytes).digest('hex') : sha256;
    if (found === expected.trim().toLowerCase()) return;
    throw new ImageFailure('hash-mismatch', `its ${verify} is ${found}; the list has ${expected}`);
  }
}
