/** Operations that move, pick or make elements. */
import { tf } from './engine.js';
import { bools, bytes, ints, normal, type OpCase, type OpRow, smallInts } from './engine-operands.js';
import { unary } from './engine-ops-elementwise.js';
import { at, type NdArray, ndArray, sum, transpose } from './engine-reference.js';

/** A case that only moves elements, on floats and again on integers. */
function moved(
  shapes: readonly number[][],
  run: OpCase['run'],
  expected: (...inputs: NdArray[]) => NdArray | NdArray[],
): OpCase[] {
  return [(s: number[]) => normal(s), smallInts].map((make) => ({
    inputs: shapes.map((s) => make(s)),
    run,
    expected,
  }));
}

const reshaped = (x: NdArray, shape: number[]): NdArray => ({ shape, data: x.data });

function concatenated(parts: NdArray[], axis: number): NdArray {
  const extents = parts.map((p) => p.shape[axis]!);
  const shape = parts[0]!.shape.map((d, i) => (i === axis ? sum(extents) : d));
  return ndArray(shape, (index) => {
    let part = 0;
    let along = index[axis]!;
    while (along >= extents[part]!) along -= extents[part++]!;
    return at(
      parts[part]!,
      index.map((i, d) => (d === axis ? along : i)),
    );
  });
}

const sliced = (x: NdArray, begin: number[], shape: number[]): NdArray =>
  ndArray(shape, (index) =>
    at(
      x,
      index.map((i, axis) => i + begin[axis]!),
    ),
  );

export const movementRows: OpRow[] = [
  {
    op: 'Reshape',
    cases: [
      ...moved(
        [[2, 3, 4]],
        (x) => tf.reshape(x!, [4, -1]),
        (x) => reshaped(x!, [4, 6]),
      ),
      ...moved(
        [[1, 1]],
        (x) => tf.reshape(x!, []),
        (x) => reshaped(x!, []),
      ),
      {
        inputs: [bytes([2, 6])],
        run: (x) => tf.cast(tf.reshape(x!, [3, 4]), 'float32'),
        expected: (x) => reshaped(x!, [3, 4]),
      },
    ],
  },
  {
    op: 'ExpandDims',
    cases: [
      ...moved(
        [[2, 3]],
        (x) => tf.expandDims(x!, 0),
        (x) => reshaped(x!, [1, 2, 3]),
      ),
      ...moved(
        [[2, 3]],
        (x) => tf.expandDims(x!, -1),
        (x) => reshaped(x!, [2, 3, 1]),
      ),
      ...moved(
        [[]],
        (x) => tf.expandDims(x!, 0),
        (x) => reshaped(x!, [1]),
      ),
    ],
  },
  {
    op: 'Transpose',
    cases: [
      ...[
        [1, 0, 2],
        [2, 0, 1],
        [0, 1, 2],
      ].flatMap((order) =>
        moved(
          [[2, 3, 4]],
          (x) => tf.transpose(x!, order),
          (x) => transpose(x!, order),
        ),
      ),
      // Only axes of length 1 change places: no element moves.
      ...moved(
        [[3, 1, 4, 1]],
        (x) => tf.transpose(x!, [1, 0, 3, 2]),
        (x) => transpose(x!, [1, 0, 3, 2]),
      ),
      {
        inputs: [bytes([2, 3, 2, 2])],
        run: (x) => tf.cast(tf.transpose(x!, [0, 2, 1, 3]), 'float32'),
        expected: (x) => transpose(x!, [0, 2, 1, 3]),
      },
    ],
  },
  {
    op: 'Slice',
    cases: [
      ...moved(
        [[4, 5]],
        (x) => tf.slice(x!, [1, 2], [2, -1]),
        (x) => sliced(x!, [1, 2], [2, 3]),
      ),
      ...moved(
        [[3, 2, 3]],
        (x) => tf.slice(x!, [2, 0, 1], [1, 2, 1]),
        (x) => sliced(x!, [2, 0, 1], [1, 2, 1]),
      ),
    ],
  },
  {
    op: 'ConcatV2',
    cases: [
      ...moved(
        [
          [2, 3],
          [1, 3],
          [4, 3],
        ],
        (...xs) => tf.concat(xs, 0),
        (...xs) => concatenated(xs, 0),
      ),
      ...moved(
        [
          [2, 1, 3],
          [2, 1, 2],
        ],
        (...xs) => tf.concat(xs, -1),
        (...xs) => concatenated(xs, 2),
      ),
    ],
  },
  {
    op: 'Pack',
    cases: [0, 1, -1].flatMap((axis) =>
      moved(
        [
          [2, 3],
          [2, 3],
          [2, 3],
        ],
        (...xs) => tf.stack(xs, axis),
        (...xs) => {
          const along = (axis + 3) % 3;
          const shape = [2, 3];
          shape.splice(along, 0, 1);
          return concatenated(
            xs.map((x) => reshaped(x, shape)),
            along,
          );
        },
      ),
    ),
  },
  {
    op: 'SplitV',
    cases: [
      ...moved(
        [[2, 6]],
        (x) => tf.split(x!, [1, 3, 2], 1),
        (x) => [sliced(x!, [0, 0], [2, 1]), sliced(x!, [0, 1], [2, 3]), sliced(x!, [0, 4], [2, 2])],
      ),
      ...moved(
        [[4, 3]],
        (x) => tf.split(x!, 2, 0),
        (x) => [sliced(x!, [0, 0], [2, 3]), sliced(x!, [2, 0], [2, 3])],
      ),
    ],
  },
  {
    op: 'Tile',
    cases: [
      ...moved(
        [[2, 3]],
        (x) => tf.tile(x!, [2, 3]),
        (x) => ndArray([4, 9], ([i, j]) => at(x!, [i! % 2, j! % 3])),
      ),
      ...moved(
        [[1, 1, 3]],
        (x) => tf.broadcastTo(x!, [2, 4, 3]),
        (x) => ndArray([2, 4, 3], (index) => at(x!, index)),
      ),
      ...moved(
        [[3]],
        (x) => tf.broadcastTo(x!, [2, 1, 3]),
        (x) => ndArray([2, 1, 3], (index) => at(x!, index)),
      ),
    ],
  },
  {
    op: 'GatherV2',
    cases: [
      {
        inputs: [normal([5, 3]), ints([4, 0, 4, 1])],
        run: (x, ids) => tf.gather(x!, ids as tf.Tensor1D),
        expected: (x, ids) => ndArray([4, 3], ([i, j]) => at(x!, [ids!.data[i!]!, j!])),
      },
      {
        inputs: [normal([2, 5, 3]), ints([4, 0, 4, 1, 2, 2], [2, 3])],
        run: (x, ids) => tf.gather(x!, ids!, 1),
        expected: (x, ids) =>
          ndArray([2, 2, 3, 3], ([b, i, j, c]) => at(x!, [b!, ids!.data[i! * 3 + j!]!, c!])),
        gradient: false, // tfjs's own handles one axis of indices.
      },
      {
        inputs: [smallInts([5]), ints([3, 3, 0])],
        run: (x, ids) => tf.gather(x!, ids as tf.Tensor1D),
        expected: (x, ids) => ndArray([3], ([i]) => x!.data[ids!.data[i!]!]!),
      },
    ],
  },
  {
    op: 'UnsortedSegmentSum',
    // Segment 1 gets nothing and is 0.
    cases: [normal, smallInts].map((make) => ({
      inputs: [make([5, 2]), ints([3, 0, 3, 3, 2])],
      run: (x, ids) => tf.unsortedSegmentSum(x!, ids as tf.Tensor1D, 4),
      expected: (x, ids) =>
        ndArray([4, 2], ([segment, j]) =>
          sum([0, 1, 2, 3, 4].map((row) => (ids!.data[row] === segment ? at(x!, [row, j!]) : 0))),
        ),
    })),
  },
  {
    op: 'OneHot',
    cases: (
      [
        ['float32', 1, 0],
        ['int32', 5, -2],
      ] as const
    ).map(([dtype, on, off]) => ({
      // An index outside has no hot element.
      inputs: [ints([0, 3, -1, 2, 4, 0], [2, 3])],
      run: (ids) => tf.oneHot(ids!, 4, on, off, dtype),
      expected: (ids) => ndArray([2, 3, 4], ([i, j, k]) => (at(ids!, [i!, j!]) === k ? on : off)),
    })),
    noGradient: 'its input is an integer',
  },
  {
    op: 'Fill',
    cases: (
      [
        [[2, 3], 1.5, 'float32'],
        [[], -2, 'float32'],
        [[5], 7, 'int32'],
      ] as const
    ).map(([shape, value, dtype]) => ({
      inputs: [],
      run: () => tf.fill([...shape], value, dtype),
      expected: () => ndArray(shape, () => value),
    })),
    noGradient: 'it has no input',
  },
  ...(
    [
      ['ZerosLike', tf.zerosLike, 0],
      ['OnesLike', tf.onesLike, 1],
    ] as const
  ).map(([op, run, value]) => unary(op, run, () => value, [normal([2, 3]), smallInts([4]), bools([0, 1])])),
];
