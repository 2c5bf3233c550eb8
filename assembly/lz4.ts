/**
 * A block of LZ4, for `src/data/sources/codecs.ts`, which lays out the memory.
 *
 * Source: https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md.
 */

/** Copies of this many bytes at most are made whole, and may write more than is asked for, but not beyond the end. */
const LANES: usize = 16;

/**
 * Decodes the block in `[from, fromEnd)` to `to`, where matches may reach back to `outputStart`.
 *
 * @returns where the output ended; 0 for a block that is damaged, or makes more than fits before `toEnd`
 */
export function block(from: usize, fromEnd: usize, outputStart: usize, to: usize, toEnd: usize): usize {
  while (from < fromEnd) {
    const token = load<u8>(from++);
    let size: usize = token >> 4;
    if (size == 15) {
      let byte: u8;
      do {
        if (from >= fromEnd) return 0;
        byte = load<u8>(from++);
        size += byte;
      } while (byte == 255);
    }
    if (size > fromEnd - from || size > toEnd - to) return 0;
    if (size <= LANES && fromEnd - from >= LANES && toEnd - to >= LANES) v128.store(to, v128.load(from));
    else memory.copy(to, from, size);
    from += size;
    to += size;
    if (from >= fromEnd) break; // the last sequence has no match

    if (fromEnd - from < 2) return 0;
    const offset: usize = load<u16>(from);
    from += 2;
    size = (token & 15) + 4;
    if (size == 19) {
      let byte: u8;
      do {
        if (from >= fromEnd) return 0;
        byte = load<u8>(from++);
        size += byte;
      } while (byte == 255);
    }
    if (offset == 0 || offset > to - outputStart || size > toEnd - to) return 0;
    let match = to - offset;
    const end = to + size;
    if (offset >= LANES && toEnd - end >= LANES) {
      do {
        v128.store(to, v128.load(match));
        to += LANES;
        match += LANES;
      } while (to < end);
      to = end;
    } else if (offset >= size) {
      memory.copy(to, match, size);
      to = end;
    } else while (to < end) store<u8>(to++, load<u8>(match++)); // a match repeats what it makes
  }
  return to;
}
