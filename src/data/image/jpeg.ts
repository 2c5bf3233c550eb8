/**
 * JPEG to RGB in the calling thread, by the library of libjpeg-turbo that the package `@julusian/jpeg-turbo` carries
 * (docs/adr/0005-images.md says why not by its addon). Pixels equal libvips's and Pillow's: the exact inverse DCT, and
 * smooth upsampling of colours.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { koffi } from '../../koffi.js';
import type { PixelRoom, Pixels } from './pixels.js';

// Numbers of turbojpeg.h.
const DECOMPRESS = 1;
const STOP_ON_WARNING = 0;
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

interface TurboJpeg {
  readonly init: (what: number) => unknown;
  readonly destroy: (handle: unknown) => void;
  readonly set: (handle: unknown, parameter: number, value: number) => number;
  readonly get: (handle: unknown, parameter: number) => number;
  readonly readHeader: (handle: unknown, bytes: Uint8Array, length: number) => number;
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
    return {
      init: library.func('void *tj3Init(int what)'),
      destroy: library.func('void tj3Destroy(void *handle)'),
      set: library.func('int tj3Set(void *handle, int parameter, int value)'),
      get: library.func('int tj3Get(void *handle, int parameter)'),
      readHeader: library.func('int tj3DecompressHeader(void *handle, const uint8_t *bytes, size_t length)'),
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
 * @param room where to put the pixels; else they get memory of their own
 */
export function decodeJpeg(bytes: Uint8Array, maxPixels: number, room?: PixelRoom): Pixels | undefined {
  if (library === null) library = load();
  if (library === undefined) return undefined;
  // A handle of its own for each image: it costs little, keeps no memory, and its settings are nobody else's.
  const handle = library.init(DECOMPRESS);
  if (handle === null) return undefined;
  try {
    return decodeBy(library, handle, bytes, maxPixels, room);
  } finally {
    library.destroy(handle);
  }
}

function decodeBy(
  { set, get, readHeader, decode }: TurboJpeg,
  handle: unknown,
  bytes: Uint8Array,
  maxPixels: number,
  room: PixelRoom | undefined,
): Pixels | undefined {
  set(handle, STOP_ON_WARNING, 1);
  set(handle, SCAN_LIMIT, MAX_SCANS);
  if (readHeader(handle, bytes, bytes.length) !== 0) return undefined;
  const width = get(handle, WIDTH);
  const height = get(handle, HEIGHT);
  if (width * height > maxPixels || get(handle, PRECISION) !== BITS) return undefined;
  if (get(handle, COLOUR_SPACE) >= CMYK) return undefined;
  const numBytes = width * height * 3;
  const data = room?.take(numBytes) ?? Buffer.allocUnsafeSlow(numBytes);
  if (decode(handle, bytes, bytes.length, data, 0, FORMAT_RGB) !== 0) return undefined;
  return { data, width, height, channels: 3 };
}
