/**
 * open_clip 3.3.0's image transforms (`open_clip/transform.py`), from the file's bytes to RGB bytes; the
 * division by 255 and the normalisation happen where the model is. With an image that Pillow and libvips
 * decode alike, the bytes equal open_clip's.
 *
 * As there, colours become RGB after the resize: palette images are resized by nearest neighbour, an alpha
 * channel weights the colours and is then dropped (so what is fully transparent turns black), CMYK is
 * resized as inks, and neither orientation (unless asked for) nor colour profile is applied. Deviation: 16-bit grey
 * becomes its upper 8 bits, where Pillow clips it to white.
 */
import type { KeyedRandom } from '../../rng.js';
import { type Box, type CropScale, evalGeometry, randomResizedCropBox } from './crop.js';
import { type DecodedImage, type DecodeOptions, decodeImage } from './decode.js';
import { type DecodeForCropOptions, decodeForCrop } from './decode-crop.js';
import type { Pixels } from './pixels.js';
import { resizeBicubic, resizeNearest } from './resize-pil.js';

/** a * b / 255, rounded, for bytes. */
function multiply255(a: number, b: number): number {
  const product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

function dropFourth(pixels: Uint8Array, out: Uint8Array): void {
  for (let from = 0, to = 0; from < pixels.length; from += 4, to += 3) {
    out[to] = pixels[from] as number;
    out[to + 1] = pixels[from + 1] as number;
    out[to + 2] = pixels[from + 2] as number;
  }
}

function isOpaque({ data }: Pixels): boolean {
  for (let i = 3; i < data.length; i += 4) if (data[i] !== 255) return false;
  return true;
}

/** Colours times alpha, so that the colour of transparent pixels does not bleed into their neighbours. */
function premultiply({ data, width, height }: Pixels): Pixels {
  const out = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i += 4) {
    const alpha = data[i + 3] as number;
    for (let c = 0; c < 3; c++) out[i + c] = multiply255(data[i + c] as number, alpha);
    out[i + 3] = alpha;
  }
  return { data: out, width, height, channels: 4 };
}

function unpremultiply(pixels: Uint8Array): void {
  for (let i = 0; i < pixels.length; i += 4) {
    const alpha = pixels[i + 3] as number;
    if (alpha === 0 || alpha === 255) continue;
    for (let c = 0; c < 3; c++) {
      pixels[i + c] = Math.min(255, Math.trunc((255 * (pixels[i + c] as number)) / alpha));
    }
  }
}

/** Inks to colours, in the first three channels. */
function cmykToRgb(pixels: Uint8Array): void {
  for (let i = 0; i < pixels.length; i += 4) {
    const light = 255 - (pixels[i + 3] as number);
    for (let c = 0; c < 3; c++) pixels[i + c] = light - multiply255(pixels[i + c] as number, light);
  }
}

/** Resizes a box of the image and writes the window of the result as RGB bytes. */
function resizeToRgb(
  image: DecodedImage,
  box: Box,
  width: number,
  height: number,
  window: Box,
  out: Uint8Array,
): void {
  const resize = image.mode === 'indexed' ? resizeNearest : resizeBicubic;
  if (image.channels === 3) {
    resize(image, box, width, height, window, out);
    return;
  }
  const unscaled = width === box.width && height === box.height;
  const weighted = image.hasAlpha && image.mode !== 'indexed' && !unscaled && !isOpaque(image);
  const pixels = new Uint8Array(window.width * window.height * 4);
  resize(weighted ? premultiply(image) : image, box, width, height, window, pixels);
  if (weighted) unpremultiply(pixels);
  if (image.mode === 'cmyk') cmykToRgb(pixels);
  dropFourth(pixels, out);
}

/** As {@link evalTransform}, of pixels that are decoded already, written to `out`. */
export function evalPixels(image: DecodedImage, size: number, out: Uint8Array): void {
  const { width, height, window } = evalGeometry(image.width, image.height, size);
  const whole = { left: 0, top: 0, width: image.width, height: image.height };
  resizeToRgb(image, whole, width, height, window, out);
}

/** A box of decoded pixels, resized to `size` by `size` and written to `out`: torchvision's `resized_crop`. */
export function cropPixels(image: DecodedImage, box: Box, size: number, out: Uint8Array): void {
  resizeToRgb(image, box, size, size, { left: 0, top: 0, width: size, height: size }, out);
}

/**
 * The evaluation transform: short edge to `size` (bicubic), centre crop.
 *
 * @returns `size * size * 3` bytes, H W C, RGB.
 * @throws DataError, see {@link decodeImage}.
 */
export async function evalTransform(
  bytes: Uint8Array,
  size: number,
  options?: DecodeOptions,
): Promise<Uint8Array> {
  const out = new Uint8Array(size * size * 3);
  evalPixels(await decodeImage(bytes, options), size, out);
  return out;
}

/** How training changes an image at random. */
export interface TrainAugmentation {
  /** Least and largest share of the area that the crop keeps. Default: open_clip's 0.9 to 1. */
  readonly cropScale?: CropScale | undefined;
  /** How often the image is mirrored, left to right. Default 0, as in open_clip. */
  readonly flip?: number | undefined;
}

/** What {@link trainTransform} does to an image of that size. */
export interface TrainDraw {
  readonly box: Box;
  readonly flipped: boolean;
}

/** Draws the crop, then whether the image is mirrored. The box is the same with any probability of that. */
export function drawTrain(
  width: number,
  height: number,
  random: KeyedRandom,
  { cropScale, flip = 0 }: TrainAugmentation,
): TrainDraw {
  const box = randomResizedCropBox(width, height, random, cropScale);
  return { box, flipped: flip > 0 && random.uniform() < flip };
}

/** Mirrors `size` by `size` RGB pixels, left to right, where they are. */
export function mirror(pixels: Uint8Array, size: number): void {
  const rowBytes = size * 3;
  for (let row = 0; row < size * rowBytes; row += rowBytes) {
    for (let left = row, right = row + rowBytes - 3; left < right; left += 3, right -= 3) {
      for (let c = 0; c < 3; c++) {
        const kept = pixels[left + c] as number;
        pixels[left + c] = pixels[right + c] as number;
        pixels[right + c] = kept;
      }
    }
  }
}

/** As {@link trainTransform}, of pixels that are decoded already, written to `out`. */
export function trainPixels(
  image: DecodedImage,
  size: number,
  random: KeyedRandom,
  augmentation: TrainAugmentation,
  out: Uint8Array,
): void {
  const { box, flipped } = drawTrain(image.width, image.height, random, augmentation);
  cropPixels(image, box, size, out);
  if (flipped) mirror(out, size);
}

/**
 * The training transform: a random box of 0.9 to 1 of the area (`cropScale` changes that) and an aspect ratio of
 * 3/4 to 4/3, resized to `size` by `size` (bicubic), mirrored at times if `flip` says so. No colour jitter. What is
 * drawn depends on `random` and the image's size only.
 *
 * @returns `size * size * 3` bytes, H W C, RGB.
 * @throws DataError, see {@link decodeImage}.
 */
export async function trainTransform(
  bytes: Uint8Array,
  size: number,
  random: KeyedRandom,
  options: DecodeForCropOptions & TrainAugmentation = {},
): Promise<Uint8Array> {
  const out = new Uint8Array(size * size * 3);
  await trainInto(bytes, size, random, options, out);
  return out;
}

/** As {@link trainTransform}, written to `out`. */
export async function trainInto(
  bytes: Uint8Array,
  size: number,
  random: KeyedRandom,
  options: DecodeForCropOptions & TrainAugmentation,
  out: Uint8Array,
): Promise<void> {
  const draw = (width: number, height: number) => drawTrain(width, height, random, options);
  const { image, drawn } = await decodeForCrop(bytes, size, draw, options);
  cropPixels(image, drawn.box, size, out);
  if (drawn.flipped) mirror(out, size);
}
