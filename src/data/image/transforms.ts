/**
 * open_clip 3.3.0's image transforms (`open_clip/transform.py`), from the file's bytes to RGB bytes; the
 * division by 255 and the normalisation happen where the model is. With an image that Pillow and libvips
 * decode alike, the bytes equal open_clip's.
 *
 * As there, colours become RGB after the resize: palette images are resized by nearest neighbour, an alpha
 * channel weights the colours and is then dropped (so what is fully transparent turns black), CMYK is
 * resized as inks, and neither orientation nor colour profile is applied. Deviation: 16-bit grey becomes
 * its upper 8 bits, where Pillow clips it to white.
 */
import type { KeyedRandom } from '../../rng.js';
import { type Box, type CropScale, evalGeometry, randomResizedCropBox } from './crop.js';
import { type DecodedImage, type DecodeOptions, decodeImage, type Pixels } from './decode.js';
import { copyBox, resizeBicubic, resizeNearest } from './resize-pil.js';

/** a * b / 255, rounded, for bytes. */
function multiply255(a: number, b: number): number {
  const product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

function dropFourth(pixels: Uint8Array): Uint8Array {
  const out = new Uint8Array((pixels.length / 4) * 3);
  for (let from = 0, to = 0; from < pixels.length; from += 4, to += 3) {
    out[to] = pixels[from] as number;
    out[to + 1] = pixels[from + 1] as number;
    out[to + 2] = pixels[from + 2] as number;
  }
  return out;
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

function unpremultiplyToRgb(pixels: Uint8Array): Uint8Array {
  for (let i = 0; i < pixels.length; i += 4) {
    const alpha = pixels[i + 3] as number;
    if (alpha === 0 || alpha === 255) continue;
    for (let c = 0; c < 3; c++) {
      pixels[i + c] = Math.min(255, Math.trunc((255 * (pixels[i + c] as number)) / alpha));
    }
  }
  return dropFourth(pixels);
}

function cmykToRgb(pixels: Uint8Array): Uint8Array {
  for (let i = 0; i < pixels.length; i += 4) {
    const light = 255 - (pixels[i + 3] as number);
    for (let c = 0; c < 3; c++) pixels[i + c] = light - multiply255(pixels[i + c] as number, light);
  }
  return dropFourth(pixels);
}

/** Resizes a box of the image and returns the window of the result as RGB bytes. */
function resizeToRgb(image: DecodedImage, box: Box, width: number, height: number, window: Box): Uint8Array {
  const toRgb = (pixels: Uint8Array): Uint8Array => {
    if (image.channels === 3) return pixels;
    return image.mode === 'cmyk' ? cmykToRgb(pixels) : dropFourth(pixels);
  };
  if (width === box.width && height === box.height) {
    return toRgb(copyBox(image, { ...window, left: box.left + window.left, top: box.top + window.top }));
  }
  if (image.mode === 'indexed') return toRgb(resizeNearest(image, box, width, height, window));
  if (image.hasAlpha && !isOpaque(image)) {
    return unpremultiplyToRgb(resizeBicubic(premultiply(image), box, width, height, window));
  }
  return toRgb(resizeBicubic(image, box, width, height, window));
}

/** {@link evalTransform} of pixels that are decoded already. */
export function evalPixels(image: DecodedImage, size: number): Uint8Array {
  const { width, height, window } = evalGeometry(image.width, image.height, size);
  return resizeToRgb(
    image,
    { left: 0, top: 0, width: image.width, height: image.height },
    width,
    height,
    window,
  );
}

/** A box of decoded pixels, resized to `size` by `size`: torchvision's `resized_crop`. */
export function cropPixels(image: DecodedImage, box: Box, size: number): Uint8Array {
  return resizeToRgb(image, box, size, size, { left: 0, top: 0, width: size, height: size });
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
  return evalPixels(await decodeImage(bytes, options), size);
}

/** {@link trainTransform} of pixels that are decoded already. */
export function trainPixels(
  image: DecodedImage,
  size: number,
  random: KeyedRandom,
  cropScale?: CropScale,
): Uint8Array {
  return cropPixels(image, randomResizedCropBox(image.width, image.height, random, cropScale), size);
}

/**
 * The training transform: a random box of 0.9 to 1 of the area (`cropScale` changes that) and an aspect ratio of
 * 3/4 to 4/3, resized to `size` by `size` (bicubic). No flip, no colour jitter. The box depends on `random` and the image's size only.
 *
 * @returns `size * size * 3` bytes, H W C, RGB.
 * @throws DataError, see {@link decodeImage}.
 */
export async function trainTransform(
  bytes: Uint8Array,
  size: number,
  random: KeyedRandom,
  options?: DecodeOptions & { readonly cropScale?: CropScale },
): Promise<Uint8Array> {
  return trainPixels(await decodeImage(bytes, options), size, random, options?.cropScale);
}
