/** Work done ahead, a few pieces at a time, and finished in order. */

/**
 * Starts on up to `limit` items at a time and finishes each in the items' order. If one fails nothing more begins, and
 * its error is thrown once those under way have ended.
 */
export async function forEachInOrder<T, R>(
  items: Iterable<T>,
  limit: number,
  start: (item: T) => Promise<R>,
  finish: (item: T, result: R) => void,
): Promise<void> {
  const underWay: { item: T; result: Promise<R> }[] = [];
  const finishFirst = async (): Promise<void> => {
    const { item, result } = underWay.shift() as { item: T; result: Promise<R> };
    finish(item, await result);
  };
  try {
    for (const item of items) {
      const result = start(item);
      result.catch(() => undefined); // it is thrown where it is finished
      underWay.push({ item, result });
      if (underWay.length >= limit) await finishFirst();
    }
    while (underWay.length > 0) await finishFirst();
  } finally {
    await Promise.allSettled(underWay.map(({ result }) => result));
  }
}

/** The items in runs of `size`. */
export function* runsOf<T>(items: readonly T[], size: number): Generator<T[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size);
}
