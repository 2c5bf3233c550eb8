/**
 * The two passes of `src/data/image/resample.ts` (which says what they compute and lays out the memory), in
 * AssemblyScript for WebAssembly's 128-bit vectors.
 *
 * A weight w of 22 fraction bits is too long for a product of 16-bit lanes, so it comes as hi * 2^12 + lo with
 * 0 <= lo < 2^12. The two sums of products are exact, and so is their sum modulo 2^32, in which the result fits.
 *
 * Tables: per output pixel the first input pixel (i32), then per output pixel the number of weights (i32), then per
 * output pixel `numPairs` pairs of weights, each the two lo (i16) and the two hi (i16). Weights past the number are 0:
 * input is read there, and whatever it is does not count.
 */

const PRECISION_BITS: i32 = 22;
const HI_SHIFT: i32 = 12;
const PAIR_BYTES: usize = 8;

// @ts-expect-error: decorator
@inline
function half(): v128 {
  return i32x4.splat(1 << (PRECISION_BITS - 1));
}

/** hi and lo sums to values that only want clamping. */
// @ts-expect-error: decorator
@inline
function join(hi: v128, lo: v128): v128 {
  return i32x4.shr_s(i32x4.add(i32x4.shl(hi, HI_SHIFT), lo), PRECISION_BITS);
}

/** Channels of the first and second of four pixels, side by side as 16 bits; 128 gives 0. */
// @ts-expect-error: decorator
@inline
function firstPair(pixels: v128, channels: i32): v128 {
  return channels == 3
    ? i8x16.swizzle(pixels, i8x16(0, -128, 3, -128, 1, -128, 4, -128, 2, -128, 5, -128, -128, -128, -128, -128))
    : i8x16.swizzle(pixels, i8x16(0, -128, 4, -128, 1, -128, 5, -128, 2, -128, 6, -128, 3, -128, 7, -128));
}

/** Likewise of the third and fourth. */
// @ts-expect-error: decorator
@inline
function secondPair(pixels: v128, channels: i32): v128 {
  return channels == 3
    ? i8x16.swizzle(pixels, i8x16(6, -128, 9, -128, 7, -128, 10, -128, 8, -128, 11, -128, -128, -128, -128, -128))
    : i8x16.swizzle(pixels, i8x16(8, -128, 12, -128, 9, -128, 13, -128, 10, -128, 14, -128, 11, -128, 15, -128));
}

// Two rows at a time share the loads of the weights; a third would run out of registers.
// @ts-expect-error: decorator
@inline
function rowsOf(
  source: usize,
  sourceStride: usize,
  numRows: i32,
  out: usize,
  outStride: usize,
  outWidth: i32,
  table: usize,
  numPairs: i32,
  channels: i32,
): void {
  const counts = table + (<usize>outWidth << 2);
  const values = counts + (<usize>outWidth << 2);
  const tableStride = <usize>numPairs * PAIR_BYTES;
  for (let y = 0; y < numRows; y += 2) {
    const second = <usize>min(y + 1, numRows - 1);
    const row0 = source + <usize>y * sourceStride;
    const row1 = source + second * sourceStride;
    let out0 = out + <usize>y * outStride;
    let out1 = out + second * outStride;
    for (let x: usize = 0; x < <usize>outWidth; x++) {
      let at = <usize>load<i32>(table + (x << 2)) * <usize>channels;
      let weights = values + x * tableStride;
      const end = weights + (<usize>((load<i32>(counts + (x << 2)) + 3) >> 2) << 4);
      let lo0 = half();
      let lo1 = half();
      let hi0 = i32x4.splat(0);
      let hi1 = i32x4.splat(0);
      while (weights < end) {
        const w0 = v128.load32_splat(weights);
        const w1 = v128.load32_splat(weights, 4);
        const w2 = v128.load32_splat(weights, 8);
        const w3 = v128.load32_splat(weights, 12);
        const pixels0 = v128.load(row0 + at);
        const a0 = firstPair(pixels0, channels);
        const b0 = secondPair(pixels0, channels);
        lo0 = i32x4.add(lo0, i32x4.add(i32x4.dot_i16x8_s(a0, w0), i32x4.dot_i16x8_s(b0, w2)));
        hi0 = i32x4.add(hi0, i32x4.add(i32x4.dot_i16x8_s(a0, w1), i32x4.dot_i16x8_s(b0, w3)));
        const pixels1 = v128.load(row1 + at);
        const a1 = firstPair(pixels1, channels);
        const b1 = secondPair(pixels1, channels);
        lo1 = i32x4.add(lo1, i32x4.add(i32x4.dot_i16x8_s(a1, w0), i32x4.dot_i16x8_s(b1, w2)));
        hi1 = i32x4.add(hi1, i32x4.add(i32x4.dot_i16x8_s(a1, w1), i32x4.dot_i16x8_s(b1, w3)));
        weights += 16;
        at += <usize>(4 * channels);
      }
      const words = i16x8.narrow_i32x4_s(join(hi0, lo0), join(hi1, lo1));
      const bytes = i8x16.narrow_i16x8_u(words, words);
      // Of three channels the fourth byte is the next pixel's, which follows, or lies between the rows.
      v128.store_lane<i32>(out0, bytes, 0);
      v128.store_lane<i32>(out1, bytes, 1);
      out0 += <usize>channels;
      out1 += <usize>channels;
    }
  }
}

/** Resizes rows of RGB to `outWidth` pixels each; `outStride` is at least 3 * outWidth + 1. */
export function horizontal3(
  source: usize,
  sourceStride: usize,
  numRows: i32,
  out: usize,
  outStride: usize,
  outWidth: i32,
  table: usize,
  numPairs: i32,
): void {
  rowsOf(source, sourceStride, numRows, out, outStride, outWidth, table, numPairs, 3);
}

/** Likewise of four channels; `outStride` is at least 4 * outWidth. */
export function horizontal4(
  source: usize,
  sourceStride: usize,
  numRows: i32,
  out: usize,
  outStride: usize,
  outWidth: i32,
  table: usize,
  numPairs: i32,
): void {
  rowsOf(source, sourceStride, numRows, out, outStride, outWidth, table, numPairs, 4);
}

/**
 * Resizes columns of bytes to `outHeight` each. It computes 16 columns at a time: `outStride` is at least `rowBytes`
 * rounded up to 16.
 */
export function vertical(
  source: usize,
  sourceStride: usize,
  rowBytes: usize,
  out: usize,
  outStride: usize,
  outHeight: i32,
  table: usize,
  numPairs: i32,
): void {
  const counts = table + (<usize>outHeight << 2);
  const values = counts + (<usize>outHeight << 2);
  const tableStride = <usize>numPairs * PAIR_BYTES;
  for (let y: usize = 0; y < <usize>outHeight; y++) {
    const from = source + <usize>load<i32>(table + (y << 2)) * sourceStride;
    const first = values + y * tableStride;
    const end = first + (<usize>((load<i32>(counts + (y << 2)) + 1) >> 1) << 3);
    const outRow = out + y * outStride;
    for (let x: usize = 0; x < rowBytes; x += 16) {
      let row = from + x;
      let lo0 = half();
      let lo1 = half();
      let lo2 = half();
      let lo3 = half();
      let hi0 = i32x4.splat(0);
      let hi1 = i32x4.splat(0);
      let hi2 = i32x4.splat(0);
      let hi3 = i32x4.splat(0);
      for (let weights = first; weights < end; weights += PAIR_BYTES) {
        const wLo = v128.load32_splat(weights);
        const wHi = v128.load32_splat(weights, 4);
        const upper = v128.load(row);
        const lower = v128.load(row + sourceStride);
        const left = i8x16.shuffle(upper, lower, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        const right = i8x16.shuffle(upper, lower, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        const c0 = i16x8.extend_low_i8x16_u(left);
        const c1 = i16x8.extend_high_i8x16_u(left);
        const c2 = i16x8.extend_low_i8x16_u(right);
        const c3 = i16x8.extend_high_i8x16_u(right);
        lo0 = i32x4.add(lo0, i32x4.dot_i16x8_s(c0, wLo));
        hi0 = i32x4.add(hi0, i32x4.dot_i16x8_s(c0, wHi));
        lo1 = i32x4.add(lo1, i32x4.dot_i16x8_s(c1, wLo));
        hi1 = i32x4.add(hi1, i32x4.dot_i16x8_s(c1, wHi));
        lo2 = i32x4.add(lo2, i32x4.dot_i16x8_s(c2, wLo));
        hi2 = i32x4.add(hi2, i32x4.dot_i16x8_s(c2, wHi));
        lo3 = i32x4.add(lo3, i32x4.dot_i16x8_s(c3, wLo));
        hi3 = i32x4.add(hi3, i32x4.dot_i16x8_s(c3, wHi));
        row += sourceStride << 1;
      }
      const words0 = i16x8.narrow_i32x4_s(join(hi0, lo0), join(hi1, lo1));
      const words1 = i16x8.narrow_i32x4_s(join(hi2, lo2), join(hi3, lo3));
      v128.store(outRow + x, i8x16.narrow_i16x8_u(words0, words1));
    }
  }
}
