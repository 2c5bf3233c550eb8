/** Operations along axes, and products. */
import { tf } from './engine.js';
import {
  bools,
  floats,
  ints,
  normal,
  type OpCase,
  type Operand,
  type OpRow,
  positive,
  size,
  smallInts,
} from './engine-operands.js';
import { at, conv2d, elementwise, matMul, ndArray, reduce, softmax, sum } from './engine-reference.js';

type Reduction = (x: tf.Tensor, axes?: number | number[], keepDims?: boolean) => tf.Tensor;

/** Axes to reduce over, of a [4, 1, 5]. */
const axesOf: readonly (readonly [axes: number[], keepDims: boolean])[] = [
  [[0], false],
  [[-1], true],
  [[1], false],
  [[1], true],
  [[0, 2], false],
  [[0, 1, 2], false],
];

function reductions(
  run: Reduction,
  f: (values: number[]) => number,
  input: (shape: number[]) => Operand,
): OpCase[] {
  return axesOf.map(([axes, keepDims]) => ({
    inputs: [input([4, 1, 5])],
    run: (x) => run(x!, axes, keepDims),
    expected: (x) => reduce(x!, axes, keepDims, f),
  }));
}

/**
 * Of a product and a sum, which XLA may do in one instruction or in two: a gradient that looks for the elements
 * equal to the result misses some where value and gradient round differently.
 */
const extremeOfComputed = (run: Reduction, f: (values: number[]) => number): OpCase => ({
  inputs: [normal([24, 8]), normal([24, 8]), normal([8])],
  run: (x, a, b) => run(tf.add(tf.mul(x!, a!), b!), 1),
  expected: (x, a, b) =>
    reduce(
      elementwise((x, a, b) => x! * a! + b!, x!, a!, b!),
      [1],
      false,
      f,
    ),
});

/** More than 4096 bytes, summed over leading axes: the engine leaves these to TensorFlow's kernel. */
const columnSum = (axes: number[]): OpCase => ({
  inputs: [normal([13, 11, 9])],
  run: (x) => tf.sum(x!, axes),
  expected: (x) => reduce(x!, axes, false, sum),
  gradient: false, // The same as of the small ones; a thousand differences would take long.
});
const isPositive = (x: number): number => Number(x > 0);

export const reductionRows: OpRow[] = [
  {
    op: 'Sum',
    cases: [
      ...reductions(tf.sum, sum, normal),
      ...reductions(tf.sum, sum, smallInts),
      columnSum([0]),
      columnSum([0, 1]),
    ],
  },
  { op: 'Mean', cases: reductions(tf.mean, (v) => sum(v) / v.length, normal) },
  {
    op: 'Max',
    cases: [
      ...reductions(tf.max, (v) => Math.max(...v), normal),
      ...reductions(tf.max, (v) => Math.max(...v), smallInts),
      extremeOfComputed(tf.max, (v) => Math.max(...v)),
    ],
  },
  {
    op: 'Min',
    cases: [
      ...reductions(tf.min, (v) => Math.min(...v), normal),
      extremeOfComputed(tf.min, (v) => Math.min(...v)),
    ],
  },
  {
    op: 'Prod',
    cases: reductions(tf.prod, (v) => v.reduce((a, b) => a * b), positive),
    noGradient: "tfjs's fails for negative axes, and no model takes it",
  },
  ...(
    [
      ['All', tf.all, (v: number[]) => Number(v.every(Boolean))],
      ['Any', tf.any, (v: number[]) => Number(v.some(Boolean))],
    ] as const
  ).map(([op, run, f]) => ({
    op,
    cases: reductions(run, f, (shape) =>
      bools(
        Array.from({ length: size(shape) }, (_, i) => isPositive((i * 5) % 7)),
        shape,
      ),
    ),
    noGradient: 'its result is boolean',
  })),
  {
    op: 'Softmax',
    cases: [
      ...[[2, 3, 7], [3, 1], [9]].map(
        (shape): OpCase => ({
          inputs: [normal(shape, 2)],
          run: (x) => tf.softmax(x!),
          expected: (x) => softmax(x!),
        }),
      ),
      {
        // A masked key has weight 0, to the bit.
        inputs: [floats([1, -1e30, 0.5, -1e30, 300, -1e30], [2, 3])],
        run: (x) => tf.softmax(x!),
        expected: (x) => softmax(x!),
        floor: 1e-30,
        gradient: false,
      },
    ],
  },
  {
    op: 'ArgMax',
    cases: [
      [normal([3, 5]), -1],
      [normal([3, 5]), 0],
      [ints([4, 9, 9, 1, 0, 9, 2, 9], [2, 4]), 1], // Of equal ones the first.
      [smallInts([3, 1]), 1],
    ].map(([x, axis]) => ({
      inputs: [x as Operand],
      run: (t) => tf.argMax(t!, axis as number),
      expected: (a) => reduce(a!, [axis as number], false, (v) => v.indexOf(Math.max(...v))),
    })),
    noGradient: 'its result is an integer',
  },
];

function productCases(shapes: readonly (readonly [number[], number[]])[]): OpCase[] {
  return shapes.flatMap(([a, b]) =>
    [false, true].flatMap((transposeA) =>
      [false, true].map((transposeB) => {
        const swapped = (shape: number[], swap: boolean): number[] =>
          swap ? [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!] : shape;
        return {
          inputs: [normal(swapped(a, transposeA)), normal(swapped(b, transposeB))],
          run: (x, y) => tf.matMul(x!, y!, transposeA, transposeB),
          expected: (x, y) => matMul(x!, y!, transposeA, transposeB),
        } satisfies OpCase;
      }),
    ),
  );
}

const convolution = (extent: number, stride: number, pad: 'same' | 'valid'): OpCase => ({
  inputs: [normal([2, extent, 5, 2]), normal([3, 3, 2, 3])],
  run: (x, w) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, stride, pad),
  expected: (x, w) => conv2d(x!, w!, stride, pad),
});

export const productRows: OpRow[] = [
  {
    op: 'MatMul',
    cases: productCases([
      [
        [3, 5],
        [5, 4],
      ],
      [
        [1, 7],
        [7, 1],
      ],
    ]),
  },
  {
    op: 'BatchMatMulV2',
    cases: [
      ...productCases([
        [
          [2, 3, 5],
          [2, 5, 4],
        ],
        [
          [2, 1, 1, 3],
          [2, 1, 3, 5],
        ],
      ]),
      // tfjs's gradient does not sum over batch axes that were broadcast.
      ...productCases([
        [
          [2, 1, 3, 4],
          [1, 5, 4, 2],
        ],
      ]).map((c) => ({ ...c, gradient: false })),
    ],
  },
  { op: 'Conv2D', cases: [convolution(4, 1, 'same'), convolution(6, 2, 'same'), convolution(5, 2, 'valid')] },
  {
    op: 'Conv2DBackpropInput',
    cases: [
      {
        inputs: [normal([1, 2, 3, 3]), normal([2, 2, 2, 3])],
        run: (x, w) => tf.conv2dTranspose(x as tf.Tensor4D, w as tf.Tensor4D, [1, 4, 6, 2], 2, 'same'),
        // Windows do not overlap here: each input element gives one window of outputs.
        expected: (x, w) =>
          ndArray([1, 4, 6, 2], ([b, i, j, c]) =>
            sum([0, 1, 2].map((o) => at(x!, [b!, i! >> 1, j! >> 1, o]) * at(w!, [i! % 2, j! % 2, c!, o]))),
          ),
      },
    ],
  },
  {
    op: 'DepthwiseConv2dNative',
    cases: [
      {
        inputs: [normal([2, 4, 5, 2]), normal([3, 3, 2, 2])],
        run: (x, w) => tf.depthwiseConv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, 'same'),
        expected: (x, w) => conv2d(x!, w!, 1, 'same', true),
      },
    ],
  },
];
