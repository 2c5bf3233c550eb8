/**
 * What the first bytes of an image file tell: its format, and those properties on which the transforms
 * depend but which decoding hides (palette, bit depth, number of JPEG components).
 */

import { readTiffTags, TIFF } from './tiff-tags.js';

/** Formats that the transforms read. */
export type ImageFormat = 'jpeg' | 'png' | 'gif' | 'webp' | 'tiff' | 'avif';

/** How an image is resized, which in Pillow is a matter of its mode. */
export type ColourMode =
  /** Grey or RGB, perhaps with an alpha channel. */
  | 'rgb'
  /** Indices into a palette or single bits: resized by nearest neighbour. */
  | 'indexed'
  /** Four inks. */
  | 'cmyk';

export interface ImageHeader {
  readonly format: ImageFormat;
  readonly mode: ColourMode;
  /** Whether an alpha channel, if decoding yields one, is the file's own and not a transparent colour's. */
  readonly alphaChannel: boolean;
}

const ascii = (bytes: Uint8Array, from: number, to: number): string =>
  String.fromCharCode(...bytes.subarray(from, to));

function pngHeader(bytes: Uint8Array): ImageHeader {
  const bitDepth = bytes[24];
  const colourType = bytes[25];
  const indexed = colourType === 3 || (colourType === 0 && bitDepth === 1);
  return {
    format: 'png',
    mode: indexed ? 'indexed' : 'rgb',
    alphaChannel: colourType === 4 || colourType === 6,
  };
}

/** The number of components in the frame header (marker SOFn), or 3 if there is none. */
function jpegComponents(bytes: Uint8Array): number {
  let at = 2;
  while (at + 9 < bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1] as number;
    if (marker === 0xff) {
      at++; // fill byte
      continue;
    }
    const isFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (isFrame) return bytes[at + 9] as number;
    at += 2 + (((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number));
  }
  return 3;
}

const PALETTE = 3;
const INKS = 5;

function tiffHeader(bytes: Uint8Array): ImageHeader {
  const tags = readTiffTags(bytes);
  const photometric = tags.get(TIFF.photometric);
  const indexed = photometric === PALETTE || (tags.get(TIFF.bitsPerSample) ?? 1) === 1;
  return {
    format: 'tiff',
    mode: indexed ? 'indexed' : photometric === INKS ? 'cmyk' : 'rgb',
    alphaChannel: photometric !== INKS,
  };
}

/** Reads the header, or returns undefined if the bytes are of no format in {@link ImageFormat}. */
export function readImageHeader(bytes: Uint8Array): ImageHeader | undefined {
  if (bytes.length < 12) return undefined;
  if (bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) {
    return { format: 'jpeg', mode: jpegComponents(bytes) === 4 ? 'cmyk' : 'rgb', alphaChannel: false };
  }
  if (ascii(bytes, 0, 8) === '\x89PNG\r\n\x1a\n') return pngHeader(bytes);
  if (ascii(bytes, 0, 4) === 'GIF8') return { format: 'gif', mode: 'indexed', alphaChannel: false };
  if (ascii(bytes, 0, 4) === 'RIFF' && ascii(bytes, 8, 12) === 'WEBP') {
    return { format: 'webp', mode: 'rgb', alphaChannel: true };
  }
  if (ascii(bytes, 0, 4) === 'II*\0' || ascii(bytes, 0, 4) === 'MM\0*') return tiffHeader(bytes);
  if (ascii(bytes, 4, 8) === 'ftyp' && /^avi[fs]$/.test(ascii(bytes, 8, 12))) {
    return { format: 'avif', mode: 'rgb', alphaChannel: true };
  }
  return undefined;
}
