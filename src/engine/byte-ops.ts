/**
 * Tensors of bytes are int32 to tfjs, so they must count as int32 does: TensorFlow's own arithmetic on uint8
 * wraps at 256.
 */
import { DType } from './dtypes.js';

/** Operations that only move the elements of their first input, or cast them. */
const MOVES: ReadonlySet<string> = new Set([
  'Cast',
  'ExpandDims',
  'GatherV2',
  'Identity',
  'Reshape',
  'Reverse',
  'ReverseV2',
  'Slice',
  'Squeeze',
  'StridedSlice',
  'Tile',
  'Transpose',
]);

/**
 * Whether an operation needs an input as int32 that is there as bytes. Those that only move elements take
 * them as they are, so that a picture stays one byte an element up to its cast.
 *
 * @param input index among the operation's inputs
 */
export function needsInt32(op: string, input: number, dtype: number): boolean {
  return dtype === DType.uint8 && !(input === 0 && MOVES.has(op));
}
