/** Median and spread of repeated measurements. */
import { median } from '../../src/statistics.js';

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** How many measurements. */
  readonly repeats: number;
}

/** Median and extremes of a measurement's repeats. */
export function spreadOf(values: readonly number[]): Spread {
  return {
    median: median(values),
    min: Math.min(...values),
    max: Math.max(...values),
    repeats: values.length,
  };
}
