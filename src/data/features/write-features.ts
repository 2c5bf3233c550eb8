/** Writes features that are made elsewhere into a store. */
import { DataError, ShapeError } from '../../errors.js';
import { type FeatureSpec, featureSize } from './spec.js';
import { FeatureWriter } from './writer.js';

/** The features of a row, or why it has none. */
export type FeatureInput =
  | {
      readonly key: string;
      /** Variants * the product of the shape. */
      readonly values: Float32Array;
    }
  | { readonly key: string; readonly missing: string };

export interface WriteFeaturesOptions extends Omit<FeatureSpec, 'dtype' | 'variants'> {
  /** The store's directory. One that was not finished is gone on with. */
  readonly out: string;
  /** Default: `float32`. */
  readonly dtype?: FeatureSpec['dtype'];
  /** Default: 1. */
  readonly variants?: number;
  /** Rows of a shard. Default: as many as take 64 MiB, up to 4,096. */
  readonly shardRows?: number;
  /** The rows [first, end), in order: called for each shard that is not there. */
  readonly rows: (first: number, end: number) => AsyncIterable<FeatureInput> | Iterable<FeatureInput>;
}

/**
 * Writes a store, shard by shard, and goes on with one that was not finished.
 *
 * @throws ConfigError if the directory holds another store (the message names what differs); ShapeError for features of
 *   another size; DataError for fewer or more rows than asked for; NumericError for features that are not finite, or too
 *   large for the dtype; the file system's error
 */
export async function writeFeatures(options: WriteFeaturesOptions): Promise<void> {
  const { out, rows, shardRows, source, madeOf, shape, numRows, dtype = 'float32', variants = 1 } = options;
  const spec: FeatureSpec = { source, madeOf, shape, numRows, dtype, variants };
  const writer = await FeatureWriter.open(out, spec, shardRows === undefined ? {} : { shardRows });
  try {
    const size = variants * featureSize(spec);
    for (const shard of writer.missing) {
      const { first, end } = writer.range(shard);
      const keys: string[] = [];
      const values = new Float32Array((end - first) * size);
      const missing = new Map<number, { broken: boolean; reason: string }>();
      for await (const row of rows(first, end)) {
        const at = keys.length;
        if (at === end - first) throw wrongCount(first, end, 'more');
        if ('missing' in row) missing.set(at, { broken: true, reason: row.missing });
        else if (row.values.length === size) values.set(row.values, at * size);
        else {
          throw new ShapeError(
            `The features of ${row.key} are ${row.values.length} numbers; expected ${variants} of shape [${shape.join(', ')}].`,
          );
        }
        keys.push(row.key);
      }
      if (keys.length < end - first) throw wrongCount(first, end, String(keys.length));
      await writer.writeShard(shard, { keys, values, missing });
    }
  } finally {
    await writer.close();
  }
}

const wrongCount = (first: number, end: number, found: string): DataError =>
  new DataError(`Asked for the rows ${first} to ${end - 1}: expected ${end - first}, found ${found}.`);
