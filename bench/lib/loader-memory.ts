/** What a loader may hold, and after how many samples it holds it. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BLOCK_CACHE_BYTES } from '../../src/data/datasets/open.js';
import { defaultWindow } from '../../src/data/row-reader.js';
import { ConfigError } from '../../src/errors.js';

/** Readings of the growth begin after this share of the samples. */
export const FILL_SHARE = 1 / 4;
/** The window that is visited and the one that is read ahead. */
const NUM_WINDOWS = 2;

/** How a loader's memory is made up beside that of its process and workers. */
export interface LoaderMemory {
  /** Samples after which it is full. */
  readonly fillSamples: number;
  /** Bytes of the rows of a window. */
  readonly windowBytes: number;
  /** Bytes that pieces of shards may take. */
  readonly cacheBytes: number;
}

/** What a loader of so many samples that take so many bytes comes to hold. */
export function loaderMemory(numSamples: number, numBytes: number): LoaderMemory {
  const rowBytes = numBytes / numSamples;
  const window = Math.min(numSamples, defaultWindow({ rowBytes }));
  return {
    fillSamples: Math.min(numSamples, NUM_WINDOWS * window),
    windowBytes: window * rowBytes,
    cacheBytes: BLOCK_CACHE_BYTES,
  };
}

/** Holds that the memory is watched long enough to be judged. @throws ConfigError that says how many samples it takes */
export function checkWatched(samples: number, { fillSamples }: LoaderMemory): void {
  const least = Math.ceil(fillSamples / FILL_SHARE);
  if (samples >= least) return;
  throw new ConfigError(
    `--samples ${samples}: the loader's memory is still filling after a quarter of them (its windows take ${fillSamples} samples); ` +
      `expected at least ${least}. Watch it for longer.`,
  );
}

/** Bytes of the files in a folder. */
export async function folderBytes(folder: string): Promise<number> {
  const sizes = await Promise.all(
    (await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
