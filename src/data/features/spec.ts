/** What a store of features holds and what they were made of: what tells it from every other. */
import { createHash } from 'node:crypto';
import { ConfigError } from '../../errors.js';
import { dtypeBytes, type FeatureDtype, featureDtypes } from './half.js';

/**
 * What features were made of, as names and values: the model's fingerprint and preset, the transform, the size, … Two
 * stores with one value that differs are different stores.
 */
export type MadeOf = Readonly<Record<string, string | number | boolean>>;

/** What a store is. */
export interface FeatureSpec {
  /** Fingerprint of the source whose rows the features are of, see `Source`. */
  readonly source: string;
  readonly madeOf: MadeOf;
  readonly dtype: FeatureDtype;
  /** Shape of the features of a sample: [embedDim] of an embedding, [C, H, W] of latents. */
  readonly shape: readonly number[];
  /** Features that each sample has, of as many crops for one; 1 if it has one. */
  readonly variants: number;
  /** Rows of the source. */
  readonly numRows: number;
}

/** Numbers in the features of a sample, of one variant. */
export function featureSize({ shape }: Pick<FeatureSpec, 'shape'>): number {
  return shape.reduce((product, side) => product * side, 1);
}

/** Bytes of the features of a sample on the disk, of one variant. */
export function recordBytes(spec: Pick<FeatureSpec, 'shape' | 'dtype'>): number {
  return featureSize(spec) * dtypeBytes[spec.dtype];
}

/** @throws ConfigError naming what is not valid */
export function checkSpec({ dtype, shape, variants, numRows }: FeatureSpec): void {
  if (!featureDtypes.includes(dtype)) {
    throw new ConfigError(`dtype must be one of ${featureDtypes.join(', ')}, found '${dtype}'.`);
  }
  const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 1;
  if (shape.length === 0 || !shape.every(isCount)) {
    throw new ConfigError(`shape must be one or more whole numbers from 1 on, found [${shape.join(', ')}].`);
  }
  if (!isCount(variants)) {
    throw new ConfigError(`variants must be a whole number of at least 1, found ${variants}.`);
  }
  if (!isCount(numRows)) throw new ConfigError(`There are ${numRows} rows to store features of.`);
}

/** All of a spec in a fixed order, by the names under which differences are told. */
function facts({ source, madeOf, dtype, shape, variants, numRows }: FeatureSpec): Map<string, unknown> {
  const names = Object.keys(madeOf).sort();
  return new Map<string, unknown>([
    ['data', source],
    ['rows', numRows],
    ['dtype', dtype],
    ['shape', shape],
    ['variants', variants],
    ...names.map((name): [string, unknown] => [`made of ${name}`, madeOf[name]]),
  ]);
}

/** SHA-256 (hex) of a spec: equal if and only if the specs are. */
export function specFingerprint(spec: FeatureSpec): string {
  return createHash('sha256')
    .update(JSON.stringify([...facts(spec)]))
    .digest('hex');
}

/** What differs between two specs, named, with both values; empty if they are equal. */
export function specDifferences(found: FeatureSpec, expected: FeatureSpec): string {
  const [before, now] = [facts(found), facts(expected)];
  return [...new Set([...before.keys(), ...now.keys()])]
    .map((name) => ({ name, from: JSON.stringify(before.get(name)), to: JSON.stringify(now.get(name)) }))
    .filter(({ from, to }) => from !== to)
    .map(({ name, from, to }) => `${name}: is ${from ?? 'absent'}, expected ${to ?? 'absent'}`)
    .join('; ');
}
