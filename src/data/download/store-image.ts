/** Checks of images that came, and what of them is stored. Modes and their meaning are img2dataset's (resizer.py). */
import type { Metadata, Sharp } from 'sharp';
import { checkHeader } from '../image/decode.js';
import type { ImageFormat } from '../image/header.js';
import { libvips } from '../image/libvips.js';
import type { Encoding, ResizeMode } from './choices.js';
import { ImageFailure } from './failure.js';

/** What is asked of an image, and how it is stored. */
export interface ImagePolicy {
  /** Pixels. */
  readonly size: number;
  readonly resizeMode: ResizeMode;
  /** Smaller images keep their size, and are not cropped or filled up. */
  readonly onlyIfBigger: boolean;
  /** Undefined, with the mode `no` only: every image keeps the bytes that came. */
  readonly encode: Encoding | undefined;
  /** Of JPEG and WebP, 1 to 100. */
  readonly quality: number;
  /** An image that needs no change and is in the format already keeps its bytes. */
  readonly skipReencode: boolean;
  /** Pixels of the shorter side. */
  readonly minSize: number;
  readonly maxAspectRatio: number;
  readonly maxPixels: number;
}

/** An image as it is stored. */
export interface StoredImage {
  readonly bytes: Uint8Array;
  /** `jpg`, `png`, `webp`, `gif`, `tiff` or `avif`. */
  readonly extension: string;
  /** Pixels of what is stored. */
  readonly width: number;
  readonly height: number;
  /** Pixels of what came, as its file has them: before its EXIF orientation. */
  readonly originalWidth: number;
  readonly originalHeight: number;
}

const EXTENSIONS: Readonly<Record<ImageFormat, string>> = {
  jpeg: 'jpg',
  png: 'png',
  webp: 'webp',
  gif: 'gif',
  tiff: 'tiff',
  avif: 'avif',
};
/** A crafted file may take minutes to decode. */
const MAX_DECODE_SECONDS = 60;

/**
 * Checks an image by its header, and encodes it anew where the policy wants it so: turned upright by its EXIF orientation,
 * on white where it is transparent, in sRGB, without metadata, of an animation the first frame.
 *
 * @throws ImageFailure if it is no image, is damaged, or is not within the policy's bounds
 */
export async function storeImage(bytes: Uint8Array, policy: ImagePolicy): Promise<StoredImage> {
  const { extension, metadata } = await inspect(bytes);
  const { width, height } = metadata;
  checkBounds(width, height, policy);
  const original = { originalWidth: width, originalHeight: height };
  const { encode } = policy;
  if (encode === undefined) return { bytes, extension, width, height, ...original };
  // Orientations from 5 on lie on their side.
  const isTurned = (metadata.orientation ?? 1) >= 5;
  const resize = isTurned ? resizeOf(height, width, policy) : resizeOf(width, height, policy);
  const asItCame = policy.skipReencode && extension === encode && !metadata.hasAlpha;
  if (resize === undefined && asItCame) return { bytes, extension, width, height, ...original };
  const sharp = await libvips();
  const image = sharp(bytes, { limitInputPixels: policy.maxPixels, failOn: 'error' })
    .autoOrient()
    .flatten({ background: '#ffffff' })
    .timeout({ seconds: MAX_DECODE_SECONDS });
  const sized = resize === undefined ? image : image.resize(resize);
  try {
    const { data, info } = await encoded(sized, encode, policy.quality).toBuffer({ resolveWithObject: true });
    return { bytes: data, extension: encode, width: info.width, height: info.height, ...original };
  } catch (cause) {
    throw unreadable(cause);
  }
}

async function inspect(bytes: Uint8Array): Promise<{ extension: string; metadata: Metadata }> {
  try {
    const extension = extensionOf(bytes);
    const sharp = await libvips();
    return { extension, metadata: await sharp(bytes, { limitInputPixels: false }).metadata() };
  } catch (cause) {
    throw unreadable(cause);
  }
}

/** The ending of an image file's name by its first bytes. @throws DataError if they are of no image that is read */
export const extensionOf = (bytes: Uint8Array): string => EXTENSIONS[checkHeader(bytes).format];

function unreadable(cause: unknown): ImageFailure {
  const text = cause instanceof Error ? cause.message.trim().replace(/\s+/g, ' ') : String(cause);
  return new ImageFailure('not-an-image', text, { cause });
}

function checkBounds(
  width: number,
  height: number,
  { minSize, maxAspectRatio, maxPixels }: ImagePolicy,
): void {
  const found = `${width} x ${height} pixels`;
  if (width * height > maxPixels) throw new ImageFailure('too-many-pixels', found);
  const [shorter, longer] = [Math.min(width, height), Math.max(width, height)];
  if (shorter < minSize) throw new ImageFailure('too-small', found);
  if (longer / shorter > maxAspectRatio) throw new ImageFailure('aspect-ratio', found);
}

type Resize = Parameters<Sharp['resize']>[0];

/** What to do with an upright image of this size; undefined if it keeps it. */
function resizeOf(width: number, height: number, policy: ImagePolicy): (Resize & object) | undefined {
  const { size, resizeMode, onlyIfBigger } = policy;
  if (resizeMode === 'no') return undefined;
  const byShorter = resizeMode === 'keep-ratio' || resizeMode === 'center-crop';
  const side = byShorter ? Math.min(width, height) : Math.max(width, height);
  if (onlyIfBigger && side <= size) return undefined;
  switch (resizeMode) {
    case 'center-crop':
      return { width: size, height: size, fit: 'cover' };
    case 'border':
      return { width: size, height: size, fit: 'contain', background: '#ffffff' };
    default: {
      const scaled = (pixels: number): number => Math.max(1, Math.round((pixels * size) / side));
      return { width: scaled(width), height: scaled(height), fit: 'fill' };
    }
  }
}

function encoded(image: Sharp, encode: Encoding, quality: number): Sharp {
  switch (encode) {
    case 'jpg':
      return image.jpeg({ quality });
    case 'png':
      return image.png();
    case 'webp':
      return image.webp({ quality });
  }
}
