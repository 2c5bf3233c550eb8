/** The formats that a conversion writes: how each begins a shard, what it cannot hold, how the result is read. */
import { join } from 'node:path';
import { ConfigError } from '../../errors.js';
import type { Reading } from '../datasets/manifest.js';
import type { Column, Row } from '../schema.js';
import { isTarget, type Target } from '../schemas/column-map.js';
import type { ParquetCompression } from '../sources/parquet-encoder.js';
import { KEY_COLUMN } from '../sources/webdataset.js';
import { openArrowWriter, openParquetWriter, type ShardWriter } from '../sources/writers.js';
import type { JournalHead } from './journal.js';
import { openTarShard, openTextShard, textColumnOf } from './record-shards.js';
import type { TargetShard } from './target.js';

/** The formats to convert to. */
export const targetFormats = ['arrow', 'parquet', 'webdataset', 'jsonl', 'csv'] as const;

/** A format to convert to. */
export type TargetFormat = (typeof targetFormats)[number];

/** The endings of their shards' names. */
export const endings: Readonly<Record<TargetFormat, string>> = {
  arrow: 'arrow',
  parquet: 'parquet',
  webdataset: 'tar',
  jsonl: 'jsonl',
  csv: 'csv',
};

/** Rows of a record batch or row group. */
const GROUP_ROWS = 1024;

/** Begins the shard NAME of a directory. */
export async function openTargetShard(
  directory: string,
  name: string,
  to: TargetFormat,
  { columns, binaries }: JournalHead,
  compression: ParquetCompression,
): Promise<TargetShard> {
  const path = join(directory, `${name}.${endings[to]}`);
  const names = columns.map((column) => column.name);
  const hasKeys = names.includes('key') || names.includes(KEY_COLUMN);
  switch (to) {
    case 'arrow':
      return new ColumnarShard(await openArrowWriter(path, columns as readonly Column[], GROUP_ROWS));
    case 'parquet':
      return new ColumnarShard(
        await openParquetWriter(path, columns as readonly Column[], GROUP_ROWS, compression),
      );
    case 'webdataset':
      return openTarShard(path, { columns: names, hasKeys, textColumn: textColumnOf(names), binaries });
    default:
      return openTextShard(path, name, { columns: names, hasKeys, directory, format: to });
  }
}

class ColumnarShard implements TargetShard {
  constructor(private readonly writer: ShardWriter) {}

  add(row: Row): Promise<void> {
    return this.writer.write([row]);
  }

  close(): Promise<void> {
    return this.writer.close();
  }

  abort(): Promise<void> {
    return this.writer.abort();
  }
}

/** What members of a tar mean something else by. */
const MEMBER_NAMES = /^(?:json|jsn|txt|text|transcript|cls2?|class|count|index|inx|id|__key__)$/;
/** The members that are images. */
const IMAGE_MEMBERS = ['jpg', 'jpeg', 'png', 'webp', 'gif', 'tif', 'tiff', 'avif'];

/** @throws ConfigError for a column that the format cannot hold */
export function checkColumns(to: TargetFormat, { columns, binaries }: JournalHead): void {
  if (to === 'arrow' || to === 'parquet') return;
  const advice = 'Leave it out with --columns-out, or convert to arrow or parquet.';
  for (const { name } of columns) {
    const isBytes = binaries.includes(name);
    if (to !== 'webdataset') {
      if (isBytes) throw new ConfigError(`Column '${name}' holds bytes, which ${to} cannot. ${advice}`);
    } else if (isBytes ? !isMemberName(name) : IMAGE_MEMBERS.includes(name)) {
      throw new ConfigError(
        `Column '${name}' cannot be in a tar besides the image: a member of this name means something else. ${advice}`,
      );
    }
  }
}

/** Whether bytes under this name are read back as bytes. */
function isMemberName(name: string): boolean {
  const kind = name.slice(name.lastIndexOf('.') + 1);
  return name === name.toLowerCase() && !/[/\0]/.test(name) && name !== '' && !MEMBER_NAMES.test(kind);
}

/**
 * How the result is read as what it was made of, where its columns do not say so by themselves.
 *
 * @param images whether any row has an image of its own
 */
export function readingOf(to: TargetFormat, { columns }: JournalHead, images: boolean): Reading | undefined {
  const names = columns.map(({ name }) => name);
  const has = (name: string): boolean => names.includes(name);
  if (to === 'arrow' || to === 'parquet') {
    return has('key') && has('image') ? { schema: 'capstan' } : undefined;
  }
  if (!images && (to === 'jsonl' || !has('key'))) return undefined;
  const own: Partial<Record<Target, string>> = Object.fromEntries(
    names.filter(isTarget).map((name) => [name, name]),
  );
  const others = { ...own };
  delete others.image;
  if (to !== 'webdataset') {
    return images ? { schema: 'custom', columns: own, images: '.' } : { schema: 'custom', columns: others };
  }
  // Said so that the member is known to be no further column.
  const text = textColumnOf(names);
  if (text !== undefined && isTarget(text)) others[text] = `${text}|txt`;
  const key = has('key') ? 'key' : KEY_COLUMN;
  const image = [...IMAGE_MEMBERS, ...(has('image') ? ['image'] : [])].join('|');
  return { schema: 'custom', columns: { ...others, key, ...(images ? { image } : {}) } };
}
