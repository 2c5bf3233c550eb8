/**
 * Image files to pixels, as Pillow decodes them for open_clip: an embedded colour profile is ignored,
 * an EXIF orientation is ignored unless asked for (TIFF's is not), of an animation the first frame counts, and 16 bits
 * become the upper 8.
 * Decoding is libjpeg-turbo's for ordinary JPEGs and libvips's (through sharp) for all else; on JPEG, PNG, WebP and GIF
 * the pixels equal Pillow's.
 */
import type { OutputInfo } from 'sharp';
import { DataError } from '../../errors.js';
import { withoutTransparency } from './gif.js';
import { type ColourMode, type ImageHeader, readImageHeader } from './header.js';
import { decodeJpeg } from './jpeg.js';
import { libvips } from './libvips.js';
import { type Orientation, orient, readOrientation } from './orientation.js';
import type { PixelRoom, Pixels } from './pixels.js';

/** Above this, Pillow refuses an image as a decompression bomb. */
export const DEFAULT_MAX_PIXELS = 178_956_970;

export interface DecodedImage extends Pixels {
  readonly mode: ColourMode;
  /** The fourth channel is an alpha channel by which colours are weighted when resizing. */
  readonly hasAlpha: boolean;
}

export interface DecodeOptions {
  /** Larger images are refused before they are decoded. Default {@link DEFAULT_MAX_PIXELS}. */
  readonly maxPixels?: number;
  /** Whether the orientation that EXIF data tells is applied. Default false, as in open_clip. */
  readonly exif?: boolean;
  /** Where the pixels may be put, for a caller that is done with them before it uses the room again. */
  readonly room?: PixelRoom;
}

/** What the first bytes tell, without decoding. @throws DataError if they are of no image that can be read */
export function checkHeader(bytes: Uint8Array): ImageHeader {
  if (bytes.length === 0) throw new DataError('The image is empty (0 bytes).');
  const header = readImageHeader(bytes);
  if (header === undefined) {
    const start = Buffer.from(bytes.subarray(0, 12)).toString('latin1');
    throw new DataError(
      `The image is no JPEG, PNG, WebP, GIF, TIFF or AVIF file: found ${bytes.length} bytes that begin ` +
        `${JSON.stringify(start)}.`,
    );
  }
  return header;
}

/**
 * Decodes an image file.
 *
 * @throws DataError if the bytes are no image, are damaged or cut off, or if the image has more than `maxPixels`
 *   pixels. Which image it is the caller knows.
 */
export async function decodeImage(bytes: Uint8Array, options: DecodeOptions = {}): Promise<DecodedImage> {
  const header = checkHeader(bytes);
  const { maxPixels = DEFAULT_MAX_PIXELS, room } = options;
  const orientation = orientationOf(bytes, header, options);
  const jpeg = header.format === 'jpeg' ? decodeJpeg(bytes, maxPixels, room) : undefined;
  const image = jpeg === undefined ? await decodeByLibvips(bytes, header, maxPixels) : plainImage(jpeg);
  return orient(image, orientation);
}

/** Which way up an image lies, as far as that is to be changed: Pillow itself turns TIFFs, and no other. */
export function orientationOf(
  bytes: Uint8Array,
  { format }: ImageHeader,
  { exif = false }: DecodeOptions,
): Orientation {
  return exif || format === 'tiff' ? readOrientation(bytes, format) : 1;
}

/** Pixels in red, green and blue as an image. */
export function plainImage({ data, width, height, channels }: Pixels): DecodedImage {
  return { data, width, height, channels, mode: 'rgb', hasAlpha: false };
}

async function decodeByLibvips(
  bytes: Uint8Array,
  header: ImageHeader,
  maxPixels: number,
): Promise<DecodedImage> {
  const file = header.format === 'gif' ? withoutTransparency(bytes) : bytes;
  const sharp = await libvips();
  const image = sharp(file, { ignoreIcc: true, failOn: 'error', limitInputPixels: maxPixels });
  if (header.mode === 'cmyk') image.pipelineColourspace('cmyk').toColourspace('cmyk');
  let decoded: { data: Buffer; info: OutputInfo };
  try {
    decoded = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.trim().replace(/\s+/g, ' ') : String(cause);
    const what = /exceeds pixel limit/.test(reason)
      ? `has more than ${maxPixels.toLocaleString('en-US')} pixels; it may be a decompression bomb`
      : `is a ${header.format} file that cannot be decoded: ${reason}`;
    throw new DataError(`The image ${what}.`, { cause });
  }
  const { data, info } = decoded;
  if (info.channels !== 3 && info.channels !== 4) {
    throw new DataError(`The image has ${info.channels} channels; expected 3 or 4.`);
  }
  return {
    data,
    width: info.width,
    height: info.height,
    channels: info.channels,
    mode: header.mode,
    hasAlpha: info.channels === 4 && header.alphaChannel,
  };
}
