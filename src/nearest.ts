/** The name that a misspelt one was probably meant to be. */

/** The name with the fewest edits to `name`, upper and lower case alike, if at most half of its letters change (one, of a short one). */
export function nearest(name: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  let fewest = Math.max(1, name.length / 2);
  for (const other of names) {
    const edits = editDistance(name.toLowerCase(), other.toLowerCase());
    if (best === undefined ? edits > fewest : edits >= fewest) continue;
    fewest = edits;
    best = other;
  }
  return best;
}

/** "; did you mean 'x'?" for the nearest of the names; nothing if none is near. */
export function didYouMean(name: string, names: readonly string[]): string {
  const near = nearest(name, names);
  return near === undefined ? '' : `; did you mean '${near}'?`;
}

/** Least number of one-character insertions, deletions and replacements that make one word the other. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
