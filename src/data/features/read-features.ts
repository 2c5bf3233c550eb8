/** All features of a store at once, with a column of its data set: what a probe learns from. */
import { ConfigError } from '../../errors.js';
import type { Value } from '../schema.js';
import type { Source } from '../sources/source.js';
import { featureSize } from './spec.js';
import { type FeatureStore, openFeatures } from './store.js';

export interface ReadFeaturesOptions {
  /** The data set that the store is of, opened as it was for the store. */
  readonly source: Source;
  /** Column to read beside the features: labels. */
  readonly column: string;
}

/** N rows that have features. */
export interface LabelledFeatures {
  /** N * the product of `shape`. */
  readonly features: Float32Array;
  /** Of a row. */
  readonly shape: readonly number[];
  readonly keys: readonly string[];
  /** Rows of the source. */
  readonly rows: readonly number[];
  /** Values of the column; empty if none was asked for. */
  readonly labels: readonly Value[];
}

/**
 * Reads a store into memory, the first variant of each row. Rows without features are left out.
 *
 * @throws ConfigError if the store is of other data than the source, or there is no such column; as `openFeatures`
 */
export async function readFeatures(path: string, labels?: ReadFeaturesOptions): Promise<LabelledFeatures> {
  const store = await openFeatures(path);
  try {
    if (labels !== undefined) requireSameData(store, labels.source);
    const column = labels === undefined ? undefined : await labels.source.readColumn(labels.column);
    const size = featureSize(store);
    const features = new Float32Array((store.numRows - store.numBroken - store.numNoCaption) * size);
    const [keys, rows]: [string[], number[]] = [[], []];
    for await (const { first, keys: own, values, missing } of store.batches()) {
      for (const [i, key] of own.entries()) {
        if (missing.has(first + i)) continue;
        features.set(values.subarray(i * size, (i + 1) * size), rows.length * size);
        keys.push(key);
        rows.push(first + i);
      }
    }
    const values = column === undefined ? [] : rows.map((row) => column[row] as Value);
    return { features, shape: store.shape, keys, rows, labels: values };
  } finally {
    await store.close();
  }
}

/** @throws ConfigError unless the store's features are of the source's rows */
export function requireSameData(store: FeatureStore, source: Source): void {
  if (store.source === source.fingerprint && store.numRows === source.numRows) return;
  throw new ConfigError(
    `${store.path} holds features of ${store.numRows} rows of data ${store.source.slice(0, 12)}…, but ${source.path} ` +
      `has ${source.numRows} rows and is ${source.fingerprint.slice(0, 12)}…. Open the data as it was when the store was ` +
      'made (split, format, schema, columns), or embed this data.',
  );
}
