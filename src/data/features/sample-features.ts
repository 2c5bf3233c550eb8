/** Features of a store in the place of a loader's images. */
import { ConfigError, DataError, ShapeError } from '../../errors.js';
import { KeyedRandom } from '../../rng.js';
import type { SampleFeatures } from '../sample-stream.js';
import type { Source } from '../sources/source.js';
import { requireSameData } from './read-features.js';
import { featureSize } from './spec.js';
import type { FeatureStore } from './store.js';

/**
 * Joins stores onto the sources of a loader. Of a store with several variants, one is drawn by (seed, epoch, key).
 *
 * @returns of each source; empty without stores
 * @throws ConfigError unless there is a store of each source's own data; ShapeError if they are of different shapes
 */
export function featuresOfSources(
  stores: readonly FeatureStore[],
  sources: readonly Source[],
  seed: number,
): SampleFeatures[] {
  if (stores.length === 0) return [];
  if (stores.length !== sources.length) {
    throw new ConfigError(
      `There are ${sources.length} sources and ${stores.length} stores of features; give one of each source, in their order.`,
    );
  }
  const [{ path, shape }] = stores as [FeatureStore];
  for (const [i, store] of stores.entries()) {
    requireSameData(store, sources[i] as Source);
    if (store.shape.join() === shape.join()) continue;
    throw new ShapeError(
      `Features of a batch have one shape, but those of ${path} are [${shape.join(', ')}] and those of ${store.path} ` +
        `[${store.shape.join(', ')}].`,
    );
  }
  return stores.map((store) => featuresOf(store, seed));
}

function featuresOf(store: FeatureStore, seed: number): SampleFeatures {
  const { path, variants } = store;
  const size = featureSize(store);
  return async (samples) => {
    const known = await store.look(samples.map(({ row }) => row));
    for (const [i, { row, key }] of samples.entries()) {
      const stored = known[i]?.key;
      if (stored === key) continue;
      throw new DataError(
        `${path}: row ${row} is of key '${stored}', but the data set has '${key}' there: the store is of other data. ` +
          'Embed this data.',
      );
    }
    const usable = samples.filter((_, i) => known[i]?.missing === undefined);
    const values = await store.read(
      usable.map(({ row }) => row),
      usable.map(({ epoch, key }) =>
        variants === 1 ? 0 : new KeyedRandom(seed, 'variant', epoch, key).int(variants),
      ),
    );
    let at = 0;
    return known.map(({ missing }) => {
      if (missing === undefined) return { features: values.subarray(at * size, ++at * size) };
      return missing.broken ? { fault: missing.reason } : { present: 0 };
    });
  };
}
