/** The flags that say how a data set is read, of every command that takes one by its path. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { parse } from 'yaml';
import type { OpenOptions } from '../data/datasets/open.js';
import { type ShardFormat, shardFormats } from '../data/schema.js';
import { type ColumnMap, isTarget, targets } from '../data/schemas/column-map.js';
import { schemaNames } from '../data/schemas/registry.js';
import type { StorageOptions } from '../data/storage/options.js';
import { wholeNumber } from './numbers.js';

/** What {@link addReadingFlags} adds. */
export interface ReadingFlags {
  readonly split?: string;
  readonly format?: ShardFormat;
  readonly schema?: string;
  readonly column?: ColumnMap;
  readonly images?: string;
  readonly cacheDir?: string;
  readonly cacheMib?: number;
  readonly s3Endpoint?: string;
  readonly s3Anonymous?: boolean;
}

/** Adds the flags that say how the data set of a command is read. */
export function addReadingFlags(command: Command): Command {
  return command
    .option('--split <name>', 'only the rows of this split (default: all)')
    .addOption(
      new Option('--format <format>', 'which shards, where several formats are there').choices(shardFormats),
    )
    .addOption(
      new Option(
        '--schema <name>',
        "layout of the data's own columns (default: told by their names)",
      ).choices(schemaNames),
    )
    .option(
      '--column <name=where>',
      `which column is one of ${targets.join(', ')}: a name, a path such as conversations[1].value, ` +
        'sha256(COLUMN), or a list such as [a, b] (repeatable)',
      collectColumn,
    )
    .option(
      '--images <where>',
      "directory or URL of the images that rows name by path, or 'images/{key}.jpg'",
    )
    .option('--cache-dir <dir>', 'folder of the blocks of remote files that are kept on disk')
    .option('--cache-mib <n>', 'most MiB that they take; 0 keeps none (default: 10240)', wholeNumber)
    .option('--s3-endpoint <url>', "server that speaks S3's protocol (default: as AWS's own variables say)")
    .option('--s3-anonymous', 'send no credentials to S3, for public buckets');
}

/** The flags as `openSource` takes them. What opens several data sets shares a storage by {@link withReading}. */
export function openOptionsOf(flags: ReadingFlags): OpenOptions {
  const { split, format, schema, column, images } = flags;
  const storage = storageOptionsOf(flags);
  return {
    ...(storage === undefined ? {} : { storage }),
    ...(split === undefined ? {} : { split }),
    ...(format === undefined ? {} : { format }),
    ...(schema === undefined ? {} : { schema }),
    ...(column === undefined ? {} : { columns: column }),
    ...(images === undefined ? {} : { images }),
  };
}

/**
 * Runs `work` with the flags as `openSource` takes them, by one storage, which is closed at the end; says what came
 * from servers.
 */
export async function withReading<T>(
  flags: ReadingFlags,
  work: (options: OpenOptions) => Promise<T>,
): Promise<T> {
  const { withStorage } = await import('./with-storage.js');
  return withStorage(storageOptionsOf(flags) ?? {}, (storage) => work({ ...openOptionsOf(flags), storage }));
}

/** Undefined if no flag is about it. */
function storageOptionsOf(flags: ReadingFlags): StorageOptions | undefined {
  const { cacheDir, cacheMib, s3Endpoint, s3Anonymous } = flags;
  const s3 = {
    ...(s3Endpoint === undefined ? {} : { endpoint: s3Endpoint }),
    ...(s3Anonymous === undefined ? {} : { anonymous: s3Anonymous }),
  };
  const options = {
    ...(cacheDir === undefined ? {} : { cacheDir }),
    ...(cacheMib === undefined ? {} : { cacheMiB: cacheMib }),
    ...(Object.keys(s3).length === 0 ? {} : { s3 }),
  };
  return Object.keys(options).length === 0 ? undefined : options;
}

function collectColumn(text: string, before: ColumnMap = {}): ColumnMap {
  const at = text.indexOf('=');
  const name = text.slice(0, at);
  const where = at < 0 ? undefined : parseWhere(text.slice(at + 1));
  if (where === undefined) {
    throw new InvalidArgumentError('Expected NAME=WHERE, as in alt=caption or image=null.');
  }
  if (!isTarget(name))
    throw new InvalidArgumentError(`Expected one of ${targets.join(', ')} before the '='.`);
  return { ...before, [name]: where };
}

/** A column, a list of columns, or null; undefined if it is none of these. */
function parseWhere(text: string): ColumnMap[keyof ColumnMap] {
  // As text: a path such as conversations[1].value is YAML's text, too, but for a list's brackets.
  if (text === 'null') return null;
  if (!text.startsWith('[')) return text === '' ? undefined : text;
  try {
    const list: unknown = parse(text);
    const isList = Array.isArray(list) && list.length > 0 && list.every((item) => typeof item === 'string');
    return isList ? list : undefined;
  } catch {
    return undefined;
  }
}
