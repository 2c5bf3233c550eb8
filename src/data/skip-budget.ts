/** How many broken samples a data set may hold. */

/** The share `maxSkipRatio` of the rows, rounded down to whole ones. */
export function skipBudget(maxSkipRatio: number, numRows: number): number {
  // As written in decimals: 0.29 * 100 is a little less than 29.
  return Math.floor(maxSkipRatio * numRows + 1e-6);
}
