/** Where the transforms cut. Rounding is Python's, to even, since torchvision's is. */
import type { KeyedRandom } from '../../rng.js';

/** A rectangle of pixels. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Rounds to the nearest integer, and a half to the even one, as Python's `round`. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const fraction = x - floor;
  if (fraction !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** What `Resize(size)` then `CenterCrop(size)` do to an image: its new size, and the part that is kept. */
export interface EvalGeometry {
  readonly width: number;
  readonly height: number;
  readonly window: Box;
}

/** The short edge becomes `size`, the long one in proportion, rounded down; then the centre is cut. */
export function evalGeometry(width: number, height: number, size: number): EvalGeometry {
  const scaled = (long: number, short: number): number => Math.trunc((size * long) / short);
  const newWidth = width <= height ? size : scaled(width, height);
  const newHeight = width <= height ? scaled(height, width) : size;
  const window = {
    left: roundHalfEven((newWidth - size) / 2),
    top: roundHalfEven((newHeight - size) / 2),
    width: size,
    height: size,
  };
  return { width: newWidth, height: newHeight, window };
}

/** Least and largest share of an image's area that a random crop keeps. */
export type CropScale = readonly [min: number, max: number];

/** That of open_clip's training crop. */
export const TRAIN_SCALE: CropScale = [0.9, 1];
/** Aspect ratios, width over height, of torchvision's RandomResizedCrop. */
export const TRAIN_RATIO: readonly [number, number] = [3 / 4, 4 / 3];

/**
 * The box of torchvision's `RandomResizedCrop.get_params`: an area and a log-uniform aspect ratio are
 * drawn until the box fits, ten times at most; failing that, the largest central box of an allowed ratio.
 * The draws come from `random` and so differ from torch's.
 */
export function randomResizedCropBox(
  width: number,
  height: number,
  random: KeyedRandom,
  scale = TRAIN_SCALE,
  ratio = TRAIN_RATIO,
): Box {
  const logLow = Math.log(ratio[0]);
  const logHigh = Math.log(ratio[1]);
  for (let attempt = 0; attempt < 10; attempt++) {
    const area = width * height * (scale[0] + (scale[1] - scale[0]) * random.uniform());
    const aspect = Math.exp(logLow + (logHigh - logLow) * random.uniform());
    const w = roundHalfEven(Math.sqrt(area * aspect));
    const h = roundHalfEven(Math.sqrt(area / aspect));
    if (w > 0 && w <= width && h > 0 && h <= height) {
      return { top: random.int(height - h + 1), left: random.int(width - w + 1), width: w, height: h };
    }
  }
  const imageRatio = width / height;
  let w = width;
  let h = height;
  if (imageRatio < ratio[0]) h = roundHalfEven(w / ratio[0]);
  else if (imageRatio > ratio[1]) w = roundHalfEven(h * ratio[1]);
  return { top: Math.floor((height - h) / 2), left: Math.floor((width - w) / 2), width: w, height: h };
}
