/** `dataset.json`: what a built data set holds and how it was made. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { DataError } from '../../errors.js';
import type { ColumnType } from '../schema.js';

/** Name of the manifest in a data set's directory. */
export const MANIFEST_NAME = 'dataset.json';

const shardSchema = z.object({
  name: z.string(),
  format: z.enum(['arrow', 'parquet']),
  split: z.enum(['train', 'val', 'test']),
  rows: z.int().nonnegative(),
  bytes: z.int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

const counts = z.record(z.string(), z.number());

const manifestSchema = z.object({
  name: z.string(),
  version: z.literal(1),
  seed: z.number(),
  imageSize: z.number(),
  rows: z.number(),
  columns: z.array(z.object({ name: z.string(), type: z.custom<ColumnType>() })),
  splits: counts,
  styles: z.record(
    z.string(),
    z.object({
      split: z.string(),
      images: z.number(),
      /** Concepts that the style has no drawing of. */
      missing: z.number(),
      package: z.string(),
      packageVersion: z.string(),
      author: z.string(),
      licence: z.string(),
      licenceUrl: z.string(),
    }),
  ),
  /** Rows by where their AltText comes from. */
  altKinds: counts,
  versions: z.record(z.string(), z.string()),
  shards: z.array(shardSchema),
});

/** One shard as the manifest lists it. */
export type ManifestShard = z.infer<typeof shardSchema>;

/** The manifest of a built data set. */
export type Manifest = z.infer<typeof manifestSchema>;

/**
 * Reads a data set's manifest; undefined if the directory has none.
 *
 * @throws DataError if the manifest is not one of this version.
 */
export async function readManifest(directory: string): Promise<Manifest | undefined> {
  const path = join(directory, MANIFEST_NAME);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch (cause) {
    const found = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause);
    throw new DataError(`${path}: is not a data set's manifest:\n${found}\nBuild the data set again.`, {
      cause,
    });
  }
}
