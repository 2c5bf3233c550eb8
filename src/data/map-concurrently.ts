/**
 * Maps with at most `limit` calls under way, keeping the order. If some fail, nothing new begins, those under way are
 * waited for, and the error of the first of them in the items' order is thrown.
 */
export async function mapConcurrently<T, R>(
  items: readonly T[],
  limit: number,
  map: (item: T) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length);
  const errors = new Map<number, unknown>();
  let next = 0;
  const run = async (): Promise<void> => {
    while (next < items.length && errors.size === 0) {
      const i = next++;
      await map(items[i] as T).then(
        (result) => {
          results[i] = result;
        },
        (error: unknown) => errors.set(i, error),
      );
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, run));
  if (errors.size > 0) throw errors.get(Math.min(...errors.keys()));
  return results;
}
