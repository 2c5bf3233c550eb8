/** `features.json`: what a store holds, what it was made of, and which of its shards are there. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { DataError } from '../../errors.js';
import { replaceFile } from '../../replace-file.js';
import { featureDtypes } from './half.js';
import { type FeatureSpec, recordBytes } from './spec.js';

/** Name of the manifest in a store's directory. */
export const FEATURES_NAME = 'features.json';

const count = z.int().nonnegative();

const shardSchema = z.object({
  bytes: count,
  /** Bytes before the features. */
  headBytes: count,
  /** SHA-256 of what comes before the features in the file: the header, the keys, a checksum of each record. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  broken: count,
  noCaption: count,
});

const manifestSchema = z.object({
  format: z.literal('capstan-features'),
  version: z.literal(1),
  source: z.string(),
  madeOf: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  dtype: z.enum(featureDtypes),
  shape: z.array(z.int().positive()).min(1),
  variants: z.int().positive(),
  numRows: z.int().positive(),
  /** Rows of the source in a shard; the last one has the rest. */
  shardRows: z.int().positive(),
  /** By number; null for one that is not there yet. */
  shards: z.array(shardSchema.nullable()),
});

/** A shard that is there. */
export type FeatureShard = z.infer<typeof shardSchema>;

/** What is in a store's directory. */
export interface FeatureManifest extends FeatureSpec {
  readonly shardRows: number;
  /** By number; null for one that is not there yet. */
  readonly shards: readonly (FeatureShard | null)[];
}

/** Name of the file of a shard. */
export function shardName(shard: number): string {
  return `features-${String(shard).padStart(5, '0')}.safetensors`;
}

/** The rows [first, end) of a shard. */
export function shardRange(
  { shardRows, numRows }: Pick<FeatureManifest, 'shardRows' | 'numRows'>,
  shard: number,
): { readonly first: number; readonly end: number } {
  return { first: shard * shardRows, end: Math.min(numRows, (shard + 1) * shardRows) };
}

/**
 * Reads a store's manifest; undefined if the directory has none.
 *
 * @throws DataError if what is there is not the manifest of a store
 */
export async function readFeatureManifest(directory: string): Promise<FeatureManifest | undefined> {
  const path = join(directory, FEATURES_NAME);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
  try {
    const { format: _, version: __, ...manifest } = manifestSchema.parse(JSON.parse(text));
    checkShards(manifest);
    return manifest;
  } catch (cause) {
    const found = cause instanceof z.ZodError ? z.prettifyError(cause) : (cause as Error).message;
    throw new DataError(
      `${path}: is not the manifest of a store of features: ${found} Delete the directory and make the store anew.`,
      { cause },
    );
  }
}

/** @throws Error if the shards are not those of so many rows */
function checkShards(manifest: FeatureManifest): void {
  const { numRows, shardRows, shards, variants } = manifest;
  const numShards = Math.ceil(numRows / shardRows);
  if (shards.length !== numShards) {
    const expected = `${numRows} rows, ${shardRows} to a shard, are ${numShards} shards`;
    throw new Error(`${expected}; it lists ${shards.length}.`);
  }
  for (const [number, shard] of shards.entries()) {
    if (shard === null) continue;
    const { first, end } = shardRange(manifest, number);
    const expected = shard.headBytes + (end - first) * variants * recordBytes(manifest);
    if (shard.bytes !== expected) {
      throw new Error(
        `shard ${number} would have ${expected} bytes by its head and rows; it lists ${shard.bytes}.`,
      );
    }
  }
}

/** Writes a store's manifest, whole or not at all. */
export async function writeFeatureManifest(directory: string, manifest: FeatureManifest): Promise<void> {
  const { source, madeOf, dtype, shape, variants, numRows, shardRows, shards } = manifest;
  const head = { format: 'capstan-features', version: 1, source, madeOf, dtype, shape, variants, numRows };
  const lines = shards.map((shard) => `    ${JSON.stringify(shard)}`).join(',\n');
  const opened = JSON.stringify({ ...head, shardRows }, null, 2).slice(0, -2);
  // A line for each shard: there may be thousands.
  await replaceFile(join(directory, FEATURES_NAME), `${opened},\n  "shards": [\n${lines}\n  ]\n}\n`);
}
