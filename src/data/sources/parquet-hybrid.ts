/**
 * Parquet's runs of small numbers (levels, places in a dictionary), either one value and how often, or packed bits.
 *
 * Source: https://github.com/apache/parquet-format/blob/master/Encodings.md ("Run Length Encoding / Bit-Packing Hybrid").
 */

/**
 * Checks runs of values of `width` bits that fill `count` places, none above `max`.
 *
 * @param output where the values go, if anywhere
 * @returns how many of them equal `max`
 * @throws Error that says what is wrong
 */
export function readHybrid(
  bytes: Uint8Array,
  width: number,
  count: number,
  max: number,
  output?: Uint8Array | Uint32Array,
): number {
  let [at, seen, numMax] = [0, 0, 0];
  while (seen < count) {
    let head = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] ?? fail(`runs of ${seen} values of ${count}`);
      head += (byte & 0x7f) * 2 ** shift;
      if (byte < 128) break;
      if (shift > 28) fail('a run without end');
    }
    const size = Math.floor(head / 2);
    if (head % 2 === 0) {
      if (size > count - seen) fail(`a run of ${size} values among ${count}`);
      let value = 0;
      for (let i = 0; i < Math.ceil(width / 8); i++)
        value += (bytes[at++] ?? fail('an unfinished run')) * 2 ** (8 * i);
      if (value > max && size > 0) fail(`a value of ${value}; at most ${max} can be`);
      if (value === max) numMax += size;
      output?.fill(value, seen, seen + size);
      seen += size;
      continue;
    }
    const numPacked = Math.min(size * 8, count - seen);
    // The last group may be cut off behind the last value.
    if (at + Math.ceil((numPacked * width) / 8) > bytes.length)
      fail(`a run to byte ${at + size * width} of ${bytes.length}`);
    numMax += readPacked(bytes, at, width, numPacked, max, output?.subarray(seen));
    at += size * width;
    seen += numPacked;
  }
  return numMax;
}

function readPacked(
  bytes: Uint8Array,
  start: number,
  width: number,
  count: number,
  max: number,
  output: Uint8Array | Uint32Array | undefined,
): number {
  let [at, bits, held, numMax] = [start, 0, 0, 0];
  // Wider values are put together in floating point: with what is held they have up to 39 bits.
  const range = 2 ** width;
  for (let i = 0; i < count; i++) {
    let value: number;
    if (width <= 24) {
      for (; held < width; held += 8) bits |= (bytes[at++] as number) << held;
      value = bits & (range - 1);
      bits >>>= width;
    } else {
      for (; held < width; held += 8) bits += (bytes[at++] as number) * 2 ** held;
      value = bits % range;
      bits = (bits - value) / range;
    }
    held -= width;
    if (value > max) fail(`a value of ${value}; at most ${max} can be`);
    if (value === max) numMax++;
    if (output !== undefined) output[i] = value;
  }
  return numMax;
}

/** Bits that values up to `value` take. */
export function bitWidth(value: number): number {
  return 32 - Math.clz32(value);
}

function fail(text: string): never {
  throw new Error(text);
}
