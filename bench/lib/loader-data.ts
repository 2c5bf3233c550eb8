/** The photographs that the loader bench reads, made once per user. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirectory } from '../../src/assets/index.js';
import { repositoryRoot } from './root.js';

const execute = promisify(execFile);

/** A set to be made: files, files of a shard, and how often each shard is there under another name. */
export interface LoaderDataSize {
  readonly numFiles: number;
  readonly shardSize: number;
  readonly copies: number;
}

export interface LoaderData {
  readonly folder: string;
  readonly numSamples: number;
}

/** The set, which `bench/peer/loader_data.py` makes if it is not there. */
export async function loaderData(python: string, size: LoaderDataSize): Promise<LoaderData> {
  const script = join(repositoryRoot(), 'bench', 'peer', 'loader_data.py');
  const parts = [size.numFiles, size.shardSize, size.copies].map(String);
  const key = createHash('sha256')
    .update(readFileSync(script))
    .update(parts.join())
    .digest('hex')
    .slice(0, 16);
  const folder = join(cacheDirectory(), 'bench-data', key);
  if (!existsSync(folder)) {
    console.log(`Making ${size.numFiles} photographs in ${folder} …`);
    const unfinished = `${folder}.${process.pid}`;
    await mkdir(dirname(folder), { recursive: true });
    await execute(python, [script, unfinished, ...parts]).catch(async (error: unknown) => {
      await rm(unfinished, { recursive: true, force: true });
      throw error;
    });
    await rename(unfinished, folder);
  }
  return { folder, numSamples: size.numFiles * size.copies };
}
