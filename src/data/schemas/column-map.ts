/** The columns that capstan knows, and maps of a data set's own columns onto them. */
import { captionKinds } from '../schema.js';

/**
 * Columns that capstan gives a meaning: `key` tells rows apart; `image` is the bytes of an image file or its path;
 * `url` is where the image came from; then the caption kinds; `captions` are sentences for retrieval; `label` is a
 * class; `split` is the split of the row.
 */
export const targets = ['key', 'image', 'url', ...captionKinds, 'captions', 'label', 'split'] as const;

/** A column that capstan gives a meaning. */
export type Target = (typeof targets)[number];

/**
 * Where each of capstan's columns comes from. A text names a column or, in the syntax of {@link parsePath}, a value
 * inside one; of a list the values are put together; null takes away what a named schema maps.
 */
export type ColumnMap = Readonly<Partial<Record<Target, string | readonly string[] | null>>>;

/** Whether capstan gives a column of this name a meaning. */
export const isTarget = (name: string): name is Target => (targets as readonly string[]).includes(name);
