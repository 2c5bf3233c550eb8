/** The name that a misspelt one was probably meant to be. */

/** Least number of one-character insertions, deletions and replacements that make one word the other. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const replaced = (row[j] as number) + (letter === b[j] ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] as number) + 1, (next[j] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}

/** "; did you mean 'x'?" for the nearest of the names, or nothing if more than half of the letters differ. */
export function didYouMean(name: string, names: readonly string[]): string {
  const distance = (known: string): number => editDistance(name.toLowerCase(), known.toLowerCase());
  const [nearest] = [...names].sort((a, b) => distance(a) - distance(b));
  if (nearest === undefined || distance(nearest) > Math.max(1, name.length / 2)) return '';
  return `; did you mean '${nearest}'?`;
}
