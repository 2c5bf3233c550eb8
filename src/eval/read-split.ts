/** A split of a data set, read for evaluation. */
import { type OpenOptions, openSource } from '../data/datasets/open.js';
import { checkHeader } from '../data/image/decode.js';
import { faultOfImage, type Row, rowFault, sampleKey } from '../data/schema.js';
import { requireImages } from '../data/schemas/schema-source.js';
import { ConfigError, DataError } from '../errors.js';
import { type EvalRow, EvalSplit, type SplitPolicy } from './index.js';

/** Column of the captions that retrieval uses: several sentences about each image. */
const CAPTIONS_COLUMN = 'captions';

export interface EvalSplitOptions extends OpenOptions, SplitPolicy {
  readonly split: string;
  /** Take this many images at most, evenly spread over the split. */
  readonly maxImages?: number;
}

/**
 * Reads a split into memory, its images still encoded.
 *
 * @throws ConfigError if there is no such data set, split or column; DataError if more rows than may be have no
 *   key or no image, or if two rows have the same key.
 */
export async function readEvalSplit(path: string, options: EvalSplitOptions): Promise<EvalSplit> {
  const { maxImages = Number.POSITIVE_INFINITY, ...opened } = options;
  const source = await openSource(path, opened);
  const name = `split '${options.split}' of ${path}`;
  try {
    requireImages(source);
    for (const column of ['key', 'image']) {
      if (source.columns.includes(column)) continue;
      throw new ConfigError(
        `There is no column '${column}' in ${name}, which evaluations need; it has ${source.columns.join(', ')}.`,
      );
    }
    const count = Math.min(source.numRows, maxImages);
    const indices = Array.from({ length: count }, (_, i) => Math.floor((i * source.numRows) / count));
    const rows = await source.readRows(indices, source.columns);
    refuseEqualKeys(rows, indices, name);
    return new EvalSplit(
      rows.map((row, at) => toEvalRow(row, indices[at] as number)),
      name,
      options,
      source.fingerprint,
    );
  } finally {
    await source.close();
  }
}

/** A key stands for one image: examples, pictures and messages name images by it. */
function refuseEqualKeys(rows: readonly Row[], indices: readonly number[], name: string): void {
  const firstWith = new Map<string, number>();
  const pairs: string[] = [];
  rows.forEach((row, at) => {
    const key = sampleKey(row);
    if (key === undefined) return;
    const first = firstWith.get(key);
    if (first === undefined) firstWith.set(key, at);
    else pairs.push(`rows ${indices[first]} and ${indices[at]} have '${key}'`);
  });
  if (pairs.length === 0) return;
  const more = pairs.length > 3 ? `, and ${pairs.length - 3} more` : '';
  throw new DataError(
    `Each row of ${name} must have a key of its own, but ${pairs.slice(0, 3).join(', ')}${more}. ` +
      "Make the values of the column 'key' different, or remove the rows that are there twice.",
  );
}

function toEvalRow(row: Row, index: number): EvalRow {
  const image = row.image instanceof Uint8Array ? row.image : new Uint8Array(0);
  const fault = faultOf(row, image);
  const captions = row[CAPTIONS_COLUMN];
  return {
    key: sampleKey(row) ?? `row ${index}`,
    image,
    ...(fault === undefined ? {} : { fault }),
    columns: Object.fromEntries(
      Object.entries(row).filter(
        (entry): entry is [string, string | null] => typeof entry[1] === 'string' || entry[1] === null,
      ),
    ),
    captions: Array.isArray(captions) ? captions.filter((text) => typeof text === 'string') : [],
  };
}

/** What can be told to be wrong without decoding. */
function faultOf(row: Row, image: Uint8Array): string | undefined {
  if (sampleKey(row) === undefined) return rowFault(row) ?? 'It has no key.';
  const fault = rowFault(row) ?? faultOfImage(row);
  if (fault !== undefined) return fault;
  try {
    checkHeader(image);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
