/** Small stores of features. */
import { type WriteFeaturesOptions, writeFeatures } from '../../src/data/features/write-features.js';

/** Number `index` of the features of a row in a variant; exact in every dtype. */
export const featureOf = (row: number, index: number, variant = 0): number =>
  ((row * 31 + index * 7 + variant * 13) % 128) / 64 - 1;

/** Writes a store of `numRows` rows with the keys k0, k1, … and {@link featureOf} as features. */
export async function writeTestStore(
  out: string,
  change: Partial<WriteFeaturesOptions> & { readonly missing?: readonly number[] } = {},
): Promise<void> {
  const { missing = [], ...options } = change;
  const { shape = [6], variants = 1 } = options;
  const size = shape.reduce((product, side) => product * side, 1);
  await writeFeatures({
    out,
    source: 'data-1',
    madeOf: { model: 'abc', imageSize: 224 },
    shape,
    numRows: 20,
    shardRows: 8,
    rows: function* (first, end) {
      for (let row = first; row < end; row++) {
        if (missing.includes(row)) yield { key: `k${row}`, missing: 'It is broken.' };
        else {
          const values = Float32Array.from({ length: variants * size }, (_, i) =>
            featureOf(row, i % size, Math.floor(i / size)),
          );
          yield { key: `k${row}`, values };
        }
      }
    },
    ...options,
  });
}
