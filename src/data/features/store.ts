/** Reading a store of features. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { ConfigError, DataError } from '../../errors.js';
import { mapConcurrently } from '../map-concurrently.js';
import { decodeFloats, type FeatureDtype } from './half.js';
import {
  FEATURES_NAME,
  type FeatureManifest,
  type FeatureShard,
  readFeatureManifest,
  shardName,
  shardRange,
} from './manifest.js';
import { OpenFiles } from './open-files.js';
import { decodeHead, type MissingFeature, type ShardHead, sha256 } from './shard.js';
import { type FeatureSpec, featureSize, type MadeOf, recordBytes, specFingerprint } from './spec.js';

/** Reads under way at a time: as many as a disk answers at once. */
const READS_AT_ONCE = 16;

/** Records are read together across gaps of up to so many bytes, and up to so many bytes. */
const MAX_GAP = 4096;
const MAX_READ = 2 ** 20;

/** Bytes of records that `batches` hands out at a time by default. */
const BATCH_BYTES = 16 * 2 ** 20;

const MAKE_AGAIN = 'Delete the file and run again what made the store: only this shard is made anew.';

/** Rows of a store, one after the other. */
export interface FeatureBatch {
  /** Row of the first one in the source. */
  readonly first: number;
  readonly keys: readonly string[];
  /** Rows * features of a sample; zeros of the rows that have none. */
  readonly values: Float32Array;
  /** By row of the source: why it has no features. */
  readonly missing: ReadonlyMap<number, MissingFeature>;
}

/** What a store knows of a row without reading its features. */
export interface FeatureRow {
  readonly key: string;
  /** Why it has no features; undefined if it has. */
  readonly missing: MissingFeature | undefined;
}

/**
 * Opens a finished store.
 *
 * @throws ConfigError if there is none; DataError if it is unfinished or damaged, or lacks a shard
 */
export async function openFeatures(path: string): Promise<FeatureStore> {
  const manifest = await readFeatureManifest(path);
  if (manifest === undefined) {
    throw new ConfigError(
      `${path}: there is no store of features (no ${FEATURES_NAME}). Make one with: npx capstan data embed DATA --run RUN --out ${path}`,
    );
  }
  const { shards } = manifest;
  const done = shards.filter((shard) => shard !== null);
  if (done.length < shards.length) {
    throw new DataError(
      `${path}: the store is unfinished: ${done.length} of ${shards.length} shards are there. Run again what ` +
        'made it, which goes on where it was stopped.',
    );
  }
  await mapConcurrently([...done.entries()], READS_AT_ONCE, ([shard, { bytes }]) =>
    checkSize(join(path, shardName(shard)), bytes),
  );
  return new FeatureStore(path, manifest);
}

async function checkSize(path: string, expected: number): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw new DataError(`${path}: the shard is gone. ${MAKE_AGAIN}`);
  if (found.size === expected) return;
  throw new DataError(
    `${path}: the shard is cut off or damaged: expected ${expected} bytes, found ${found.size}. ${MAKE_AGAIN}`,
  );
}

/**
 * Reads and checks a shard's head.
 *
 * @throws DataError if it is damaged or of another store
 */
export async function readHead(
  files: OpenFiles,
  directory: string,
  manifest: FeatureManifest,
  shard: number,
): Promise<ShardHead> {
  const path = join(directory, shardName(shard));
  const { headBytes, sha256: expected } = manifest.shards[shard] as FeatureShard;
  const bytes = await readOrExplain(files, path, 0, headBytes);
  if (sha256(bytes) !== expected) {
    throw new DataError(
      `${path}: the shard is damaged: the SHA-256 of its first ${headBytes} bytes is not that in ${FEATURES_NAME}. ${MAKE_AGAIN}`,
    );
  }
  const { first, end } = shardRange(manifest, shard);
  const head = decodeHead(bytes, manifest, shard, end - first);
  if (head === undefined) {
    throw new DataError(
      `${path}: the shard belongs to another store, or is shard ${shard} in name only. ${MAKE_AGAIN}`,
    );
  }
  return head;
}

async function readOrExplain(
  files: OpenFiles,
  path: string,
  offset: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = await files.read(path, offset, length);
  } catch (cause) {
    throw new DataError(`${path}: cannot be read (${(cause as Error).message}).`, { cause });
  }
  if (bytes.length === length) return bytes;
  throw new DataError(
    `${path}: the shard is cut off: expected bytes up to ${offset + length}, found ${offset + bytes.length}. ${MAKE_AGAIN}`,
  );
}

/** A record to read: its place in the shard, and its place in the result. */
interface Wanted {
  readonly record: number;
  readonly place: number;
}

/**
 * Features by row of their source, read as they are asked for and checked as they are read. Of each shard that was
 * read from, the keys and 4 bytes a record are kept in memory. Safe to call concurrently.
 */
export class FeatureStore implements FeatureSpec {
  readonly source: string;
  readonly madeOf: MadeOf;
  readonly dtype: FeatureDtype;
  readonly shape: readonly number[];
  readonly variants: number;
  readonly numRows: number;
  /** Tells the store from every other of other data, another model or other settings: SHA-256 (hex). */
  readonly fingerprint: string;
  /** Rows that have no features because they are broken. */
  readonly numBroken: number;
  /** Rows that have none because they have no caption. */
  readonly numNoCaption: number;
  readonly #manifest: FeatureManifest;
  readonly #files = new OpenFiles();
  readonly #heads = new Map<number, Promise<ShardHead>>();

  /** Of a manifest whose shards are all there: see {@link openFeatures}. */
  constructor(
    readonly path: string,
    manifest: FeatureManifest,
  ) {
    this.source = manifest.source;
    this.madeOf = manifest.madeOf;
    this.dtype = manifest.dtype;
    this.shape = manifest.shape;
    this.variants = manifest.variants;
    this.numRows = manifest.numRows;
    this.fingerprint = specFingerprint(manifest);
    const total = (count: 'broken' | 'noCaption'): number =>
      manifest.shards.reduce((sum, shard) => sum + (shard?.[count] ?? 0), 0);
    this.numBroken = total('broken');
    this.numNoCaption = total('noCaption');
    this.#manifest = manifest;
  }

  /** Keys of all rows, in order. @throws DataError if a shard is damaged */
  async readKeys(): Promise<string[]> {
    const keys: string[] = [];
    for (const shard of this.#manifest.shards.keys()) {
      const head = await this.#head(shard);
      const { first, end } = shardRange(this.#manifest, shard);
      for (let row = first; row < end; row++) keys.push(head.key(row - first));
    }
    return keys;
  }

  /** What is known of some rows without their features. @throws DataError for a row out of range or a damaged shard */
  async look(rows: readonly number[]): Promise<FeatureRow[]> {
    const { shardRows } = this.#manifest;
    for (const row of rows) this.#checkRow(row);
    const shards = [...new Set(rows.map((row) => Math.floor(row / shardRows)))];
    const heads = new Map(
      await Promise.all(shards.map(async (shard) => [shard, await this.#head(shard)] as const)),
    );
    return rows.map((row) => {
      const head = heads.get(Math.floor(row / shardRows)) as ShardHead;
      return { key: head.key(row % shardRows), missing: head.missing.get(row % shardRows) };
    });
  }

  /**
   * The features of some rows, in the order of `rows` (repeats allowed).
   *
   * @param variants of each row, which of its variants; default: the first
   * @returns rows * the product of `shape`
   * @throws DataError for a row out of range, one that has no features, or a damaged shard
   */
  async read(rows: readonly number[], variants?: readonly number[]): Promise<Float32Array> {
    const { shardRows } = this.#manifest;
    const byShard = new Map<number, Wanted[]>();
    for (const [place, row] of rows.entries()) {
      this.#checkRow(row);
      const variant = variants?.[place] ?? 0;
      if (!(Number.isInteger(variant) && variant >= 0 && variant < this.variants)) {
        throw new DataError(
          `${this.path}: there is no variant ${variant}; they run from 0 to ${this.variants - 1}.`,
        );
      }
      const shard = Math.floor(row / shardRows);
      const wanted = byShard.get(shard) ?? [];
      byShard.set(shard, wanted);
      wanted.push({ record: (row % shardRows) * this.variants + variant, place });
    }
    const out = new Float32Array(rows.length * featureSize(this));
    const runs: { shard: number; head: ShardHead; run: Wanted[] }[] = [];
    for (const [shard, wanted] of byShard) {
      const head = await this.#head(shard);
      this.#refuseMissing(head, shard, wanted);
      for (const run of this.#runsOf(wanted)) runs.push({ shard, head, run });
    }
    await mapConcurrently(runs, READS_AT_ONCE, ({ shard, head, run }) =>
      this.#readRun(shard, head, run, out),
    );
    return out;
  }

  /**
   * All rows in order.
   *
   * @param batchRows rows at a time; default: as many as take 16 MiB
   * @throws DataError if a shard is damaged
   */
  async *batches(batchRows = this.#defaultBatch(), variant = 0): AsyncGenerator<FeatureBatch, void> {
    const size = featureSize(this);
    for (let first = 0; first < this.numRows; first += batchRows) {
      const rows = Array.from({ length: Math.min(batchRows, this.numRows - first) }, (_, i) => first + i);
      const looks = await this.look(rows);
      const missing = new Map(
        looks.flatMap(({ missing: why }, i) => (why === undefined ? [] : [[first + i, why] as const])),
      );
      const present = rows.filter((row) => !missing.has(row));
      let values = await this.read(
        present,
        present.map(() => variant),
      );
      if (missing.size > 0) {
        const spread = new Float32Array(rows.length * size);
        for (const [i, row] of present.entries()) {
          spread.set(values.subarray(i * size, (i + 1) * size), (row - first) * size);
        }
        values = spread;
      }
      yield { first, keys: looks.map(({ key }) => key), values, missing };
    }
  }

  /** Closes the files. No read may be under way. */
  close(): Promise<void> {
    return this.#files.close();
  }

  #defaultBatch(): number {
    return Math.max(1, Math.floor(BATCH_BYTES / recordBytes(this)));
  }

  #checkRow(row: number): void {
    if (Number.isInteger(row) && row >= 0 && row < this.numRows) return;
    throw new DataError(`${this.path}: there is no row ${row}; rows run from 0 to ${this.numRows - 1}.`);
  }

  #refuseMissing(head: ShardHead, shard: number, wanted: readonly Wanted[]): void {
    if (head.missing.size === 0) return;
    for (const { record } of wanted) {
      const row = Math.floor(record / this.variants);
      const why = head.missing.get(row);
      if (why === undefined) continue;
      throw new DataError(
        `${this.path}: row ${shard * this.#manifest.shardRows + row} (${head.key(row)}) has no features: ${why.reason}`,
      );
    }
  }

  #head(shard: number): Promise<ShardHead> {
    const known = this.#heads.get(shard);
    if (known !== undefined) return known;
    const head = readHead(this.#files, this.path, this.#manifest, shard);
    this.#heads.set(shard, head);
    head.catch(() => this.#heads.delete(shard)); // the next read finds it mended, or says so again
    return head;
  }

  /** Records that lie close together, to be read at once. */
  #runsOf(wanted: Wanted[]): Wanted[][] {
    const bytes = recordBytes(this);
    const runs: Wanted[][] = [];
    for (const one of wanted.sort((a, b) => a.record - b.record)) {
      const run = runs.at(-1);
      const gap = run === undefined ? 0 : (one.record - (run.at(-1) as Wanted).record - 1) * bytes;
      const length = run === undefined ? 0 : (one.record + 1 - (run[0] as Wanted).record) * bytes;
      if (run === undefined || gap > MAX_GAP || length > MAX_READ) runs.push([one]);
      else run.push(one);
    }
    return runs;
  }

  async #readRun(shard: number, head: ShardHead, run: readonly Wanted[], out: Float32Array): Promise<void> {
    const record = recordBytes(this);
    const size = featureSize(this);
    const { headBytes } = this.#manifest.shards[shard] as FeatureShard;
    const path = join(this.path, shardName(shard));
    const first = (run[0] as Wanted).record;
    const length = ((run.at(-1) as Wanted).record + 1 - first) * record;
    const bytes = await readOrExplain(this.#files, path, headBytes + first * record, length);
    for (const { record: index, place } of run) {
      const own = bytes.subarray((index - first) * record, (index + 1 - first) * record);
      if (crc32(own) !== head.checksums[index]) {
        const row = Math.floor(index / this.variants);
        throw new DataError(
          `${path}: row ${shard * this.#manifest.shardRows + row} (${head.key(row)}) is damaged: its features ` +
            `do not have their checksum. ${MAKE_AGAIN}`,
        );
      }
      decodeFloats(own, this.dtype, out.subarray(place * size, (place + 1) * size));
    }
  }
}
