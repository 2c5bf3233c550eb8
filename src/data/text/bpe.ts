/**
 * Byte-pair merging of one word. The pairs wait in a heap ordered by rank, then place, so that a long
 * word without spaces (a Chinese text, say) takes n log n steps and not n squared.
 */

/** A pair of ids as one number, the key of a {@link MergeLookup}. */
export const pairKey = (left: number, right: number): number => left * 65536 + right;

/**
 * From a pair of ids to the id of their merge. A merge's id must be larger than those of its parts, and
 * a smaller id is merged earlier; ids are below 65,536.
 */
export interface MergeLookup {
  get(key: number): number | undefined;
}

// Heap entries are the merged id and the place as one number, below 2^49.
const PLACES = 2 ** 32;

function heapPush(heap: number[], entry: number): void {
  let at = heap.push(entry) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if ((heap[parent] as number) <= entry) break;
    heap[at] = heap[parent] as number;
    at = parent;
  }
  heap[at] = entry;
}

function heapPop(heap: number[]): number {
  const top = heap[0] as number;
  const entry = heap.pop() as number;
  const size = heap.length;
  if (size === 0) return top;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= size) break;
    if (child + 1 < size && (heap[child + 1] as number) < (heap[child] as number)) child++;
    if ((heap[child] as number) >= entry) break;
    heap[at] = heap[child] as number;
    at = child;
  }
  heap[at] = entry;
  return top;
}

/** Merges `ids` (of the bytes of a word, in order) until no pair is in the table. */
export function mergePairs(ids: Uint16Array, merges: MergeLookup): Uint16Array {
  const length = ids.length;
  const current = Uint16Array.from(ids);
  // Neighbours of each place; -1 and `length` are the ends, and a place that was merged away has next -1.
  const next = Int32Array.from({ length }, (_, i) => i + 1);
  const previous = Int32Array.from({ length }, (_, i) => i - 1);
  const heap: number[] = [];
  const mergeAt = (place: number): number | undefined => {
    const right = next[place] as number;
    if (right < 0 || right >= length) return undefined;
    return merges.get(pairKey(current[place] as number, current[right] as number));
  };
  const offer = (place: number): void => {
    const merged = mergeAt(place);
    if (merged !== undefined) heapPush(heap, merged * PLACES + place);
  };
  for (let place = 0; place < length - 1; place++) offer(place);
  let count = length;
  while (heap.length > 0) {
    const entry = heapPop(heap);
    const merged = Math.floor(entry / PLACES);
    const place = entry % PLACES;
    if (mergeAt(place) !== merged) continue; // one of the two was merged elsewhere since
    const gone = next[place] as number;
    const after = next[gone] as number;
    current[place] = merged;
    next[place] = after;
    next[gone] = -1;
    if (after < length) previous[after] = place;
    count--;
    const before = previous[place] as number;
    if (before >= 0) offer(before);
    offer(place);
  }
  const result = new Uint16Array(count);
  for (let place = 0, at = 0; at < count; place = next[place] as number)
    result[at++] = current[place] as number;
  return result;
}
