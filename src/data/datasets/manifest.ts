/** `dataset.json`: what a built data set holds and how it was made. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { DataError } from '../../errors.js';
import { type ColumnType, shardFormats } from '../schema.js';
import { type ColumnMap, targets } from '../schemas/column-map.js';

/** Name of the manifest in a data set's directory. */
export const MANIFEST_NAME = 'dataset.json';

/** A shard of any format. */
export const listedShardSchema = z.object({
  name: z.string(),
  format: z.enum(shardFormats),
  split: z.string().min(1),
  rows: z.int().nonnegative(),
  bytes: z.int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

/** How the shards' own columns are read, unless the reader is told otherwise. `images` is a directory beside the manifest. */
export const readingSchema = z.object({
  schema: z.string().optional(),
  columns: z.partialRecord(z.enum(targets), z.union([z.string(), z.array(z.string()), z.null()])).optional(),
  images: z.string().optional(),
});

/** What opening a data set needs of its manifest. */
const shardListSchema = z.object({
  version: z.literal(2),
  reading: readingSchema.optional(),
  shards: z.array(listedShardSchema),
});

const shardSchema = listedShardSchema.extend({
  format: z.enum(['arrow', 'parquet']),
  split: z.enum(['train', 'val', 'test']),
});

const counts = z.record(z.string(), z.number());

/** Art that pictures are drawn from: a package, its maker and its licence. */
const artSchema = z.object({
  /** The split, where all pictures of this art are in one. */
  split: z.string().optional(),
  images: z.number(),
  /** Things that the art has no drawing of. */
  missing: z.number().optional(),
  package: z.string(),
  packageVersion: z.string(),
  author: z.string(),
  licence: z.string(),
  licenceUrl: z.string(),
});

/** CLIP tokens of the captions of one kind, start and end of text not counted. */
const tokensSchema = z.object({
  least: z.number(),
  median: z.number(),
  most: z.number(),
  /** Share within the kind's usual range (`captionRanges`), where it has one. */
  withinRange: z.number().optional(),
});

const fileSchema = z.object({
  name: z.string(),
  rows: z.int().nonnegative(),
  bytes: z.int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

const manifestSchema = z.object({
  name: z.string(),
  version: z.literal(2),
  seed: z.number(),
  imageSize: z.number(),
  rows: z.number(),
  columns: z.array(z.object({ name: z.string(), type: z.custom<ColumnType>() })),
  splits: counts,
  /** By the art's name: a style, or a collection. */
  art: z.record(z.string(), artSchema),
  /** Rows by what they have: where their AltText comes from (`altKinds`), their class, … */
  counts: z.record(z.string(), counts),
  /** Options of the set's own that shaped its rows. */
  settings: z.record(z.string(), z.number()),
  /** By caption kind; absent if the tokenizer could not be had. */
  captionTokens: z.record(z.string(), tokensSchema).optional(),
  /** Inputs that were left out, and why. */
  skipped: z.array(z.object({ file: z.string(), reason: z.string() })),
  /** Further files: questions, prompts. One row is one line of JSON. */
  files: z.array(fileSchema),
  versions: z.record(z.string(), z.string()),
  shards: z.array(shardSchema),
});

/** Where pictures come from. */
export type Art = z.infer<typeof artSchema>;

/** Lengths of one caption kind. */
export type CaptionTokens = z.infer<typeof tokensSchema>;

/** A file of a data set that is not a shard. */
export type ManifestFile = z.infer<typeof fileSchema>;

/** One shard as the manifest lists it. */
export type ManifestShard = z.infer<typeof shardSchema>;

/** The manifest of a built data set. */
export type Manifest = z.infer<typeof manifestSchema>;

/** A shard as any manifest lists it. */
export type ListedShard = z.infer<typeof listedShardSchema>;

/** How a data set's own columns are read. */
export interface Reading {
  readonly schema?: string;
  readonly columns?: ColumnMap;
  readonly images?: string;
}

/** The part of a manifest that opening a data set needs. */
export interface ShardList {
  readonly reading?: Reading;
  readonly shards: readonly ListedShard[];
}

/**
 * Reads the manifest of a built-in data set; undefined if the directory has none.
 *
 * @throws DataError if the manifest is not one of this version.
 */
export function readManifest(directory: string): Promise<Manifest | undefined> {
  return readAs(directory, (path, text) => parseAs(manifestSchema, path, text));
}

/** Reads the shards of any data set that has a manifest. @throws as {@link readManifest} */
export function readShardList(directory: string): Promise<ShardList | undefined> {
  return readAs(directory, parseShardList);
}

/** @throws DataError if the text is not a manifest of this version. */
export function parseShardList(path: string, text: string): ShardList {
  return parseAs(shardListSchema, path, text) as ShardList;
}

async function readAs<T>(
  directory: string,
  parse: (path: string, text: string) => T,
): Promise<T | undefined> {
  const path = join(directory, MANIFEST_NAME);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
  return parse(path, text);
}

function parseAs<T>(schema: z.ZodType<T>, path: string, text: string): T {
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    const found = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause);
    throw new DataError(`${path}: is not a data set's manifest:\n${found}\nBuild the data set again.`, {
      cause,
    });
  }
}
