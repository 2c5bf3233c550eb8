/** `downloadImages`: the images of a list of URLs into shards. */
import { setMaxListeners } from 'node:events';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { DataError } from '../../errors.js';
import type { Source } from '../sources/source.js';
import { DigestSet } from './digest-set.js';
import { isFinal, isOfImage } from './failure.js';
import { DownloadFolder, type FailedRow, type ShardStats } from './folder.js';
import { keepImages } from './kept-images.js';
import { ListReader } from './list-rows.js';
import {
  type DownloadImagesOptions,
  type FetchPlan,
  type ResultPlan,
  resolveFetch,
  resolveResult,
} from './options.js';
import { ProgressCounter } from './progress.js';
import { type DownloadReport, writeReport } from './report.js';
import { RowFetcher } from './row-fetcher.js';
import { ShardWork } from './shard-work.js';
import { ShardRowsWriter } from './shard-writer.js';
import { Spool } from './spool.js';

/**
 * Fetches the images of a list and writes them with the list's columns, under capstan's names, into shards that
 * `openSource` reads. A shard is made of so many rows of the list; those whose images came are in it, in the list's
 * order. A download that was ended or killed goes on when it is called again: finished shards stay.
 *
 * @returns what came and what did not; the folder has it as `report.json`, and each row that failed in `failures.jsonl`
 * @throws ConfigError for an option out of bounds, a folder that holds something else, or one that another process is at;
 *   DataError for a full disk, or if not one image came; the signal's reason when aborted
 */
export async function downloadImages(options: DownloadImagesOptions): Promise<DownloadReport> {
  const result = resolveResult(options.source, options);
  const plan = resolveFetch(options);
  const folder = await DownloadFolder.open(options.out, options.source, result, options.signal);
  try {
    return await new Download(options, result, plan, folder).run();
  } finally {
    await folder.close();
  }
}

/** Shards that may be under way, so that a slow server at the end of one does not hold up the rest. */
const OPEN_SHARDS = 4;

class Download {
  readonly #source: Source;
  readonly #reader: ListReader;
  readonly #numShards: number;
  readonly #progress: ProgressCounter;
  readonly #rows: RowFetcher;
  readonly #stop = new AbortController();
  readonly #stopped: Promise<never>;
  readonly #open = new Set<ShardWork>();
  /** Digests of images that are stored, if these are told apart. */
  readonly #images = new DigestSet();
  /** The shards that are done, one after the other. */
  #written: Promise<void> = Promise.resolve();
  /** Images of earlier runs. */
  #imagesBefore = 0;
  #wake: (() => void) | undefined;

  constructor(
    private readonly options: DownloadImagesOptions,
    private readonly result: ResultPlan,
    plan: FetchPlan,
    private readonly folder: DownloadFolder,
  ) {
    this.#source = options.source;
    this.#reader = new ListReader(options.source, new DigestSet());
    this.#numShards = Math.ceil(options.source.numRows / result.shardRows);
    this.#progress = new ProgressCounter(options.source.numRows, options.onProgress ?? (() => undefined));
    const { signal } = this.#stop;
    setMaxListeners(0, signal); // every request listens to it
    this.#stopped = new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    this.#stopped.catch(() => undefined);
    this.#rows = new RowFetcher(result, plan, this.#progress, {
      signal,
      onSettled: () => this.#nudge(),
      onError: (error) => this.#stop.abort(error),
    });
  }

  async run(): Promise<DownloadReport> {
    const started = performance.now();
    const { signal } = this.options;
    const abort = (): void => this.#stop.abort(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    try {
      signal?.throwIfAborted();
      await this.#makeShards();
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#stop.abort(new Error('the download is over'));
      this.#rows.close();
      // A shard that is being written is finished, or fails by itself.
      await this.#written.catch(() => undefined);
      for (const { spool } of this.#open) await spool.remove().catch(() => undefined);
    }
    const { bytes, images: imagesNow } = this.#progress;
    const lastRun = {
      seconds: Math.round(performance.now() - started) / 1000,
      bytes,
      images: imagesNow - this.#imagesBefore,
    };
    const { path, numRows } = this.#source;
    const report = await writeReport(this.folder, this.#numShards, { path, numRows }, lastRun);
    if (report.images > 0) return report;
    const reasons = Object.entries(report.failures).map(([reason, count]) => `${reason} ${count}`);
    throw new DataError(
      `${this.folder.path}: not one of ${report.rows} rows has its image (${reasons.join(', ')}). failures.jsonl says ` +
        'why of each; once the cause is gone, try again with --retry-failed.',
    );
  }

  async #makeShards(): Promise<void> {
    const { result, folder } = this;
    if (result.dedupe === 'bytes') await this.#loadDigests();
    const writer = new ShardRowsWriter(folder, this.#reader.columns, await this.#reader.sample());
    for (let index = 0; index < this.#numShards; index++) {
      this.#stop.signal.throwIfAborted();
      const start = index * result.shardRows;
      const end = Math.min(this.#source.numRows, start + result.shardRows);
      const stats = await folder.finished(index);
      const again = this.options.retryFailed === true && Object.keys(stats?.status_dict ?? {}).some(canRetry);
      if (stats !== undefined && !again) {
        await this.#reader.pass(start, end);
        this.#passed(stats);
        continue;
      }
      await this.#room();
      const work = await this.#begin(index, start, end, stats);
      // In turn, so that of equal images the first in the list stays.
      this.#written = this.#written.then(async () => {
        await Promise.race([work.done, this.#stopped]);
        await this.#finish(work, writer, stats);
      });
      this.#written.catch((error: unknown) => this.#stop.abort(error));
    }
    await this.#written;
  }

  async #loadDigests(): Promise<void> {
    for (let index = 0; index < this.#numShards; index++) {
      if ((await this.folder.finished(index)) === undefined) continue;
      const digests = await this.folder.digests(index);
      for (let at = 0; at + DIGEST_BYTES <= digests.length; at += DIGEST_BYTES) {
        this.#images.add(digests.subarray(at, at + DIGEST_BYTES));
      }
    }
  }

  #passed({ successes, status_dict: { success: _, ...failures } }: ShardStats): void {
    this.#imagesBefore += successes;
    this.#progress.addFinished(successes, failures);
  }

  /** Begins a shard: settles what needs no server, and has the rest fetched. */
  async #begin(index: number, start: number, end: number, stats: ShardStats | undefined): Promise<ShardWork> {
    const rows = await this.#reader.read(start, end);
    const spool = await Spool.open(this.folder.spoolPath(index));
    const work = new ShardWork(index, rows, spool, stats !== undefined);
    this.#open.add(work);
    if (stats !== undefined) await this.#keep(work, start);
    for (const [i, { url, failure }] of rows.entries()) {
      if (work.outcomes[i] !== undefined) continue;
      if (url !== undefined) this.#rows.add(work, i, url);
      else if (failure !== undefined) this.#rows.settle(work, i, { ...failure, tries: 0 });
    }
    return work;
  }

  /** Takes over from a finished shard what is not tried again. */
  async #keep(work: ShardWork, start: number): Promise<void> {
    const failed = new Map<number, FailedRow>();
    for await (const failure of this.folder.failures(work.index)) failed.set(failure.row - start, failure);
    const { to } = this.result;
    await keepImages(work, this.folder.shardPath(work.index), to, new Set(failed.keys()));
    const kept = work.rows.length - failed.size;
    const final: Record<string, number> = {};
    for (const [i, { reason, detail, tries }] of failed) {
      if (!isFinal(reason)) continue;
      work.settle(i, { reason, detail, tries });
      final[reason] = (final[reason] ?? 0) + 1;
    }
    this.#imagesBefore += kept;
    this.#progress.addFinished(kept, final);
  }

  /** Writes a shard whose rows all have their outcomes. */
  async #finish(work: ShardWork, writer: ShardRowsWriter, before: ShardStats | undefined): Promise<void> {
    const { folder } = this;
    if (this.result.dedupe === 'bytes') this.#dropDuplicates(work);
    const hasNew = work.outcomes.some((each) => each !== undefined && 'image' in each && !each.image.isKept);
    if (hasNew || before === undefined) {
      await folder.reopen(work.index);
      await writer.write(work);
    }
    const { stats, failures, digests } = summaryOf(work);
    const path = folder.shardPath(work.index);
    const file = stats.successes === 0 ? null : { name: basename(path), bytes: (await stat(path)).size };
    const bytesBefore = before?.bytes_fetched ?? 0;
    await folder.finish(
      work.index,
      { ...stats, bytes_fetched: stats.bytes_fetched + bytesBefore, file },
      failures,
      digests,
    );
    await work.spool.remove();
    this.#open.delete(work);
    this.#nudge();
  }

  #dropDuplicates(work: ShardWork): void {
    for (const [i, outcome] of work.outcomes.entries()) {
      if (outcome === undefined || !('image' in outcome) || outcome.image.isKept) continue;
      if (this.#images.add(digestOf(outcome.image.sha256))) continue;
      const detail = 'an image of the same bytes is there already';
      work.settle(i, { reason: 'duplicate-bytes', detail, tries: 1 });
      this.#progress.demote('duplicate-bytes');
    }
  }

  /** Waits until another shard may begin. */
  async #room(): Promise<void> {
    while (!this.#hasRoom()) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await Promise.race([woken, this.#stopped]);
    }
  }

  #hasRoom(): boolean {
    // Small shards may be under way in larger numbers.
    const most = Math.max(OPEN_SHARDS, Math.ceil(1000 / this.result.shardRows));
    return this.#open.size < most && this.#rows.isHungry;
  }

  #nudge(): void {
    if (this.#wake === undefined || !this.#hasRoom()) return;
    this.#wake();
    this.#wake = undefined;
  }
}

const DIGEST_BYTES = 8;
const digestOf = (sha256: string): Uint8Array => Buffer.from(sha256.slice(0, 2 * DIGEST_BYTES), 'hex');

const canRetry = (reason: string): boolean => reason !== 'success' && !isFinal(reason);

interface Summary {
  readonly stats: Omit<ShardStats, 'file'>;
  readonly failures: FailedRow[];
  readonly digests: Uint8Array;
}

function summaryOf({ rows, outcomes, startedAt }: ShardWork): Summary {
  const failures: FailedRow[] = [];
  const digests: Uint8Array[] = [];
  const statuses: Record<string, number> = {};
  let [fetched, stored, ofImage] = [0, 0, 0];
  for (const [i, { row, index, key }] of rows.entries()) {
    const outcome = outcomes[i];
    if (outcome === undefined) throw new Error(`row ${index} has no outcome`);
    const status = 'image' in outcome ? 'success' : outcome.reason;
    statuses[status] = (statuses[status] ?? 0) + 1;
    if ('image' in outcome) {
      fetched += outcome.image.fetchedBytes;
      stored += outcome.image.length;
      digests.push(digestOf(outcome.image.sha256));
      continue;
    }
    const { reason, detail, tries } = outcome;
    if (isOfImage(reason)) ofImage++;
    failures.push({
      row: index,
      key,
      url: typeof row.url === 'string' ? row.url : null,
      reason,
      detail,
      tries,
    });
  }
  const now = Date.now();
  return {
    stats: {
      count: rows.length,
      successes: digests.length,
      failed_to_download: failures.length - ofImage,
      failed_to_resize: ofImage,
      duration: (now - startedAt) / 1000,
      start_time: startedAt / 1000,
      end_time: now / 1000,
      status_dict: statuses,
      bytes_fetched: fetched,
      bytes_stored: stored,
    },
    failures,
    digests: Buffer.concat(digests),
  };
}
