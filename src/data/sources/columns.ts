import { ConfigError } from '../../errors.js';
import { didYouMean } from '../nearest.js';

/**
 * Checks that the columns are there.
 *
 * @throws ConfigError naming the first that is not, the file, the nearest name and those present.
 */
export function requireColumns(
  wanted: readonly string[],
  present: readonly string[],
  file: string,
  why = '',
): void {
  for (const name of wanted) {
    if (present.includes(name)) continue;
    throw new ConfigError(
      `${file} has no column '${name}'${why}${didYouMean(name, present)} ` +
        `Columns present: ${present.length === 0 ? 'none' : present.join(', ')}.`.replace(/^\s+/, ''),
    );
  }
}
