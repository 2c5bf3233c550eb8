/**
 * JPEG to RGB in the calling thread, by the library of libjpeg-turbo that the package `@julusian/jpeg-turbo` carries
 * (docs/adr/0005-images.md says why not by its addon). Pixels equal libvips's and Pillow's: the exact inverse DCT, and
 * smooth upsampling of colours.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { koffi } from '../../koffi.js';
import type { Box } from './crop.js';
import type { PixelRoom, Pixels } from './pixels.js';

// Numbers of turbojpeg.h.
const DECOMPRESS = 1;
const STOP_ON_WARNING = 0;
const SUBSAMPLING = 4;
const WIDTH = 5;
const HEIGHT = 6;
const PRECISION = 7;
const COLOUR_SPACE = 8;
const SCAN_LIMIT = 13;
const CMYK = 3;
const FORMAT_RGB = 0;

/** As many scans as libvips admits: a file of few bytes may tell to go over a large image any number of times. */
const MAX_SCANS = 100;
const BITS = 8;
/** Widths of the blocks that are coded together, by subsampling: 4:4:4, 4:2:2, 4:2:0, grey, 4:4:0, 4:1:1, 4:4:1. */
const BLOCK_WIDTHS = [8, 16, 16, 8, 8, 32, 8];

/** By how much an image may be shrunk while it is decoded. Other ratios take longer than none. */
export type Shrink = 1 | 2 | 4 | 8;

/** What of an image is decoded. */
export interface JpegPart {
  /** The pixels that are needed, in those of the file. */
  readonly box: Box;
  readonly shrink: Shrink;
}

/** A part of an image, or all of it. */
export interface DecodedPart extends Pixels {
  /** By how much it is shrunk. */
  readonly shrink: Shrink;
  /** Where the part begins in the whole image, shrunk likewise. */
  readonly left: number;
  readonly top: number;
}

interface TurboJpeg {
  readonly init: (what: number) => unknown;
  readonly destroy: (handle: unknown) => void;
  readonly set: (handle: unknown, parameter: number, value: number) => number;
  readonly get: (handle: unknown, parameter: number) => number;
  readonly readHeader: (handle: unknown, bytes: Uint8Array, length: number) => number;
  readonly scale: (handle: unknown, factor: { num: number; denom: number }) => number;
  readonly crop: (handle: unknown, region: { x: number; y: number; w: number; h: number }) => number;
  readonly decode: (
    handle: unknown,
    bytes: Uint8Array,
    length: number,
    out: Uint8Array,
    pitch: number,
    format: number,
  ) => number;
}

/** Where the library is: by itself on Linux, linked into the addon on macOS. */
function libraryPath(): string {
  const { platform, arch } = process;
  const folder = dirname(createRequire(import.meta.url).resolve('@julusian/jpeg-turbo/package.json'));
  const file = platform === 'darwin' ? 'node-napi-v7.node' : 'libturbojpeg.so.0';
  return join(folder, 'prebuilds', `jpeg-turbo-${platform}-${arch}`, file);
}

function load(): TurboJpeg | undefined {
  try {
    const library = koffi.load(libraryPath());
    const factor = koffi.struct({ num: 'int', denom: 'int' });
    const region = koffi.struct({ x: 'int', y: 'int', w: 'int', h: 'int' });
    return {
      init: library.func('void *tj3Init(int what)'),
      destroy: library.func('void tj3Destroy(void *handle)'),
      set: library.func('int tj3Set(void *handle, int parameter, int value)'),
      get: library.func('int tj3Get(void *handle, int parameter)'),
      readHeader: library.func('int tj3DecompressHeader(void *handle, const uint8_t *bytes, size_t length)'),
      scale: library.func('tj3SetScalingFactor', 'int', ['void *', factor]),
      crop: library.func('tj3SetCroppingRegion', 'int', ['void *', region]),
      decode: library.func(
        'int tj3Decompress8(void *handle, const uint8_t *bytes, size_t length, uint8_t *out, int pitch, int format)',
      ),
    };
  } catch {
    return undefined; // a platform for which there is none
  }
}

let library: TurboJpeg | undefined | null = null;

/**
 * Decodes a grey or coloured JPEG of 8 bits. Undefined if there is anything about the file, be it more than
 * `maxPixels` pixels, inks, damage or a mere warning, or no library for this platform: libvips then says what it is.
 *
 * All of the file is read whatever the part, so that damage shows wherever it is. What is decoded of a part that is not
 * shrunk has the pixels of the whole; it may be larger than the part asked for.
 *
 * @param room where to put the pixels; else they get memory of their own
 * @param partOf which part is needed of an image of that size
 */
export function decodeJpeg(
  bytes: Uint8Array,
  maxPixels: number,
  room?: PixelRoom,
  partOf?: (width: number, height: number) => JpegPart,
): DecodedPart | undefined {
  if (library === null) library = load();
  if (library === undefined) return undefined;
  // A handle of its own for each image: it costs little, keeps no memory, and its settings are nobody else's.
  const handle = library.init(DECOMPRESS);
  if (handle === null) return undefined;
  try {
    return decodeBy(library, handle, bytes, maxPixels, room, partOf);
  } finally {
    library.destroy(handle);
  }
}

function decodeBy(
  turbo: TurboJpeg,
  handle: unknown,
  bytes: Uint8Array,
  maxPixels: number,
  room: PixelRoom | undefined,
  partOf: ((width: number, height: number) => JpegPart) | undefined,
): DecodedPart | undefined {
  const { set, get, readHeader, decode } = turbo;
  set(handle, STOP_ON_WARNING, 1);
  set(handle, SCAN_LIMIT, MAX_SCANS);
  if (readHeader(handle, bytes, bytes.length) !== 0) return undefined;
  const width = get(handle, WIDTH);
  const height = get(handle, HEIGHT);
  if (width * height > maxPixels || get(handle, PRECISION) !== BITS) return undefined;
  if (get(handle, COLOUR_SPACE) >= CMYK) return undefined;
  const part = partOf?.(width, height) ?? { box: { left: 0, top: 0, width, height }, shrink: 1 };
  const decoded = narrow(turbo, handle, { width, height }, part);
  const numBytes = decoded.width * decoded.height * 3;
  const data = room?.take(numBytes) ?? Buffer.allocUnsafeSlow(numBytes);
  if (decode(handle, bytes, bytes.length, data, 0, FORMAT_RGB) !== 0) return undefined;
  return { data, channels: 3, ...decoded };
}

/** If fewer pixels than this share are not needed, leaving them out gains nothing. */
const WORTHWHILE = 0.1;

/** Tells the decoder which part is needed, and says which it decodes then, in pixels of the shrunk image. */
function narrow(
  { get, scale, crop }: TurboJpeg,
  handle: unknown,
  { width, height }: { readonly width: number; readonly height: number },
  { box, shrink: wanted }: JpegPart,
): Omit<DecodedPart, 'data' | 'channels'> {
  const shrink = wanted > 1 && scale(handle, { num: 1, denom: wanted }) === 0 ? wanted : 1;
  const whole = {
    left: 0,
    top: 0,
    width: Math.ceil(width / shrink),
    height: Math.ceil(height / shrink),
    shrink,
  };
  const blockWidth = BLOCK_WIDTHS[get(handle, SUBSAMPLING)];
  if (blockWidth === undefined) return whole;
  // Colours are interpolated across blocks: a block more on either side, and what is needed is as in the whole image.
  const step = blockWidth / shrink;
  const left = Math.max(0, (Math.floor(box.left / blockWidth) - 1) * step);
  const right = Math.min(whole.width, (Math.ceil((box.left + box.width) / blockWidth) + 1) * step);
  const top = Math.floor(box.top / shrink);
  // Down to the bottom: the decoder would not read the file any further, and damage there would go unnoticed.
  const part = { left, top, width: right - left, height: whole.height - top, shrink };
  const numLeftOut = whole.width * whole.height - part.width * part.height;
  if (numLeftOut < WORTHWHILE * whole.width * whole.height) return whole;
  const region = { x: left, y: top, w: part.width, h: part.height };
  return crop(handle, region) === 0 ? part : whole;
}
