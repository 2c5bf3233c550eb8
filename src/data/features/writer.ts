/** Writing a store of features, shard by shard, by one process at a time, from where it was stopped. */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectories } from '../../directories.js';
import { ConfigError, DataError, ShapeError } from '../../errors.js';
import { type LockOwner, takeLock } from '../../lock.js';
import { replaceFile } from '../../replace-file.js';
import {
  FEATURES_NAME,
  type FeatureManifest,
  type FeatureShard,
  readFeatureManifest,
  shardName,
  shardRange,
  writeFeatureManifest,
} from './manifest.js';
import { OpenFiles } from './open-files.js';
import { encodeShard, type ShardRows, sha256 } from './shard.js';
import { checkSpec, type FeatureSpec, featureSize, recordBytes, specDifferences } from './spec.js';
import { readHead } from './store.js';

/** A shard's features take up to so many bytes: it is held in memory until it is written. */
const SHARD_BYTES = 64 * 2 ** 20;

/** Rows of a shard at most: what is embedded anew after a kill. */
const MAX_SHARD_ROWS = 4096;

const LOCK_NAME = '.lock';

export interface WriterOptions {
  /** Rows of a shard, of a store that is not there yet. Default: as many as take 64 MiB, up to 4,096. */
  readonly shardRows?: number;
  /**
   * Told that another process writes the store, which is then waited for; without it the store is refused.
   */
  readonly onWait?: (owner: LockOwner) => void;
  /** Told of shards that are damaged or gone and will be made anew. */
  readonly warn?: (message: string) => void;
}

/** A store that this process writes. Shards may be written in any order; close it in the end. */
export class FeatureWriter {
  readonly #directory: string;
  readonly #release: () => Promise<void>;
  #manifest: FeatureManifest;

  private constructor(directory: string, manifest: FeatureManifest, release: () => Promise<void>) {
    this.#directory = directory;
    this.#manifest = manifest;
    this.#release = release;
  }

  /**
   * Claims a directory for a store and finds out which of its shards are there.
   *
   * @throws ConfigError if the spec is not valid, the directory holds another store (the message names what differs) or
   *   something else, or another process writes it; the file system's error
   */
  static async open(
    directory: string,
    spec: FeatureSpec,
    options: WriterOptions = {},
  ): Promise<FeatureWriter> {
    checkSpec(spec);
    await refuseOther(directory, spec);
    await makeDirectories(directory);
    const { onWait } = options;
    const release = await takeLock(join(directory, LOCK_NAME), {
      ...(onWait === undefined ? { refusal: (owner) => inUse(directory, owner) } : { onWait }),
    });
    try {
      // What another process did until now.
      const found = await refuseOther(directory, spec);
      for (const name of await readdir(directory)) {
        // A killed process left it.
        if (name.endsWith('.part')) await rm(join(directory, name), { force: true });
      }
      const manifest = found === undefined ? newManifest(spec, options.shardRows) : found;
      const shards = found === undefined ? manifest.shards : await wholeShards(directory, found, options);
      return new FeatureWriter(directory, { ...manifest, shards }, release);
    } catch (error) {
      await release();
      throw error;
    }
  }

  /** Numbers of the shards that are to be written. */
  get missing(): number[] {
    return [...this.#manifest.shards.keys()].filter((shard) => this.#manifest.shards[shard] === null);
  }

  /** Rows of the shards that are there, and how many of them have no features and why. */
  get done(): { readonly rows: number; readonly broken: number; readonly noCaption: number } {
    const sums = { rows: 0, broken: 0, noCaption: 0 };
    for (const [number, shard] of this.#manifest.shards.entries()) {
      if (shard === null) continue;
      const { first, end } = this.range(number);
      sums.rows += end - first;
      sums.broken += shard.broken;
      sums.noCaption += shard.noCaption;
    }
    return sums;
  }

  /** The rows [first, end) of a shard. */
  range(shard: number): { readonly first: number; readonly end: number } {
    return shardRange(this.#manifest, shard);
  }

  /**
   * Writes a shard: afterwards it is there for good, before that not at all.
   *
   * @throws ShapeError unless there are as many keys and values as it has rows; NumericError for features that are not
   *   finite or too large for the dtype; the file system's error
   */
  async writeShard(shard: number, rows: ShardRows): Promise<void> {
    const { first, end } = this.range(shard);
    const numValues = (end - first) * this.#manifest.variants * featureSize(this.#manifest);
    if (rows.keys.length !== end - first || rows.values.length !== numValues) {
      throw new ShapeError(
        `Shard ${shard} has ${end - first} rows with ${numValues} numbers, ` +
          `found ${rows.keys.length} with ${rows.values.length}.`,
      );
    }
    const { bytes, headBytes } = encodeShard(this.#manifest, shard, rows);
    await replaceFile(join(this.#directory, shardName(shard)), bytes);
    const missing = [...rows.missing.values()];
    const broken = missing.filter((one) => one.broken).length;
    const entry: FeatureShard = {
      bytes: bytes.length,
      headBytes,
      sha256: sha256(bytes.subarray(0, headBytes)),
      broken,
      noCaption: missing.length - broken,
    };
    const shards = this.#manifest.shards.with(shard, entry);
    const manifest = { ...this.#manifest, shards };
    await writeFeatureManifest(this.#directory, manifest);
    this.#manifest = manifest;
  }

  /** Gives the store up to others. */
  close(): Promise<void> {
    return this.#release();
  }
}

const inUse = (directory: string, { pid, host }: LockOwner): ConfigError =>
  new ConfigError(`Process ${pid} on ${host} writes ${directory}. Wait for it, or choose another directory.`);

function newManifest(spec: FeatureSpec, shardRows: number | undefined): FeatureManifest {
  const { source, madeOf, dtype, shape, variants, numRows } = spec;
  if (shardRows !== undefined && !(Number.isSafeInteger(shardRows) && shardRows >= 1)) {
    throw new ConfigError(`shardRows must be a whole number of at least 1, found ${shardRows}.`);
  }
  const fitting = Math.floor(SHARD_BYTES / (recordBytes(spec) * variants));
  const rows = shardRows ?? Math.max(1, Math.min(MAX_SHARD_ROWS, fitting));
  const shards = new Array<null>(Math.ceil(numRows / rows)).fill(null);
  return { source, madeOf, dtype, shape, variants, numRows, shardRows: rows, shards };
}

/** The manifest of the store that is there, if it is the one; undefined if there is none. */
async function refuseOther(directory: string, spec: FeatureSpec): Promise<FeatureManifest | undefined> {
  const info = await stat(directory).catch(() => undefined);
  if (info === undefined) return undefined;
  const found = await readFeatureManifest(directory);
  if (found === undefined) {
    const names = info.isDirectory() ? await readdir(directory) : ['a file'];
    // A process that was killed before its first shard was whole left those.
    const others = names.filter((name) => !name.startsWith(LOCK_NAME) && !name.startsWith('features'));
    if (others.length === 0) return undefined;
    throw new ConfigError(
      `${directory}: exists and is not a store of features (it holds ${others[0]} and no ${FEATURES_NAME}). Choose another directory.`,
    );
  }
  const differences = specDifferences(found, spec);
  if (differences === '') return found;
  throw new ConfigError(
    `${directory} holds features of something else: ${differences}. Choose another directory, or delete this one.`,
  );
}

/** The shards of a store, those that are not as they were written left out. */
async function wholeShards(
  directory: string,
  manifest: FeatureManifest,
  { warn }: WriterOptions,
): Promise<(FeatureShard | null)[]> {
  const files = new OpenFiles();
  const whole: (FeatureShard | null)[] = [];
  try {
    for (const [number, shard] of manifest.shards.entries()) {
      const fault = shard === null ? undefined : await faultOf(files, directory, manifest, number, shard);
      if (fault !== undefined) warn?.(`${fault} It is made anew.`);
      whole.push(fault === undefined ? shard : null);
    }
  } finally {
    await files.close();
  }
  return whole;
}

async function faultOf(
  files: OpenFiles,
  directory: string,
  manifest: FeatureManifest,
  number: number,
  { bytes }: FeatureShard,
): Promise<string | undefined> {
  const path = join(directory, shardName(number));
  const size = (await stat(path).catch(() => undefined))?.size;
  if (size !== bytes) return `${path}: expected ${bytes} bytes, found ${size ?? 'no file'}.`;
  try {
    await readHead(files, directory, manifest, number);
    return undefined;
  } catch (error) {
    if (error instanceof DataError) return `${path} is damaged.`;
    throw error;
  }
}
