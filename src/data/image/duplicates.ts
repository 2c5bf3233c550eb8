/**
 * Near-duplicates among drawings: those whose small pictures hardly differ. A 64-bit difference hash of each finds
 * the candidates, a comparison of the small pictures decides.
 */

/** A drawing as it is compared: {@link fingerprintOf} of its thumbnail, and the thumbnail. */
export interface Fingerprint {
  /** 64 bits as two unsigned numbers. */
  readonly hash: readonly [high: number, low: number];
  /** RGB of 32 by 32 pixels, the drawing on middle grey. */
  readonly thumb: Uint8Array;
  /** Sum of the squared distances of the thumbnail's values from middle grey. */
  readonly energy: number;
}

/** Bits in which the hashes of near-duplicates may differ. */
const MAX_BITS = 6;
/** Share of what is drawn by which the small pictures may differ: root mean squares, from each other over from the grey. */
const MAX_DIFFERENCE = 0.1;

/**
 * The difference hash of a square RGB thumbnail: 9 by 8 means of its grey, and for each whether its right
 * neighbour is brighter.
 */
export function fingerprintOf(thumb: Uint8Array, side: number): Fingerprint {
  const means = (row: number, column: number): number => {
    const [top, bottom] = [Math.floor((row * side) / 8), Math.floor(((row + 1) * side) / 8)];
    const [left, right] = [Math.floor((column * side) / 9), Math.floor(((column + 1) * side) / 9)];
    let sum = 0;
    for (let y = top; y < bottom; y++) {
      for (let at = 3 * (y * side + left); at < 3 * (y * side + right); at += 3) {
        sum +=
          299 * (thumb[at] as number) + 587 * (thumb[at + 1] as number) + 114 * (thumb[at + 2] as number);
      }
    }
    return sum / ((bottom - top) * (right - left));
  };
  const words: [number, number] = [0, 0];
  for (let bit = 0; bit < 64; bit++) {
    const [row, column] = [bit >> 3, bit & 7];
    // Half a level of difference is noise, as in an even ground.
    const brighter = means(row, column + 1) > means(row, column) + 500 ? 1 : 0;
    const word = bit < 32 ? 0 : 1;
    words[word] = ((words[word] << 1) | brighter) >>> 0;
  }
  return { hash: words, thumb, energy: thumb.reduce((sum, value) => sum + (value - 128) ** 2, 0) };
}

/** The hash in hexadecimal. */
export const hashText = ({ hash: [high, low] }: Fingerprint): string =>
  high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');

/** For each drawing the index of the first one of its cluster: near-duplicates, and near-duplicates of these. */
export function clusterDuplicates(prints: readonly Fingerprint[]): number[] {
  const leader = prints.map((_, index) => index);
  const find = (index: number): number => {
    let at = index;
    while (leader[at] !== at) {
      leader[at] = leader[leader[at] as number] as number;
      at = leader[at] as number;
    }
    return at;
  };
  const high = Uint32Array.from(prints, ({ hash }) => hash[0]);
  const low = Uint32Array.from(prints, ({ hash }) => hash[1]);
  for (let b = 1; b < prints.length; b++) {
    for (let a = 0; a < b; a++) {
      const bits =
        bitCount(((high[a] as number) ^ (high[b] as number)) >>> 0) +
        bitCount(((low[a] as number) ^ (low[b] as number)) >>> 0);
      if (bits > MAX_BITS) continue;
      const [first, second] = [find(a), find(b)];
      if (first === second || !isAlike(prints[a] as Fingerprint, prints[b] as Fingerprint)) continue;
      leader[Math.max(first, second)] = Math.min(first, second);
    }
  }
  return leader.map((_, index) => find(index));
}

function bitCount(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return (((bits + (bits >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
}

/** Whether the small pictures differ by little, compared with how much of the grey each of them covers. */
function isAlike(a: Fingerprint, b: Fingerprint): boolean {
  const limit = MAX_DIFFERENCE ** 2 * Math.min(a.energy, b.energy);
  let sum = 0;
  for (let i = 0; i < a.thumb.length; i++) {
    sum += ((a.thumb[i] as number) - (b.thumb[i] as number)) ** 2;
    if (sum > limit) return false;
  }
  return true;
}
