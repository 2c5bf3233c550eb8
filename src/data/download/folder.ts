/**
 * The folder of a download: finished shards with their counts, and what a later run needs in `.download`. A shard counts
 * as finished by its `NNNNN_stats.json`, which is written last.
 */
import { createReadStream, existsSync } from 'node:fs';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { makeDirectories } from '../../directories.js';
import { ConfigError } from '../../errors.js';
import { takeLock } from '../../lock.js';
import { replaceFile } from '../../replace-file.js';
import type { Source } from '../sources/source.js';
import type { ResultPlan } from './options.js';

const STATE = '.download';

const statsSchema = z.object({
  count: z.int(),
  successes: z.int(),
  failed_to_download: z.int(),
  failed_to_resize: z.int(),
  /** Seconds, and seconds since 1970. */
  duration: z.number(),
  start_time: z.number(),
  end_time: z.number(),
  /** Rows by `success` or the reason why there is no image. */
  status_dict: z.record(z.string(), z.int()),
  /** Of images that are stored, as they came and as they are stored. */
  bytes_fetched: z.int(),
  bytes_stored: z.int(),
  /** Null if the shard holds no image. */
  file: z.object({ name: z.string(), bytes: z.int() }).nullable(),
});

/** Counts of a finished shard, with img2dataset's names as far as it has them. */
export type ShardStats = z.infer<typeof statsSchema>;

/** A row without an image, as `failures.jsonl` has it. */
export interface FailedRow {
  /** Place in the list, from 0. */
  readonly row: number;
  readonly key: string | null;
  readonly url: string | null;
  readonly reason: string;
  readonly detail: string;
  /** Times that the image was asked for. */
  readonly tries: number;
}

interface Job {
  readonly list: { readonly path: string; readonly fingerprint: string; readonly rows: number };
  readonly result: ResultPlan;
}

/** A download's folder, held by this process. */
export class DownloadFolder {
  readonly path: string;
  readonly #ending: string;
  readonly #prefix: string;

  private constructor(
    out: string,
    readonly plan: ResultPlan,
    hasSplits: boolean,
    private readonly unlock: () => Promise<void>,
  ) {
    this.path = resolve(out);
    this.#ending = plan.to === 'webdataset' ? 'tar' : plan.to;
    // A reader goes by what stands before the dash, and by the column where that is the name of no split.
    const named = plan.to === 'webdataset' ? '' : hasSplits ? 'data-' : 'train-';
    this.#prefix = plan.split === null ? named : `${plan.split}-`;
  }

  /**
   * Makes the folder or goes on with it, and takes its lock.
   *
   * @throws ConfigError if there is something else, another list's download or one with other options, or if another process is at it
   */
  static async open(
    out: string,
    source: Source,
    plan: ResultPlan,
    signal?: AbortSignal,
  ): Promise<DownloadFolder> {
    const path = resolve(out);
    await refuseOther(path);
    await makeDirectories(join(path, STATE));
    const unlock = await takeLock(join(path, STATE, 'lock'), {
      signal,
      refusal: ({ pid, host }) =>
        new ConfigError(
          `${path}: process ${pid} on ${host} downloads into it. Wait for it, or choose another --out.`,
        ),
    });
    try {
      const { fingerprint, numRows: rows } = source;
      const job: Job = { list: { path: source.path, fingerprint, rows }, result: plan };
      await checkJob(path, job);
      const folder = new DownloadFolder(path, plan, source.columns.includes('split'), unlock);
      await folder.#removeUnfinished();
      return folder;
    } catch (error) {
      await unlock();
      throw error;
    }
  }

  /** Gives the folder back. */
  async close(): Promise<void> {
    await this.unlock();
  }

  shardPath(index: number): string {
    return join(this.path, `${this.#prefix}${number(index)}.${this.#ending}`);
  }

  /** Where img2dataset has the rows of a tar, those without an image too. */
  tablePath(index: number): string {
    return join(this.path, `${this.#prefix}${number(index)}.parquet`);
  }

  statsPath(index: number): string {
    return join(this.path, `${number(index)}_stats.json`);
  }

  spoolPath(index: number): string {
    return join(this.path, STATE, `${number(index)}.spool`);
  }

  /** The counts of a shard; undefined if it is not finished, or its file is not as it was. */
  async finished(index: number): Promise<ShardStats | undefined> {
    let stats: ShardStats;
    try {
      stats = statsSchema.parse(JSON.parse(await readFile(this.statsPath(index), 'utf8')));
    } catch {
      return undefined;
    }
    const size = await stat(this.shardPath(index)).then(
      (info) => info.size,
      () => undefined,
    );
    return size === stats.file?.bytes ? stats : undefined;
  }

  /** Takes back that a shard is finished, before it is written anew. */
  async reopen(index: number): Promise<void> {
    await rm(this.statsPath(index), { force: true });
  }

  /**
   * Records a shard whose file is in its place.
   *
   * @param digests the first eight bytes of each image's hash
   */
  async finish(
    index: number,
    stats: ShardStats,
    failures: readonly FailedRow[],
    digests: Uint8Array,
  ): Promise<void> {
    const lines = failures.map((failure) => `${JSON.stringify(failure)}\n`);
    await replaceFile(this.#failuresPath(index), lines.join(''));
    if (this.plan.dedupe === 'bytes') await replaceFile(this.#digestsPath(index), digests);
    await replaceFile(this.statsPath(index), `${JSON.stringify(stats, null, 2)}\n`);
  }

  /** The rows of a finished shard that have no image, in the list's order. */
  async *failures(index: number): AsyncGenerator<FailedRow> {
    const path = this.#failuresPath(index);
    if (!existsSync(path)) return;
    for await (const line of createInterface({
      input: createReadStream(path),
      crlfDelay: Number.POSITIVE_INFINITY,
    })) {
      yield JSON.parse(line) as FailedRow;
    }
  }

  /** As they were given to {@link finish}. */
  async digests(index: number): Promise<Uint8Array> {
    return readFile(this.#digestsPath(index));
  }

  #failuresPath(index: number): string {
    return join(this.path, STATE, `${number(index)}.failures.jsonl`);
  }

  #digestsPath(index: number): string {
    return join(this.path, STATE, `${number(index)}.digests`);
  }

  /** Removes what a killed run was writing. */
  async #removeUnfinished(): Promise<void> {
    for (const name of await readdir(join(this.path, STATE))) {
      if (/\.(spool|part)$/.test(name)) await rm(join(this.path, STATE, name), { force: true });
    }
    for (const name of await readdir(this.path)) {
      if (name.endsWith('.part')) await rm(join(this.path, name), { force: true });
    }
  }
}

/** As img2dataset numbers shards. */
const number = (index: number): string => String(index).padStart(5, '0');

async function refuseOther(path: string): Promise<void> {
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) return;
  const names = info.isDirectory() ? await readdir(path) : [path];
  if (info.isDirectory() && (names.length === 0 || names.includes(STATE))) return;
  throw new ConfigError(
    `${path}: exists and is not a download (there is no ${STATE} in it), so nothing is put there. Choose another --out.`,
  );
}

/** Holds a job against the one that the folder has, and records it if that has none. */
async function checkJob(path: string, job: Job): Promise<void> {
  const file = join(path, STATE, 'job.json');
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) {
    await replaceFile(file, `${JSON.stringify(job, null, 2)}\n`);
    return;
  }
  let before: Job;
  try {
    before = JSON.parse(text) as Job;
  } catch (cause) {
    throw new ConfigError(`${file}: is damaged. Choose another --out, or remove the folder.`, { cause });
  }
  if (before.list.fingerprint !== job.list.fingerprint) {
    throw new ConfigError(
      `${path}: was begun from another list: ${before.list.path} with ${before.list.rows} rows; found ` +
        `${job.list.path} with ${job.list.rows}, or it is read in another way. Give the same list, or choose another --out.`,
    );
  }
  for (const [name, value] of Object.entries(job.result)) {
    const earlier = before.result[name as keyof ResultPlan];
    if (earlier === value) continue;
    const option = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new ConfigError(
      `${path}: was begun with --${option} ${earlier}; found ${value}. Give the same option, or choose another --out.`,
    );
  }
}
