/** TensorFlow's data types (`TF_DataType`), as far as the engine meets them. */
export const DType = {
  float32: 1,
  float64: 2,
  int32: 3,
  uint8: 4,
  string: 7,
  complex64: 8,
  int64: 9,
  bool: 10,
  bfloat16: 14,
  resource: 20,
  uint64: 23,
} as const;

/** Bytes of one element of a dense type. */
export function elementBytes(dtype: number): number {
  switch (dtype) {
    case DType.float32:
    case DType.int32:
      return 4;
    case DType.uint8:
    case DType.bool:
      return 1;
    case DType.bfloat16:
      return 2;
    case DType.float64:
    case DType.int64:
    case DType.uint64:
    case DType.complex64:
      return 8;
    default:
      throw new RangeError(`dtype ${dtype} has no fixed size`);
  }
}

/** The product of a shape's dimensions. */
export function sizeOf(shape: readonly number[]): number {
  let size = 1;
  for (const dimension of shape) size *= dimension;
  return size;
}

/** A shape as the C API takes it. */
export function dims(shape: readonly number[]): BigInt64Array {
  return BigInt64Array.from(shape, BigInt);
}
