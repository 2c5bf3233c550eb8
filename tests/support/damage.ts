/** Seeded damage to files. */

/** Whole numbers from 0 to `below - 1`, the same for the same seed (mulberry32). */
export function dice(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** Numbers that lengths and counts are at their worst. */
const lengths = [0, 1, 0x7f, 0xff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

/** Bytes with some of them flipped, overwritten by absurd lengths, cut off, doubled or left out. */
export function damaged(bytes: Uint8Array, roll: (below: number) => number): Uint8Array {
  const out = Buffer.from(bytes);
  const kind = roll(10);
  // The ends of files are where they describe themselves.
  const place = (): number => (roll(2) === 0 ? roll(out.length) : Math.max(0, out.length - 1 - roll(2000)));
  if (kind < 4) {
    for (let i = 1 + roll(4); i > 0; i--) {
      const at = place();
      out[at] = (out[at] as number) ^ (1 << roll(8));
    }
  } else if (kind < 6) {
    for (let i = 1 + roll(3); i > 0; i--) out[place()] = roll(256);
  } else if (kind < 8) {
    const at = Math.min(place(), out.length - 4);
    out.writeUInt32LE(lengths[roll(lengths.length)] as number, at);
    if (roll(2) === 0 && at + 8 <= out.length)
      out.writeUInt32LE(lengths[roll(lengths.length)] as number, at + 4);
    // As the numbers of Thrift are written.
    if (roll(3) === 0) out.fill(0xff, at, Math.min(out.length, at + 4 + roll(12)));
  } else if (kind === 8) {
    return out.subarray(0, roll(out.length));
  } else {
    const [from, to] = [place(), place()].sort((a, b) => a - b) as [number, number];
    const parts =
      roll(2) === 0 ? [out.subarray(0, from), out.subarray(to)] : [out.subarray(0, to), out.subarray(from)];
    return Buffer.concat(parts);
  }
  return out;
}
