/** Intervals, chance levels and spreads: the numbers without which a score says little. */
import { ConfigError } from '../errors.js';
import { KeyedRandom } from '../rng.js';

/** A two-sided interval. */
export interface Interval {
  low: number;
  high: number;
}

/** The 97.5 % point of the normal distribution. */
const Z95 = 1.959963984540054;

/**
 * Wilson's 95 % score interval of a proportion: it stays inside [0, 1] and has width at 0 and 1,
 * where the textbook interval has none.
 *
 * @throws ConfigError unless 0 <= successes <= trials and trials >= 1.
 */
export function wilsonInterval(successes: number, trials: number): Interval {
  if (!(trials >= 1 && successes >= 0 && successes <= trials)) {
    throw new ConfigError(
      `An interval needs 0 <= successes <= trials and at least one trial, got ${successes} of ${trials}.`,
    );
  }
  const p = successes / trials;
  const z2 = Z95 * Z95;
  const centre = (p + z2 / (2 * trials)) / (1 + z2 / trials);
  const half = (Z95 / (1 + z2 / trials)) * Math.sqrt((p * (1 - p)) / trials + z2 / (4 * trials * trials));
  // The ends are exact at 0 and 1; rounding must not push them out.
  return {
    low: successes === 0 ? 0 : Math.max(0, centre - half),
    high: successes === trials ? 1 : Math.min(1, centre + half),
  };
}

/**
 * A 95 % percentile bootstrap interval of a mean over clustered values: whole clusters are drawn with
 * replacement, because the captions of one image are not independent.
 *
 * @param sums per cluster, the sum of its values.
 * @param counts per cluster, how many values it has.
 * @param seed keys the draws, so that the same values give the same interval.
 */
export function clusterBootstrap(
  sums: ArrayLike<number>,
  counts: ArrayLike<number>,
  seed: number,
  resamples = 1000,
): Interval {
  const random = new KeyedRandom(seed, 'bootstrap');
  const means = new Float64Array(resamples);
  for (let r = 0; r < resamples; r++) {
    let sum = 0;
    let count = 0;
    for (let i = 0; i < sums.length; i++) {
      const pick = random.int(sums.length);
      sum += sums[pick] as number;
      count += counts[pick] as number;
    }
    means[r] = sum / count;
  }
  means.sort();
  return { low: quantile(means, 0.025), high: quantile(means, 0.975) };
}

/** The q-quantile of ascending values, interpolated linearly between neighbours (NumPy's default). */
export function quantile(ascending: ArrayLike<number>, q: number): number {
  const at = q * (ascending.length - 1);
  const below = Math.floor(at);
  const low = ascending[below] as number;
  const high = ascending[Math.min(below + 1, ascending.length - 1)] as number;
  return low + (high - low) * (at - below);
}

/**
 * The chance that at least one of `positives` right answers is among the first k of `candidates` in
 * random order: 1 - C(n - p, k) / C(n, k).
 */
export function recallChance(candidates: number, positives: number, k: number): number {
  let allWrong = 1;
  for (let i = 0; i < Math.min(k, candidates); i++) {
    allWrong *= Math.max(0, candidates - positives - i) / (candidates - i);
  }
  return 1 - allWrong;
}

/** The arithmetic mean; NaN of nothing. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The sample standard deviation (divided by n - 1): a spread over seeds. Null below two values, which have none. */
export function sampleDeviation(values: readonly number[]): number | null {
  if (values.length < 2) return null;
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
}
