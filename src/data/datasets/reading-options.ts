import type { ShardFormat } from '../schema.js';
import type { ColumnMap } from '../schemas/column-map.js';
import type { OpenOptions } from './open.js';

/** How a configuration says that data is read. */
export interface ReadingConfig {
  readonly format: ShardFormat | 'auto';
  readonly schema: string;
  readonly columns?: ColumnMap | undefined;
  readonly images: string | null;
}

/** A configuration's way of reading data as `openSource` takes it. */
export function readingOptions({ format, schema, columns, images }: ReadingConfig): OpenOptions {
  return {
    ...(format === 'auto' ? {} : { format }),
    ...(schema === 'auto' ? {} : { schema }),
    ...(columns === undefined ? {} : { columns }),
    ...(images === null ? {} : { images }),
  };
}
