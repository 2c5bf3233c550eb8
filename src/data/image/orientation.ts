/**
 * Which way up an image is: EXIF's orientation, from 1 to 8. The numbers say where the first row and column of the file
 * belong: 1 as they are, 2 mirrored, 3 upside down, 4 flipped, 5 transposed, 6 turned right, 7 transposed the other way,
 * 8 turned left.
 */
import type { Box } from './crop.js';
import type { ImageFormat } from './header.js';
import type { Pixels } from './pixels.js';
import { readTiffTags, TIFF } from './tiff-tags.js';

/** As it lies in the file, or a turn or reflection of it. */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

const EXIF_MARK = 'Exif\0\0';

const latin1 = (bytes: Uint8Array, from: number, length: number): string =>
  String.fromCharCode(...bytes.subarray(from, from + length));

/** EXIF data in a JPEG's APP1 segment. */
function exifOfJpeg(bytes: Uint8Array): Uint8Array | undefined {
  let at = 2;
  while (at + 4 < bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1] as number;
    if (marker === 0xff) {
      at++; // fill byte
      continue;
    }
    if (marker === 0xda) return undefined; // pixels follow
    const length = ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
    if (marker === 0xe1 && latin1(bytes, at + 4, EXIF_MARK.length) === EXIF_MARK) {
      return bytes.subarray(at + 4 + EXIF_MARK.length, at + 2 + length);
    }
    at += 2 + length;
  }
  return undefined;
}

/** The chunk of that name, in files that consist of chunks: the layouts of PNG and WebP. */
function findChunk(
  bytes: Uint8Array,
  name: string,
  layout: {
    first: number;
    nameAt: number;
    lengthAt: number;
    little: boolean;
    around: (length: number) => number;
  },
): Uint8Array | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = layout.first; at + 8 <= bytes.length; ) {
    const length = view.getUint32(at + layout.lengthAt, layout.little);
    if (latin1(bytes, at + layout.nameAt, 4) === name) return bytes.subarray(at + 8, at + 8 + length);
    at += layout.around(length);
  }
  return undefined;
}

const PNG_CHUNKS = { first: 8, nameAt: 4, lengthAt: 0, little: false, around: (n: number) => n + 12 };
const WEBP_CHUNKS = {
  first: 12,
  nameAt: 0,
  lengthAt: 4,
  little: true,
  around: (n: number) => 8 + n + (n & 1),
};

function exifOf(bytes: Uint8Array, format: ImageFormat): Uint8Array | undefined {
  if (format === 'jpeg') return exifOfJpeg(bytes);
  if (format === 'tiff') return bytes;
  if (format === 'png') return findChunk(bytes, 'eXIf', PNG_CHUNKS);
  if (format !== 'webp') return undefined;
  const exif = findChunk(bytes, 'EXIF', WEBP_CHUNKS);
  const marked = exif !== undefined && latin1(exif, 0, EXIF_MARK.length) === EXIF_MARK;
  return marked ? exif.subarray(EXIF_MARK.length) : exif;
}

/** The orientation that a JPEG, PNG, WebP or TIFF file declares; 1 if it declares none, or one that does not exist. */
export function readOrientation(bytes: Uint8Array, format: ImageFormat): Orientation {
  const exif = exifOf(bytes, format);
  const found = exif === undefined ? undefined : readTiffTags(exif).get(TIFF.orientation);
  return found !== undefined && found >= 1 && found <= 8 ? (found as Orientation) : 1;
}

/** Whether rows become columns. */
export const isTransposed = (orientation: Orientation): boolean => orientation >= 5;

/** The orientation that brings back what the other one changed. */
export function inverse(orientation: Orientation): Orientation {
  if (orientation === 6) return 8;
  return orientation === 8 ? 6 : orientation; // the others undo themselves
}

const fromRight = (orientation: Orientation): boolean =>
  orientation === 2 || orientation === 3 || orientation === 7 || orientation === 8;
const fromBelow = (orientation: Orientation): boolean =>
  orientation === 3 || orientation === 4 || orientation === 6 || orientation === 7;

/** Where a box of an image of that size is when the image is put upright. */
export function orientBox(box: Box, width: number, height: number, orientation: Orientation): Box {
  const left = fromRight(orientation) ? width - box.left - box.width : box.left;
  const top = fromBelow(orientation) ? height - box.top - box.height : box.top;
  return isTransposed(orientation)
    ? { left: top, top: left, width: box.height, height: box.width }
    : { left, top, width: box.width, height: box.height };
}

/** The image upright, as by Pillow's `ImageOps.exif_transpose`: new pixels, or the image itself if it is already. */
export function orient<T extends Pixels>(image: T, orientation: Orientation): T {
  if (orientation === 1) return image;
  const { data, width, height, channels } = image;
  const transposed = isTransposed(orientation);
  const [newWidth, newHeight] = transposed ? [height, width] : [width, height];
  const out = new Uint8Array(newWidth * newHeight * channels);
  // Steps in the file's pixels for one to the right and one down of the upright image.
  const stepX = (fromRight(orientation) ? -1 : 1) * channels;
  const stepY = (fromBelow(orientation) ? -1 : 1) * width * channels;
  const start =
    (fromRight(orientation) ? (width - 1) * channels : 0) +
    (fromBelow(orientation) ? (height - 1) * width * channels : 0);
  const [right, down] = transposed ? [stepY, stepX] : [stepX, stepY];
  let at = 0;
  for (let y = 0; y < newHeight; y++) {
    let from = start + y * down;
    for (let x = 0; x < newWidth; x++, from += right) {
      for (let c = 0; c < channels; c++) out[at++] = data[from + c] as number;
    }
  }
  return { ...image, data: out, width: newWidth, height: newHeight };
}
