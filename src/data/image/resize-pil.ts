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
import type { Pixels } from './pixels.js';
import { resample, Weights } from './resample.js';

// A sum of products of a byte and a weight has 8 + 22 bits, a sign, and one to spare for overshoot.
const PRECISION_BITS = 32 - 8 - 2;
const KERNEL_RADIUS = 2;

function bicubic(x: number): number {
  const a = -0.5;
  const t = Math.abs(x);
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  if (t < 2) return (((t - 5) * t + 8) * t - 4) * a;
  return 0;
}

/** Columns or rows of a box: the whole pixels that it is in, and where it begins and how far it goes among them. */
interface Extent {
  readonly first: number;
  readonly length: number;
  readonly start: number;
  readonly size: number;
}

function extentOf(start: number, size: number): Extent {
  const first = Math.floor(start);
  return { first, length: Math.ceil(start + size) - first, start: start - first, size };
}

function buildWeights(
  { length: inSize, start, size }: Extent,
  outSize: number,
  from: number,
  count: number,
): Weights {
  const scale = size / outSize;
  const filterScale = Math.max(scale, 1);
  const support = KERNEL_RADIUS * filterScale;
  const maxTaps = Math.ceil(support) * 2 + 1;
  const weights = new Weights(count, maxTaps);
  const exact = new Float64Array(maxTaps);
  const inverse = 1 / filterScale;
  for (let i = 0; i < count; i++) {
    const center = start + (from + i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const length = Math.min(inSize, Math.trunc(center + support + 0.5)) - first;
    let sum = 0;
    for (let j = 0; j < length; j++) {
      const weight = bicubic((j + first - center + 0.5) * inverse);
      exact[j] = weight;
      sum += weight;
    }
    weights.place(i, first, length);
    for (let j = 0; j < length; j++) {
      const weight = ((exact[j] as number) / (sum === 0 ? 1 : sum)) * (1 << PRECISION_BITS);
      weights.set(i, j, Math.trunc(weight + (weight < 0 ? -0.5 : 0.5)));
    }
  }
  return weights;
}

// Both sizes recur from image to image (most of all the evaluation's), and weights cost a tenth of a pass.
const cache = new Map<string, Weights>();
const MAX_CACHED = 256;

function weightsFor(extent: Extent, outSize: number, from: number, count: number): Weights {
  const key = `${extent.length},${extent.start},${extent.size},${outSize},${from},${count}`;
  let weights = cache.get(key);
  if (weights === undefined) {
    weights = buildWeights(extent, outSize, from, count);
    if (cache.size >= MAX_CACHED) cache.delete(cache.keys().next().value as string);
    cache.set(key, weights);
  }
  return weights;
}

/**
 * Pillow 13's choice, found by trying: vertical first where the height loses more than twice as many pixels
 * as the width. Rounding between the passes makes the order matter, by many levels at hard edges.
 */
function goesVerticalFirst(box: Box, width: number, height: number): boolean {
  return height < box.height && box.height - height > 2 * (box.width - width);
}

/** The pixels of a box, unscaled. */
export function copyBox(source: Pixels, box: Box, out: Uint8Array): void {
  const rowBytes = box.width * source.channels;
  for (let y = 0; y < box.height; y++) {
    const from = ((box.top + y) * source.width + box.left) * source.channels;
    out.set(source.data.subarray(from, from + rowBytes), y * rowBytes);
  }
}

/**
 * The `box` of the source, resized to `width` by `height`, of which only `window` is computed and written to `out`:
 * `window.height * window.width * channels` bytes. Pixels outside the box have no influence, as after
 * Pillow's `crop(box)`. The box may begin and end within pixels, which then count as a whole where it ends.
 */
export function resizeBicubic(
  source: Pixels,
  box: Box,
  width: number,
  height: number,
  window: Box,
  out: Uint8Array,
): void {
  const columns = extentOf(box.left, box.width);
  const rows = extentOf(box.top, box.height);
  if (isUnscaled(columns, width) && isUnscaled(rows, height)) {
    copyBox(source, { ...window, left: box.left + window.left, top: box.top + window.top }, out);
    return;
  }
  const passes = {
    horizontal: isUnscaled(columns, width)
      ? undefined
      : weightsFor(columns, width, window.left, window.width),
    vertical: isUnscaled(rows, height) ? undefined : weightsFor(rows, height, window.top, window.height),
    verticalFirst: goesVerticalFirst(box, width, height),
  };
  const covered = { left: columns.first, top: rows.first, width: columns.length, height: rows.length };
  resample(source, covered, window, passes, out);
}

const isUnscaled = ({ start, size }: Extent, outSize: number): boolean => start === 0 && size === outSize;

/** As {@link resizeBicubic}, by nearest neighbour: Pillow resizes palette and bilevel images so. */
export function resizeNearest(
  source: Pixels,
  box: Box,
  width: number,
  height: number,
  window: Box,
  out: Uint8Array,
): void {
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
  let at = 0;
  for (let y = window.top; y < window.top + window.height; y++) {
    const rowStart = (box.top + (rows[y] as number)) * source.width + box.left;
    for (let x = window.left; x < window.left + window.width; x++) {
      const from = (rowStart + (columns[x] as number)) * channels;
      for (let c = 0; c < channels; c++) out[at++] = source.data[from + c] as number;
    }
  }
}
