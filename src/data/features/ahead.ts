/**
 * The results of jobs in their order, of which up to `limit` are under way before they are asked for. Jobs are begun in
 * order, none after one has failed or the results are no longer asked for.
 */
export async function* ahead<T>(jobs: Iterable<() => Promise<T>>, limit: number): AsyncGenerator<T, void> {
  const waiting = jobs[Symbol.iterator]();
  const underWay: Promise<T>[] = [];
  const begin = (): void => {
    const next = waiting.next();
    if (next.done) return;
    const result = next.value();
    result.catch(() => undefined); // it is thrown where the result is asked for
    underWay.push(result);
  };
  try {
    while (underWay.length < limit) {
      const before = underWay.length;
      begin();
      if (underWay.length === before) break;
    }
    for (let result = underWay.shift(); result !== undefined; result = underWay.shift()) {
      const value = await result;
      begin();
      yield value;
    }
  } finally {
    // Sources and threads may be closed once no job uses them.
    await Promise.allSettled(underWay);
  }
}
