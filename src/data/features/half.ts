/** Numbers of 32 bits to and from the 16 bits of IEEE half precision and of bfloat16. */

/** How the numbers of a store are kept. They are handed out as 32-bit ones. */
export type FeatureDtype = 'float32' | 'float16' | 'bfloat16';

/** Every dtype of a store. */
export const featureDtypes = ['float32', 'float16', 'bfloat16'] as const;

/** Bytes of a number. */
export const dtypeBytes: Readonly<Record<FeatureDtype, number>> = { float32: 4, float16: 2, bfloat16: 2 };

const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);

/** The half nearest to a number, of two the even one; infinity from 65,520 on. */
export function toHalf(value: number): number {
  float[0] = value;
  const bits = word[0] as number;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Subnormal: a multiple of 2^-24. Adding 0.5 leaves just these bits, rounded to even, at the end of the mantissa.
    float[0] = Math.abs(value) + 0.5;
    return sign | ((word[0] as number) - 0x3f000000);
  }
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
}

/** The bfloat16 nearest to a number, of two the even one. */
export function toBfloat(value: number): number {
  float[0] = value;
  const bits = word[0] as number;
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

function fromHalf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

let halves: Float32Array | undefined;

/** All 65,536 halves as 32-bit numbers. */
function halfTable(): Float32Array {
  halves ??= Float32Array.from({ length: 65_536 }, (_, half) => fromHalf(half));
  return halves;
}

/** Writes numbers to `out`, little-endian. `out` begins at a multiple of a number's bytes in its buffer. */
export function encodeFloats(values: Float32Array, dtype: FeatureDtype, out: Uint8Array): void {
  if (dtype === 'float32') {
    new Float32Array(out.buffer, out.byteOffset, values.length).set(values);
    return;
  }
  const words = new Uint16Array(out.buffer, out.byteOffset, values.length);
  const convert = dtype === 'float16' ? toHalf : toBfloat;
  for (let i = 0; i < values.length; i++) words[i] = convert(values[i] as number);
}

/** Reads `out.length` numbers. `bytes` begins at a multiple of a number's bytes in its buffer. */
export function decodeFloats(bytes: Uint8Array, dtype: FeatureDtype, out: Float32Array): void {
  if (dtype === 'float32') {
    out.set(new Float32Array(bytes.buffer, bytes.byteOffset, out.length));
    return;
  }
  const words = new Uint16Array(bytes.buffer, bytes.byteOffset, out.length);
  if (dtype === 'float16') {
    const table = halfTable();
    for (let i = 0; i < out.length; i++) out[i] = table[words[i] as number] as number;
    return;
  }
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
  for (let i = 0; i < out.length; i++) bits[i] = (words[i] as number) << 16;
}
