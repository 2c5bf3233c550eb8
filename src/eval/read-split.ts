/** A split of a data set, read for evaluation. */
import { type OpenOptions, openSource } from '../data/datasets/open.js';
import { type Row, rowFault, sampleKey } from '../data/schema.js';
import { requireImages } from '../data/schemas/schema-source.js';
import { DataError } from '../errors.js';
import { type EvalRow, EvalSplit } from './index.js';

/** Column of the captions that retrieval uses: several sentences about each image. */
const CAPTIONS_COLUMN = 'captions';

export interface EvalSplitOptions extends OpenOptions {
  readonly split: string;
  /** Take this many images at most, evenly spread over the split. */
  readonly maxImages?: number;
}

/**
 * Reads a split into memory, its images still encoded.
 *
 * @throws ConfigError if there is no such data set, split or column; DataError if a row has no image or key.
 */
export async function readEvalSplit(path: string, options: EvalSplitOptions): Promise<EvalSplit> {
  const { maxImages = Number.POSITIVE_INFINITY, ...opened } = options;
  const source = await openSource(path, opened);
  const name = `split '${options.split}' of ${path}`;
  try {
    requireImages(source);
    const count = Math.min(source.numRows, maxImages);
    const indices = Array.from({ length: count }, (_, i) => Math.floor((i * source.numRows) / count));
    const rows = await source.readRows(indices, source.columns);
    return new EvalSplit(
      rows.map((row, at) => toEvalRow(row, `Row ${indices[at]} of ${name}`)),
      name,
    );
  } finally {
    await source.close();
  }
}

function toEvalRow(row: Row, where: string): EvalRow {
  const { image } = row;
  const key = sampleKey(row);
  const fault = rowFault(row);
  if (fault !== undefined) throw new DataError(`${where} (${key ?? 'no key'}): ${fault}`);
  if (key === undefined) throw new DataError(`${where}: expected a 'key', found none.`);
  if (!(image instanceof Uint8Array)) {
    throw new DataError(
      `${where} (${key}): expected the bytes of an 'image', found ${image === null ? 'none' : typeof image}.`,
    );
  }
  const captions = row[CAPTIONS_COLUMN];
  return {
    key,
    image,
    columns: Object.fromEntries(
      Object.entries(row).filter(
        (entry): entry is [string, string | null] => typeof entry[1] === 'string' || entry[1] === null,
      ),
    ),
    captions: Array.isArray(captions) ? captions.filter((text) => typeof text === 'string') : [],
  };
}
