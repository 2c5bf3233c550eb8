/** Opens a file of rows by its format. */
import { extname } from 'node:path';
import { ConfigError } from '../../errors.js';
import { openArrow } from './arrow.js';
import { openParquet } from './parquet.js';
import type { Source } from './source.js';

export { createArrowWriter } from './arrow-writer.js';
export { createParquetWriter } from './parquet-writer.js';
export type { Block, RowWriter, Source } from './source.js';

/** File formats, by the ending of the file's name. */
export const FORMATS = ['arrow', 'parquet'] as const;

/** One of {@link FORMATS}. */
export type Format = (typeof FORMATS)[number];

/** The format that a file's name says it has, if any. */
export function formatOf(file: string): Format | undefined {
  const ending = extname(file).slice(1).toLowerCase();
  if (ending === 'feather') return 'arrow'; // version 2 of Feather is the Arrow IPC file
  return FORMATS.find((format) => format === ending);
}

/**
 * Opens a file of rows.
 *
 * @throws ConfigError if the name's ending is of no known format; DataError if the file is missing or damaged.
 */
export async function openSource(file: string): Promise<Source> {
  const format = formatOf(file);
  if (format === 'arrow') return openArrow(file);
  if (format === 'parquet') return openParquet(file);
  throw new ConfigError(`${file}: expected a name that ends in .arrow, .feather or .parquet.`);
}
