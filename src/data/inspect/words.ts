/** Words of captions, and hashes of them. */
import { textHash } from '../distinct.js';

const WORD = /[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}]|['’\-.](?=[\p{L}\p{N}]))*/gu;

/** The words of a text in lower case: runs of letters and digits, with apostrophes, hyphens and dots inside. */
export function wordsOf(text: string): string[] {
  return text.normalize('NFKC').toLowerCase().match(WORD) ?? [];
}

/** A caption by which two count as equal: compatibility forms, case, and white space do not matter. */
export function normalisedCaption(text: string): string {
  return text.normalize('NFKC').toLowerCase().replace(/\s+/g, ' ').trim();
}

/** A 53-bit hash of a caption as {@link normalisedCaption} has it. */
export const captionHash = (text: string): number => textHash(normalisedCaption(text));

/** A 53-bit hash of a pair of neighbouring words, by their hashes. */
export function pairHash(a: number, b: number): number {
  const low = Math.imul((a >>> 0) ^ 0x9e3779b9, 0x85ebca6b) ^ (b >>> 0);
  const high = Math.imul(Math.floor(a / 2 ** 32) + 1, 0xc2b2ae35) ^ Math.floor(b / 2 ** 32);
  return ((high ^ low) & 0x1fffff) * 2 ** 32 + ((low ^ (low >>> 15)) >>> 0);
}
