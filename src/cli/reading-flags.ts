/** The flags that say how a data set is read, of every command that takes one by its path. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { parse } from 'yaml';
import type { OpenOptions } from '../data/datasets/open.js';
import { type ShardFormat, shardFormats } from '../data/schema.js';
import { type ColumnMap, isTarget, targets } from '../data/schemas/column-map.js';
import { schemaNames } from '../data/schemas/registry.js';

/** What {@link addReadingFlags} adds. */
export interface ReadingFlags {
  readonly split?: string;
  readonly format?: ShardFormat;
  readonly schema?: string;
  readonly column?: ColumnMap;
  readonly images?: string;
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
    );
}

/** The flags as `openSource` takes them. */
export function openOptionsOf({ split, format, schema, column, images }: ReadingFlags): OpenOptions {
  return {
    ...(split === undefined ? {} : { split }),
    ...(format === undefined ? {} : { format }),
    ...(schema === undefined ? {} : { schema }),
    ...(column === undefined ? {} : { columns: column }),
    ...(images === undefined ? {} : { images }),
  };
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
