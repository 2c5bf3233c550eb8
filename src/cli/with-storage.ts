/** The one storage of a command: made of options, closed at the end, and what it did told. */
import { formatBytes } from '../assets/index.js';
import type { StorageOptions } from '../data/storage/options.js';
import { Storage, type StorageStats } from '../data/storage/storage.js';
import { printError } from './printer.js';

/**
 * Runs `work` with a storage, closes it, and says what came from servers, if anything did.
 *
 * @throws ConfigError if an option is out of bounds; as `work`
 */
export async function withStorage<T>(
  options: StorageOptions,
  work: (storage: Storage) => Promise<T>,
): Promise<T> {
  const storage = new Storage({ ...options, onWarning: (message) => printError(`Warning: ${message}`) });
  try {
    return await work(storage);
  } finally {
    await storage.close();
    const summary = describeReads(storage.stats);
    if (summary !== undefined) printError(summary);
  }
}

const plural = (count: number, one: string): string =>
  `${count.toLocaleString('en-US')} ${one}${count === 1 ? '' : 's'}`;

/** What a storage did; undefined if it asked no server. */
export function describeReads({
  fetchedBytes,
  numRequests,
  numRetries,
  disk,
}: StorageStats): string | undefined {
  if (numRequests === 0) return undefined;
  const again =
    numRetries === 0 ? '' : `, ${numRetries.toLocaleString('en-US')} of them tried again after a failure`;
  const parts = [
    `Remote data: ${formatBytes(fetchedBytes)} fetched, ${plural(numRequests, 'request')}${again}`,
  ];
  if (disk.hits > 0) parts.push(`${plural(disk.hits, 'block')} from the disk cache`);
  if (disk.damaged > 0) parts.push(`${plural(disk.damaged, 'damaged block')} fetched anew`);
  return `${parts.join('; ')}.`;
}
