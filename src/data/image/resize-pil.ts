/**
 * Pillow 13's bicubic resize of 8-bit images, bit for bit (`src/libImaging/Resample.c`): antialiased, in two
 * passes with the image between them rounded to 8 bits, weights in fixed point. Pillow 12 and earlier
 * always pass horizontally first, and so differ on images that are tall or squeezed.
 *
 * For an output pixel x with centre c = (x + 1/2) s, where s is the ratio of input to output size, the
 * weights are k((i - c + 1/2) / max(s, 1)) over the input pixels i within 2 max(s, 1) of c, normalised to
 * sum 1, with Keys' kernel k at a = -1/2.
 */
import type { Box } from './crop.js';
import type { Pixels } from './decode.js';

// A sum of products of a byte and a weight has 8 + 22 bits, a sign, and one to spare for overshoot.
const PRECISION_BITS = 32 - 8 - 2;
const HALF = 1 << (PRECISION_BITS - 1);
const KERNEL_RADIUS = 2;

function bicubic(x: number): number {
  const a = -0.5;
  const t = Math.abs(x);
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  if (t < 2) return (((t - 5) * t + 8) * t - 4) * a;
  return 0;
}

/** Per output pixel, the first input pixel, how many, and their weights in fixed point. */
interface Weights {
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  readonly values: Int32Array;
  /** Weights are at `index * stride`. */
  readonly stride: number;
}

function buildWeights(inSize: number, outSize: number, from: number, count: number): Weights {
  const scale = inSize / outSize;
  const filterScale = Math.max(scale, 1);
  const support = KERNEL_RADIUS * filterScale;
  const stride = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(count);
  const counts = new Int32Array(count);
  const values = new Int32Array(count * stride);
  const exact = new Float64Array(stride);
  const inverse = 1 / filterScale;
  for (let i = 0; i < count; i++) {
    const center = (from + i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(center - support + 0.5));
    const length = Math.min(inSize, Math.trunc(center + support + 0.5)) - start;
    let sum = 0;
    for (let j = 0; j < length; j++) {
      const weight = bicubic((j + start - center + 0.5) * inverse);
      exact[j] = weight;
      sum += weight;
    }
    for (let j = 0; j < length; j++) {
      const weight = ((exact[j] as number) / (sum === 0 ? 1 : sum)) * (1 << PRECISION_BITS);
      values[i * stride + j] = Math.trunc(weight + (weight < 0 ? -0.5 : 0.5));
    }
    starts[i] = start;
    counts[i] = length;
  }
  return { starts, counts, values, stride };
}

// Both sizes recur from image to image (most of all the evaluation's), and weights cost a tenth of a pass.
const cache = new Map<string, Weights>();
const MAX_CACHED = 256;

function weightsFor(inSize: number, outSize: number, from: number, count: number): Weights {
  const key = `${inSize},${outSize},${from},${count}`;
  let weights = cache.get(key);
  if (weights === undefined) {
    weights = buildWeights(inSize, outSize, from, count);
    if (cache.size >= MAX_CACHED) cache.delete(cache.keys().next().value as string);
    cache.set(key, weights);
  }
  return weights;
}

function clip8(sum: number): number {
  return Math.max(0, Math.min(255, sum >> PRECISION_BITS));
}

/**
 * Resizes `numRows` rows from `top` on to `weights.starts.length` pixels each. The weights count input pixels
 * from `left`, which may be negative if those pixels are never used.
 */
function horizontalPass(
  source: Pixels,
  left: number,
  top: number,
  numRows: number,
  weights: Weights,
): Pixels {
  const { data, channels } = source;
  const { starts, counts, values, stride } = weights;
  const outWidth = starts.length;
  const out = new Uint8Array(outWidth * numRows * channels);
  let at = 0;
  for (let row = 0; row < numRows; row++) {
    const rowStart = ((top + row) * source.width + left) * channels;
    for (let x = 0; x < outWidth; x++) {
      let pixel = rowStart + (starts[x] as number) * channels;
      const first = x * stride;
      const end = first + (counts[x] as number);
      let s0 = HALF;
      let s1 = HALF;
      let s2 = HALF;
      if (channels === 3) {
        for (let k = first; k < end; k++) {
          const weight = values[k] as number;
          s0 = (s0 + Math.imul(data[pixel] as number, weight)) | 0;
          s1 = (s1 + Math.imul(data[pixel + 1] as number, weight)) | 0;
          s2 = (s2 + Math.imul(data[pixel + 2] as number, weight)) | 0;
          pixel += 3;
        }
      } else {
        let s3 = HALF;
        for (let k = first; k < end; k++) {
          const weight = values[k] as number;
          s0 = (s0 + Math.imul(data[pixel] as number, weight)) | 0;
          s1 = (s1 + Math.imul(data[pixel + 1] as number, weight)) | 0;
          s2 = (s2 + Math.imul(data[pixel + 2] as number, weight)) | 0;
          s3 = (s3 + Math.imul(data[pixel + 3] as number, weight)) | 0;
          pixel += 4;
        }
        out[at + 3] = clip8(s3);
      }
      out[at] = clip8(s0);
      out[at + 1] = clip8(s1);
      out[at + 2] = clip8(s2);
      at += channels;
    }
  }
  return { data: out, width: outWidth, height: numRows, channels };
}

/** As {@link horizontalPass}, of `numColumns` columns from `left` on; the weights count rows from `top`. */
function verticalPass(
  source: Pixels,
  left: number,
  top: number,
  numColumns: number,
  weights: Weights,
): Pixels {
  const { data, channels } = source;
  const { starts, counts, values, stride } = weights;
  const sourceRow = source.width * channels;
  const rowBytes = numColumns * channels;
  const out = new Uint8Array(starts.length * rowBytes);
  for (let y = 0; y < starts.length; y++) {
    const from = (top + (starts[y] as number)) * sourceRow + left * channels;
    const first = y * stride;
    const end = first + (counts[y] as number);
    for (let x = 0; x < rowBytes; x++) {
      let sum = HALF;
      let at = from + x;
      for (let k = first; k < end; k++) {
        sum = (sum + Math.imul(data[at] as number, values[k] as number)) | 0;
        at += sourceRow;
      }
      out[y * rowBytes + x] = clip8(sum);
    }
  }
  return { data: out, width: numColumns, height: starts.length, channels };
}

/** The input pixels that any of the weights use, from the first to before the end. */
function span({ starts, counts }: Weights): { first: number; length: number } {
  const first = starts[0] as number;
  const last = starts.length - 1;
  return { first, length: (starts[last] as number) + (counts[last] as number) - first };
}

/**
 * Pillow 13's choice, found by trying: vertical first where the height loses more than twice as many pixels
 * as the width. Rounding between the passes makes the order matter, by many levels at hard edges.
 */
function goesVerticalFirst(box: Box, width: number, height: number): boolean {
  return height < box.height && box.height - height > 2 * (box.width - width);
}

/** The pixels of a box, unscaled. */
export function copyBox(source: Pixels, box: Box): Uint8Array {
  const rowBytes = box.width * source.channels;
  const out = new Uint8Array(box.height * rowBytes);
  for (let y = 0; y < box.height; y++) {
    const from = ((box.top + y) * source.width + box.left) * source.channels;
    out.set(source.data.subarray(from, from + rowBytes), y * rowBytes);
  }
  return out;
}

/**
 * The `box` of the source, resized to `width` by `height`, of which only `window` is computed and returned:
 * `window.height * window.width * channels` bytes. Pixels outside the box have no influence, as after
 * Pillow's `crop(box)`.
 */
export function resizeBicubic(
  source: Pixels,
  box: Box,
  width: number,
  height: number,
  window: Box,
): Uint8Array {
  const horizontal = weightsFor(box.width, width, window.left, window.width);
  const vertical = weightsFor(box.height, height, window.top, window.height);
  const left = box.left + window.left;
  const top = box.top + window.top;
  if (height === box.height) {
    if (width === box.width) return copyBox(source, { ...window, left, top });
    return horizontalPass(source, box.left, top, window.height, horizontal).data;
  }
  if (width === box.width) return verticalPass(source, left, box.top, window.width, vertical).data;
  if (goesVerticalFirst(box, width, height)) {
    const columns = span(horizontal);
    const between = verticalPass(source, box.left + columns.first, box.top, columns.length, vertical);
    return horizontalPass(between, -columns.first, 0, window.height, horizontal).data;
  }
  const rows = span(vertical);
  const between = horizontalPass(source, box.left, box.top + rows.first, rows.length, horizontal);
  return verticalPass(between, 0, -rows.first, window.width, vertical).data;
}

/** As {@link resizeBicubic}, by nearest neighbour: Pillow resizes palette and bilevel images so. */
export function resizeNearest(
  source: Pixels,
  box: Box,
  width: number,
  height: number,
  window: Box,
): Uint8Array {
  const { channels } = source;
  // Pillow adds the step up from pixel to pixel; the sum's rounding decides ties, so it is added up here.
  const positions = (inSize: number, outSize: number): number[] => {
    const step = inSize / outSize;
    let position = step * 0.5;
    return Array.from({ length: outSize }, () => {
      const at = Math.min(inSize - 1, Math.trunc(position));
      position += step;
      return at;
    });
  };
  const columns = positions(box.width, width);
  const rows = positions(box.height, height);
  const out = new Uint8Array(window.width * window.height * channels);
  let at = 0;
  for (let y = window.top; y < window.top + window.height; y++) {
    const rowStart = (box.top + (rows[y] as number)) * source.width + box.left;
    for (let x = window.left; x < window.left + window.width; x++) {
      const from = (rowStart + (columns[x] as number)) * channels;
      for (let c = 0; c < channels; c++) out[at++] = source.data[from + c] as number;
    }
  }
  return out;
}
