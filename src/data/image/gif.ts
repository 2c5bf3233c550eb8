/** What Pillow makes of a GIF's first frame and libvips does not: a transparent pixel has the colour of its index. */

const COLOUR_TABLE = 0x80;
const EXTENSION = 0x21;
const GRAPHIC_CONTROL = 0xf9;
const TRANSPARENT = 1;

/** The file, its first frame without a transparent colour. Damaged files are left as they are. */
export function withoutTransparency(bytes: Uint8Array): Uint8Array {
  const packed = bytes[10] as number;
  let at = 13 + ((packed & COLOUR_TABLE) === 0 ? 0 : 3 * 2 ** ((packed & 7) + 1));
  while (bytes[at] === EXTENSION) {
    if (bytes[at + 1] === GRAPHIC_CONTROL && ((bytes[at + 3] ?? 0) & TRANSPARENT) !== 0) {
      const opaque = bytes.slice();
      opaque[at + 3] = (bytes[at + 3] as number) & ~TRANSPARENT;
      return opaque;
    }
    at += 2;
    while ((bytes[at] ?? 0) > 0) at += (bytes[at] as number) + 1;
    at++;
  }
  return bytes;
}
