/**
 * The columns of a data set of images with several captions each, and the kinds of captions.
 */

/**
 * The kinds of caption of one image: `alt` is the AltText that came with it; `ssc` a short synthetic
 * caption (10 to 15 tokens), `dsc` a descriptive one (40 to 60), `dsc+` a dense one (more than 100);
 * `afc` a descriptive caption fused with the facts of the AltText.
 */
export type CaptionKind = 'alt' | 'ssc' | 'dsc' | 'dsc+' | 'afc';

/** Every caption kind, in the order of columns and reports. Each is also the column that holds it. */
export const captionKinds: readonly CaptionKind[] = ['alt', 'ssc', 'dsc', 'dsc+', 'afc'];

/** The splits of a data set. */
export type Split = 'train' | 'val' | 'test';

/** Every split, in the order in which data sets are written. */
export const splits: readonly Split[] = ['train', 'val', 'test'];

/** Who wrote the synthetic captions of a row: rules over metadata, a model, or people. */
export type CaptionSource = 'rules' | 'model' | 'human';

/** A value of one cell as readers give it: lists are arrays, structs and maps objects. */
export type Value =
  | string
  | number
  | bigint
  | boolean
  | Uint8Array
  | null
  | Value[]
  | { readonly [name: string]: Value };

/** Under this key a row says why it cannot be used. A symbol, so that it is no column and spreading a row keeps it. */
export const FAULT: unique symbol = Symbol('capstan.fault');

/**
 * One row as readers give it: the columns that were asked for. A row that is damaged in a shard that is otherwise
 * readable has the reason under {@link FAULT}, its key where that is known, and null in all other columns.
 */
export type Row = Record<string, Value> & { readonly [FAULT]?: string };

/** Why the row cannot be used; undefined if it can. */
export function rowFault(row: Row): string | undefined {
  return row[FAULT];
}

/** The key of a row as text; undefined if it has none. Whole numbers serve as well as text. */
export function sampleKey({ key }: Row): string | undefined {
  if (typeof key === 'number' || typeof key === 'bigint') return String(key);
  return typeof key === 'string' && key !== '' ? key : undefined;
}

/**
 * The formats of shards, in the order in which one is chosen of a directory that holds several: Arrow is the quickest to
 * read; img2dataset puts a Parquet file without the pictures beside each tar; JSON often only describes the rest.
 */
export const shardFormats = ['arrow', 'webdataset', 'parquet', 'jsonl', 'csv', 'json'] as const;

/** The format of a shard. */
export type ShardFormat = (typeof shardFormats)[number];

/** Why what a row has in the column `image` cannot be one; undefined if it may. */
export function faultOfImage({ image }: Row): string | undefined {
  if (image instanceof Uint8Array) return image.length === 0 ? 'It has no image.' : undefined;
  if (image === null || image === undefined) return 'It has no image.';
  const type = Array.isArray(image) ? 'list' : typeof image;
  const found = JSON.stringify(typeof image === 'bigint' ? String(image) : image).slice(0, 80);
  return `Its image is of type ${type} (${found}); expected bytes: the content of an image file, or its path with data.images (--images).`;
}

/**
 * The type of a column that capstan writes. An `image` is bytes, or text that says where they are; it is stored as the struct
 * of both that Hugging Face's `datasets` knows as an image. `list<string>` is short for `{ list: 'string' }`.
 */
export type ColumnType =
  | 'string'
  | 'binary'
  | 'image'
  | 'int64'
  | 'float64'
  | 'bool'
  | 'list<string>'
  | { readonly list: ColumnType }
  | { readonly struct: readonly Column[] };

/** A column that capstan writes. Any value may be null. */
export interface Column {
  readonly name: string;
  readonly type: ColumnType;
}
