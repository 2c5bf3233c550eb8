/** What a download brought: `report.json` and `failures.jsonl`, made of the counts of all shards. */
import { join } from 'node:path';
import { DataError } from '../../errors.js';
import { replaceFile } from '../../replace-file.js';
import { PartFile } from '../sources/part-file.js';
import type { DownloadFolder, FailedRow } from './folder.js';

/** What a download brought. */
export interface DownloadReport {
  /** Path of the list. */
  readonly list: string;
  readonly rows: number;
  readonly images: number;
  /** Shards that hold an image. */
  readonly shards: number;
  /** Rows without an image, by reason, the most frequent first. With the images they are all rows. */
  readonly failures: Readonly<Record<string, number>>;
  /** The hosts with most failures, and the most frequent reason there. */
  readonly hosts: readonly { readonly host: string; readonly failures: number; readonly reason: string }[];
  /** Of images that are stored, as they came and as they are stored. */
  readonly bytesFetched: number;
  readonly bytesStored: number;
  /** Of the last run, with all bytes that came in it. */
  readonly lastRun: { readonly seconds: number; readonly bytes: number; readonly images: number };
}

const TOP_HOSTS = 20;
/** Hosts counted at a time; beyond, those that failed least are forgotten, so that counts are a little low at worst. */
const MAX_HOSTS = 200_000;
const BUFFER_CHARS = 1_000_000;

/**
 * Writes the report.
 *
 * @throws DataError if a shard is not finished, or rows and outcomes do not add up
 */
export async function writeReport(
  folder: DownloadFolder,
  numShards: number,
  list: { readonly path: string; readonly numRows: number },
  lastRun: DownloadReport['lastRun'],
): Promise<DownloadReport> {
  const failures = new Map<string, number>();
  const sums = { rows: 0, images: 0, shards: 0, bytesFetched: 0, bytesStored: 0 };
  for (let index = 0; index < numShards; index++) {
    const stats = await folder.finished(index);
    if (stats === undefined)
      throw new DataError(`${folder.path}: shard ${index} vanished. Start again to have it made.`);
    sums.rows += stats.count;
    sums.images += stats.successes;
    sums.shards += stats.file === null ? 0 : 1;
    sums.bytesFetched += stats.bytes_fetched;
    sums.bytesStored += stats.bytes_stored;
    for (const [reason, count] of Object.entries(stats.status_dict)) {
      if (reason !== 'success') failures.set(reason, (failures.get(reason) ?? 0) + count);
    }
  }
  const failed = [...failures.values()].reduce((sum, count) => sum + count, 0);
  const listed = await writeFailures(folder, numShards);
  if (sums.rows !== list.numRows || sums.images + failed !== sums.rows || listed.count !== failed) {
    throw new DataError(
      `${folder.path}: the list has ${list.numRows} rows; found ${sums.images} images and ${failed} failures, ` +
        `${listed.count} of them listed. Choose another --out and start again.`,
    );
  }
  const report: DownloadReport = {
    list: list.path,
    ...sums,
    failures: Object.fromEntries([...failures].sort(([, a], [, b]) => b - a)),
    hosts: listed.hosts,
    lastRun,
  };
  await replaceFile(join(folder.path, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
  return report;
}

async function writeFailures(
  folder: DownloadFolder,
  numShards: number,
): Promise<{ count: number; hosts: DownloadReport['hosts'] }> {
  const hosts = new Map<string, Map<string, number>>();
  const file = await PartFile.open(join(folder.path, 'failures.jsonl'));
  let count = 0;
  try {
    let text = '';
    for (let index = 0; index < numShards; index++) {
      for await (const failure of folder.failures(index)) {
        count++;
        text += `${JSON.stringify(failure)}\n`;
        countHost(hosts, failure);
        if (text.length < BUFFER_CHARS) continue;
        await file.append([Buffer.from(text)]);
        text = '';
      }
    }
    await file.append([Buffer.from(text)]);
    await file.commit();
  } catch (error) {
    await file.discard();
    throw error;
  }
  return { count, hosts: topHosts(hosts) };
}

const sumOf = (counts: ReadonlyMap<string, number>): number =>
  [...counts.values()].reduce((sum, count) => sum + count, 0);

function countHost(hosts: Map<string, Map<string, number>>, { url, reason }: FailedRow): void {
  // That a URL or an image is there twice is no fault of its host.
  if (url === null || reason.startsWith('duplicate-') || !URL.canParse(url)) return;
  const { host } = new URL(url);
  const counts = hosts.get(host) ?? new Map<string, number>();
  counts.set(reason, (counts.get(reason) ?? 0) + 1);
  hosts.set(host, counts);
  if (hosts.size <= MAX_HOSTS) return;
  const sums = [...hosts.values()].map(sumOf).sort((a, b) => a - b);
  const least = sums[MAX_HOSTS >> 1] as number;
  for (const [name, reasons] of hosts) if (sumOf(reasons) <= least && name !== host) hosts.delete(name);
}

function topHosts(hosts: ReadonlyMap<string, ReadonlyMap<string, number>>): DownloadReport['hosts'] {
  return [...hosts]
    .map(([host, counts]) => {
      const [first] = [...counts].sort(([, a], [, b]) => b - a);
      return { host, failures: sumOf(counts), reason: first?.[0] ?? '' };
    })
    .sort((a, b) => b.failures - a.failures || (a.host < b.host ? -1 : 1))
    .slice(0, TOP_HOSTS);
}
