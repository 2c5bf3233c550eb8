/** What one sees of a drawing: measured on its pixels, for captions and for finding duplicates. */
import { namedColours } from '../colours.js';

/** Side of the thumbnail, in pixels. */
export const THUMB_SIDE = 32;

/** Opacity, of 255, from which a pixel counts: thin lines are nowhere fully opaque. */
const LEAST_ALPHA = 48;

/** What a drawing looks like. */
export interface Look {
  /** The colours by name, the one that covers most first. */
  readonly colours: readonly string[];
  /** Share of the drawing's bounding box that is opaque. */
  readonly fill: number;
  /** Width of the drawing over its height. */
  readonly aspect: number;
  /** Share of opaque pixels that are black, white or grey. */
  readonly colourless: number;
  /** Mean light of the opaque pixels, 0 black to 1 white. */
  readonly light: number;
  /** Share of pixels that equal their mirror image from left to right. */
  readonly symmetry: number;
}

/** Measures square RGBA pixels of a drawing that fills its view but for a margin. */
export function measureLook(pixels: Uint8Array, side: number, aspect: number, boxShare: number): Look {
  let opaque = 0;
  let dull = 0;
  let light = 0;
  let equal = 0;
  for (let at = 0; at < pixels.length; at += 4) {
    const [r, g, b, alpha] = pixels.subarray(at, at + 4) as unknown as [number, number, number, number];
    if (matchesMirror(pixels, at, side)) equal++;
    if (alpha < LEAST_ALPHA) continue;
    opaque++;
    light += (0.299 * r + 0.587 * g + 0.114 * b) / 255;
    if (Math.max(r, g, b) - Math.min(r, g, b) < 30) dull++;
  }
  return {
    colours: namedColours(pixels, LEAST_ALPHA),
    fill: Math.min(1, opaque / Math.max(1, side * side * boxShare)),
    aspect,
    colourless: opaque === 0 ? 0 : dull / opaque,
    light: opaque === 0 ? 0 : light / opaque,
    symmetry: equal / (side * side),
  };
}

function matchesMirror(pixels: Uint8Array, at: number, side: number): boolean {
  const x = (at / 4) % side;
  const other = at + 4 * (side - 1 - 2 * x);
  const alpha = (pixels[at + 3] as number) / 255;
  const otherAlpha = (pixels[other + 3] as number) / 255;
  for (let channel = 0; channel < 3; channel++) {
    const a = (pixels[at + channel] as number) * alpha + 128 * (1 - alpha);
    const b = (pixels[other + channel] as number) * otherAlpha + 128 * (1 - otherAlpha);
    if (Math.abs(a - b) > 48) return false;
  }
  return true;
}
