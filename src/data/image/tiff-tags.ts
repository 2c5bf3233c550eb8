/** The first directory of a TIFF file, which is also what EXIF data is: short numbers by their tags. */

const SHORT = 3;
const LONG = 4;
const ENTRY_BYTES = 12;
const VALUE_AT = 8;

/** Tags of TIFF 6.0. */
export const TIFF = { bitsPerSample: 258, photometric: 262, orientation: 274 } as const;

/**
 * The first value of each tag of the first directory that is a whole number of 16 or 32 bits. Of damaged data those
 * that could be read.
 */
export function readTiffTags(data: Uint8Array): ReadonlyMap<number, number> {
  const tags = new Map<number, number>();
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (view.byteLength < 8) return tags;
  const order = view.getUint16(0);
  const little = order === 0x4949;
  if (!little && order !== 0x4d4d) return tags;
  const directory = view.getUint32(4, little);
  if (directory + 2 > view.byteLength) return tags;
  const numEntries = view.getUint16(directory, little);
  for (let i = 0; i < numEntries; i++) {
    const entry = directory + 2 + i * ENTRY_BYTES;
    if (entry + ENTRY_BYTES > view.byteLength) break;
    const type = view.getUint16(entry + 2, little);
    const size = type === SHORT ? 2 : 4;
    if (type !== SHORT && type !== LONG) continue;
    // Values of more than four bytes lie elsewhere.
    const inPlace = view.getUint32(entry + 4, little) * size <= 4;
    const at = inPlace ? entry + VALUE_AT : view.getUint32(entry + VALUE_AT, little);
    if (at + size > view.byteLength) continue;
    tags.set(
      view.getUint16(entry, little),
      type === SHORT ? view.getUint16(at, little) : view.getUint32(at, little),
    );
  }
  return tags;
}
