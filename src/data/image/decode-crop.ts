/** Decodes no more of an image than a random crop needs. */
import type { Box } from './crop.js';
import {
  checkHeader,
  DEFAULT_MAX_PIXELS,
  type DecodedImage,
  type DecodeOptions,
  decodeImage,
  orientationOf,
  plainImage,
} from './decode.js';
import { decodeJpeg, type Shrink } from './jpeg.js';
import { inverse, isTransposed, orient, orientBox } from './orientation.js';

export interface DecodeForCropOptions extends DecodeOptions {
  /**
   * Whether JPEGs are decoded at a half, quarter or eighth of their size where the crop still has at least as many
   * pixels as the result. Takes less time for large images; pixels are others than Pillow's. Default false.
   */
  readonly scaledDecode?: boolean;
}

/** An image, or a part of it, perhaps shrunk, and what was drawn, its box in the pixels of that. */
export interface DecodedForCrop<D> {
  readonly image: DecodedImage;
  readonly drawn: D;
}

const SHRINKS: readonly Shrink[] = [8, 4, 2];

/**
 * Decodes an image of which a box is needed, which will be resized to `size` by `size`. Unless it is shrunk, the pixels
 * in the box are those that {@link decodeImage} gives, and the same files are refused.
 *
 * @param draw told the size of the upright image, mostly once; says which box is needed
 * @throws DataError as {@link decodeImage}
 */
export async function decodeForCrop<D extends { readonly box: Box }>(
  bytes: Uint8Array,
  size: number,
  draw: (width: number, height: number) => D,
  options: DecodeForCropOptions = {},
): Promise<DecodedForCrop<D>> {
  const header = checkHeader(bytes);
  if (header.format === 'jpeg') {
    const { maxPixels = DEFAULT_MAX_PIXELS, room, scaledDecode = false } = options;
    const orientation = orientationOf(bytes, header, options);
    let drawn: D | undefined;
    let box: Box | undefined; // in the pixels of the file
    const part = decodeJpeg(bytes, maxPixels, room, (width, height) => {
      const [w, h] = isTransposed(orientation) ? [height, width] : [width, height];
      drawn = draw(w, h);
      box = orientBox(drawn.box, w, h, inverse(orientation));
      return { box, shrink: scaledDecode ? shrinkFor(box, size) : 1 };
    });
    if (part !== undefined && drawn !== undefined && box !== undefined) {
      const { shrink, left, top, width, height } = part;
      const inPart = {
        left: box.left / shrink - left,
        top: box.top / shrink - top,
        width: box.width / shrink,
        height: box.height / shrink,
      };
      return {
        image: orient(plainImage(part), orientation),
        drawn: { ...drawn, box: orientBox(inPart, width, height, orientation) },
      };
    }
    // What libjpeg-turbo told of a damaged file's size need not be what libvips finds.
    const image = await decodeImage(bytes, options);
    if (drawn !== undefined && fits(drawn.box, image)) return { image, drawn };
    return { image, drawn: draw(image.width, image.height) };
  }
  const image = await decodeImage(bytes, options);
  return { image, drawn: draw(image.width, image.height) };
}

const fits = ({ left, top, width, height }: Box, image: DecodedImage): boolean =>
  left + width <= image.width && top + height <= image.height;

/** By how much a box may be shrunk and still have `size` pixels either way. */
function shrinkFor({ width, height }: Box, size: number): Shrink {
  return SHRINKS.find((shrink) => Math.min(width, height) >= size * shrink) ?? 1;
}
