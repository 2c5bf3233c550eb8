/**
 * Keyed random numbers: every random choice is a pure function of its key, such as
 * `(seed, epoch, sampleKey, 'caption')`. No generator is shared, so the order in which workers ask,
 * or a resumed run, changes nothing.
 *
 * The hash is MurmurHash3 x86_128 (Austin Appleby, public domain), seed 0, over an unambiguous
 * encoding of the parts. It works in 32-bit integers because BigInt arithmetic is some fifty times
 * slower. The stream is xoshiro128** (Blackman and Vigna, "Scrambled linear pseudorandom number
 * generators", 2021), whose state is the 128-bit hash of the key.
 */
import { CapstanError } from './errors.js';

/** One component of a key. The number 1, the bigint 1n and the string '1' are three different parts. */
export type KeyPart = string | number | bigint;

const TAG_STRING = 1;
const TAG_NUMBER = 2;
const TAG_BIGINT = 3;

const encoder = new TextEncoder();
let bytes = new Uint8Array(256);
let view = new DataView(bytes.buffer);
// The last hash's four words; a module-level scratch spares an allocation per draw.
const words = new Uint32Array(4);

function reserve(length: number): void {
  if (bytes.length >= length) return;
  const grown = new Uint8Array(Math.max(length, bytes.length * 2));
  grown.set(bytes);
  bytes = grown;
  view = new DataView(bytes.buffer);
}

/** Writes tag, length and payload of each part, so that ('ab', 'c') and ('a', 'bc') differ. */
function encodeParts(parts: readonly KeyPart[]): number {
  let end = 0;
  for (const part of parts) {
    if (typeof part === 'number') {
      if (Number.isNaN(part)) throw new CapstanError('A random key holds NaN; every part must be a value.');
      reserve(end + 9);
      bytes[end] = TAG_NUMBER;
      view.setFloat64(end + 1, part === 0 ? 0 : part, true); // -0 and 0 are the same key
      end += 9;
    } else {
      const text = typeof part === 'string' ? part : part.toString();
      reserve(end + 5 + text.length * 3);
      const { written } = encoder.encodeInto(text, bytes.subarray(end + 5));
      bytes[end] = typeof part === 'string' ? TAG_STRING : TAG_BIGINT;
      view.setUint32(end + 1, written, true);
      end += 5 + written;
    }
  }
  return end;
}

const rotl = (x: number, r: number): number => (x << r) | (x >>> (32 - r));

function finalMix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

const C1 = 0x239b961b;
const C2 = 0xab0e9789 | 0;
const C3 = 0x38b34ae5;
const C4 = 0xa1e38b93 | 0;

/** MurmurHash3 x86_128 of `bytes[0, length)` with seed 0, into `words`. */
function murmur3(length: number): void {
  let h1 = 0;
  let h2 = 0;
  let h3 = 0;
  let h4 = 0;
  const numBlocks = length >>> 4;
  for (let block = 0; block < numBlocks; block++) {
    const at = block * 16;
    h1 ^= Math.imul(rotl(Math.imul(view.getInt32(at, true), C1), 15), C2);
    h1 = (Math.imul((rotl(h1, 19) + h2) | 0, 5) + 0x561ccd1b) | 0;
    h2 ^= Math.imul(rotl(Math.imul(view.getInt32(at + 4, true), C2), 16), C3);
    h2 = (Math.imul((rotl(h2, 17) + h3) | 0, 5) + 0x0bcaa747) | 0;
    h3 ^= Math.imul(rotl(Math.imul(view.getInt32(at + 8, true), C3), 17), C4);
    h3 = (Math.imul((rotl(h3, 15) + h4) | 0, 5) + 0x96cd1c35) | 0;
    h4 ^= Math.imul(rotl(Math.imul(view.getInt32(at + 12, true), C4), 18), C1);
    h4 = (Math.imul((rotl(h4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0;
  }
  const tail = numBlocks * 16;
  if (tail < length) {
    const tailWord = (from: number): number => {
      let k = 0;
      for (let i = Math.min(length, from + 4) - 1; i >= from; i--) k = (k << 8) | (bytes[i] as number);
      return k;
    };
    h4 ^= Math.imul(rotl(Math.imul(tailWord(tail + 12), C4), 18), C1);
    h3 ^= Math.imul(rotl(Math.imul(tailWord(tail + 8), C3), 17), C4);
    h2 ^= Math.imul(rotl(Math.imul(tailWord(tail + 4), C2), 16), C3);
    h1 ^= Math.imul(rotl(Math.imul(tailWord(tail), C1), 15), C2);
  }
  h1 ^= length;
  h2 ^= length;
  h3 ^= length;
  h4 ^= length;
  h1 = (h1 + h2 + h3 + h4) | 0;
  h2 = finalMix((h2 + h1) | 0);
  h3 = finalMix((h3 + h1) | 0);
  h4 = finalMix((h4 + h1) | 0);
  h1 = finalMix(h1);
  h1 = (h1 + h2 + h3 + h4) | 0;
  words[0] = h1;
  words[1] = h2 + h1;
  words[2] = h3 + h1;
  words[3] = h4 + h1;
}

function hashWords(parts: readonly KeyPart[]): void {
  murmur3(encodeParts(parts));
}

/**
 * A stable 64-bit hash of the parts, in [0, 2^64): the first eight bytes of MurmurHash3 x86_128.
 * Equal on every platform and release; not for adversarial input.
 *
 * @throws CapstanError if a part is NaN.
 */
export function hash64(...parts: KeyPart[]): bigint {
  hashWords(parts);
  return (BigInt(words[1] as number) << 32n) | BigInt(words[0] as number);
}

const unit = (high: number, low: number): number => ((high >>> 5) * 0x4000000 + (low >>> 6)) / 2 ** 53;

/** A uniform draw in [0, 1) with 53 random bits, a pure function of the parts. */
export function uniform(...parts: KeyPart[]): number {
  hashWords(parts);
  return unit(words[1] as number, words[0] as number);
}

/**
 * A stream of draws derived from a key, for choices that take several draws (a crop, a shuffle).
 * Two streams of the same key yield the same draws; streams of different keys are independent.
 */
export class KeyedRandom {
  readonly #s = new Uint32Array(4);
  #spareNormal: number | undefined;

  constructor(...parts: KeyPart[]) {
    hashWords(parts);
    this.#s.set(words);
    // xoshiro's one forbidden state.
    if (this.#s.every((word) => word === 0)) this.#s[0] = 1;
  }

  /** The next 32 bits as an integer in [0, 2^32). */
  uint32(): number {
    const s = this.#s;
    const s1 = s[1] as number;
    const result = Math.imul(rotl(Math.imul(s1, 5), 7), 9) >>> 0;
    const shifted = s1 << 9;
    s[2] = (s[2] as number) ^ (s[0] as number);
    s[3] = (s[3] as number) ^ s1;
    s[1] = s1 ^ (s[2] as number);
    s[0] = (s[0] as number) ^ (s[3] as number);
    s[2] = (s[2] as number) ^ shifted;
    s[3] = rotl(s[3] as number, 11);
    return result;
  }

  /** A uniform number in [0, 1), 53 bits. */
  uniform(): number {
    const high = this.uint32();
    return unit(high, this.uint32());
  }

  /**
   * A uniform integer in [0, n), without modulo bias (draws in the incomplete last range are redrawn).
   *
   * @throws CapstanError unless n is an integer in [1, 2^32].
   */
  int(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > 2 ** 32) {
      throw new CapstanError(`KeyedRandom.int needs an integer from 1 to 2^32, got ${n}.`);
    }
    const limit = 2 ** 32 - (2 ** 32 % n);
    let draw = this.uint32();
    while (draw >= limit) draw = this.uint32();
    return draw % n;
  }

  /** A standard normal number (Box and Muller; the pair's second value is kept for the next call). */
  normal(): number {
    const spare = this.#spareNormal;
    if (spare !== undefined) {
      this.#spareNormal = undefined;
      return spare;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform())); // 1 - u lies in (0, 1]
    const angle = 2 * Math.PI * this.uniform();
    this.#spareNormal = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** Shuffles the array in place (Fisher and Yates) and returns it. */
  shuffle<T>(array: T[]): T[] {
    for (let i = array.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      const held = array[i] as T;
      array[i] = array[j] as T;
      array[j] = held;
    }
    return array;
  }
}
