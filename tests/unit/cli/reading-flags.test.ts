import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import {
  addReadingFlags,
  openOptionsOf,
  type ReadingFlags,
  withReading,
} from '../../../src/cli/reading-flags.js';
import { describeReads } from '../../../src/cli/with-storage.js';
import { Storage } from '../../../src/data/storage/storage.js';

async function flagsOf(...args: string[]): Promise<ReadingFlags> {
  let flags: ReadingFlags = {};
  const command = addReadingFlags(new Command('x'))
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  command.action((given: ReadingFlags) => {
    flags = given;
  });
  await command.parseAsync(args, { from: 'user' });
  return flags;
}

describe('reading flags', () => {
  it('are options of openSource, and about storage only where a flag is', async () => {
    expect(openOptionsOf(await flagsOf())).toEqual({});
    expect(openOptionsOf(await flagsOf('--split', 'val', '--column', 'alt=caption'))).toEqual({
      split: 'val',
      columns: { alt: 'caption' },
    });
    const remote = ['--cache-dir', '/c', '--cache-mib', '512', '--s3-endpoint', 'http://x', '--s3-anonymous'];
    expect(openOptionsOf(await flagsOf(...remote))).toEqual({
      storage: { cacheDir: '/c', cacheMiB: 512, s3: { endpoint: 'http://x', anonymous: true } },
    });
    expect(openOptionsOf(await flagsOf('--cache-mib', '0'))).toEqual({ storage: { cacheMiB: 0 } });
    await expect(flagsOf('--cache-mib', 'many')).rejects.toThrow(/Expected a whole number, 0 or more/);
  });

  it('give one storage, which is closed at the end; its bounds are those of the options', async () => {
    const flags = await flagsOf('--split', 'val');
    const used = await withReading(flags, async (options) => {
      expect(options.split).toBe('val');
      expect(options.storage).toBeInstanceOf(Storage);
      return options.storage as Storage;
    });
    await expect(used.openFile('http://127.0.0.1:9/x')).rejects.toThrow(/the storage was closed/);
    const small = await flagsOf('--cache-mib', '5');
    await expect(withReading(small, async () => 1)).rejects.toThrow(
      'storage.cacheMiB is 5; it must be 0 or at least 256.',
    );
  });
});

it('what came from servers is told, and nothing where nobody was asked', () => {
  const disk = { hits: 0, misses: 0, damaged: 0, evicted: 0 };
  const none = { fetchedBytes: 0, numRequests: 0, numRetries: 0, disk };
  expect(describeReads(none)).toBeUndefined();
  expect(describeReads({ ...none, fetchedBytes: 1024, numRequests: 1 })).toBe(
    'Remote data: 1.0 KiB fetched, 1 request.',
  );
  const busy = {
    fetchedBytes: 3 * 2 ** 20,
    numRequests: 1200,
    numRetries: 2,
    disk: { ...disk, hits: 7, damaged: 1 },
  };
  expect(describeReads(busy)).toBe(
    'Remote data: 3.0 MiB fetched, 1,200 requests, 2 of them tried again after a failure; 7 blocks from the disk cache; ' +
      '1 damaged block fetched anew.',
  );
});
