/**
 * The operations that capstan's models, losses and optimizers are made of, each with inputs that matter for
 * it (broadcasting both ways, extents of 1, odd sizes, negative axes, every element type it is used with) and
 * the same in plain float64 arithmetic. `ops.test.ts` runs them; a model that records an operation which is
 * not here fails its coverage test.
 */
import { uint8Tensor } from '../../src/engine/index.js';
import { KeyedRandom } from '../../src/rng.js';
import { tf } from './engine.js';
import {
  at,
  conv2d,
  elementwise,
  erf,
  matMul,
  type NdArray,
  ndArray,
  reduce,
  roundHalfEven,
  softmax,
  sum,
  transpose,
} from './engine-reference.js';

/** An input with its values; `uint8` is `int32` to tfjs. */
export interface Operand {
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int32' | 'bool' | 'uint8';
  readonly values: Float32Array | Int32Array | Uint8Array;
}

/** One use of an operation. */
export interface OpCase {
  readonly inputs: readonly Operand[];
  readonly run: (...inputs: tf.Tensor[]) => tf.Tensor | tf.Tensor[];
  readonly expected: (...inputs: NdArray[]) => NdArray | NdArray[];
  /** A gap is measured against the expected value or this, whichever is larger. Default 1. */
  readonly floor?: number;
  /** False where the gradient is not checked; the row or a comment says why. Default true. */
  readonly gradient?: boolean;
}

/** An operation, by TensorFlow's name. */
export interface OpRow {
  readonly op: string;
  readonly cases: readonly OpCase[];
  /** Largest relative gap of a float. Default 2e-6, some rounding errors of float32. */
  readonly tolerance?: number;
  /** Why there is no gradient to check. */
  readonly noGradient?: string;
}

const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

let nextKey = 0;

function random(shape: readonly number[], draw: (random: KeyedRandom) => number): Operand {
  const source = new KeyedRandom('engine-ops', nextKey++);
  return { shape, dtype: 'float32', values: Float32Array.from({ length: size(shape) }, () => draw(source)) };
}

const normal = (shape: readonly number[], spread = 1): Operand => random(shape, (r) => spread * r.normal());
/** In (0.3, 2.3), away from 0. */
const positive = (shape: readonly number[]): Operand => random(shape, (r) => 0.3 + 2 * r.uniform());
const floats = (values: readonly number[], shape: readonly number[] = [values.length]): Operand => ({
  shape,
  dtype: 'float32',
  values: Float32Array.from(values),
});
const ints = (values: readonly number[], shape: readonly number[] = [values.length]): Operand => ({
  shape,
  dtype: 'int32',
  values: Int32Array.from(values),
});
const bools = (values: readonly number[], shape: readonly number[] = [values.length]): Operand => ({
  shape,
  dtype: 'bool',
  values: Uint8Array.from(values),
});
const bytes = (shape: readonly number[]): Operand => ({
  shape,
  dtype: 'uint8',
  values: Uint8Array.from({ length: size(shape) }, (_, i) => (i * 37 + 11) % 256),
});
/** Integers from -3 to 3, every one of them. */
const smallInts = (shape: readonly number[]): Operand =>
  ints(
    Array.from({ length: size(shape) }, (_, i) => ((i * 5) % 7) - 3),
    shape,
  );

/** An operand as a tensor, owned by the caller. */
export function toTensor({ shape, dtype, values }: Operand): tf.Tensor {
  return dtype === 'uint8'
    ? uint8Tensor(values as Uint8Array, shape)
    : tf.tensor(values, [...shape], dtype as 'float32');
}

/** An operand as the reference takes it. */
export function toNdArray({ shape, values }: Operand): NdArray {
  return { shape, data: Float64Array.from(values) };
}

type Unary = (x: tf.Tensor) => tf.Tensor;
type Binary = (a: tf.Tensor, b: tf.Tensor) => tf.Tensor;

function unary(
  op: string,
  run: Unary,
  f: (x: number) => number,
  inputs: readonly Operand[],
  row: Partial<OpRow> = {},
): OpRow {
  return {
    op,
    cases: inputs.map((x) => ({
      inputs: [x],
      run: (t) => run(t!),
      expected: (a) => elementwise(f, a!),
    })),
    ...row,
  };
}

const pairs: readonly (readonly [number[], number[]])[] = [
  [[3, 5], [5]],
  [
    [1, 5],
    [3, 1],
  ],
  [
    [4, 1, 3],
    [2, 1],
  ],
  [[], [7]],
];

function binary(
  op: string,
  run: Binary,
  f: (a: number, b: number) => number,
  operands: readonly (readonly [Operand, Operand])[],
  row: Partial<OpRow> = {},
): OpRow {
  return {
    op,
    cases: operands.map((inputs) => ({
      inputs,
      run: (a, b) => run(a!, b!),
      expected: (a, b) => elementwise(f, a!, b!),
    })),
    ...row,
  };
}

/** Of these tfjs's gradient does not sum over axes that were broadcast: it is checked for equal shapes only. */
function sumlessGradient({ cases, ...row }: OpRow): OpRow {
  const { run, expected } = cases[0]!;
  return {
    ...row,
    cases: [
      { inputs: [normal([3, 5]), normal([3, 5])], run, expected },
      ...cases.map((c) => ({ ...c, gradient: false })),
    ],
  };
}

const floatPairs = (
  left: (shape: number[]) => Operand,
  right: (shape: number[]) => Operand,
): [Operand, Operand][] => pairs.map(([a, b]) => [left(a), right(b)]);
const intPairs = (): [Operand, Operand][] => pairs.slice(0, 2).map(([a, b]) => [smallInts(a), smallInts(b)]);

/** Also equal operands, of which random floats have none. */
const comparable = (): [Operand, Operand][] => [
  ...intPairs(),
  [floats([-1, 0, 0.5, 2, 0.5, -0.5]), floats([-1, 0.5, 0, 2, 0.5, 0.5])],
  [normal([2, 1, 3]), normal([4, 1])],
];

function comparison(op: string, run: Binary, f: (a: number, b: number) => boolean): OpRow {
  return binary(op, run, (a, b) => Number(f(a, b)), comparable(), { noGradient: 'its result is boolean' });
}

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

/** More than 4096 bytes, summed over leading axes: the engine leaves these to TensorFlow's kernel. */
const columnSum = (axes: number[]): OpCase => ({
  inputs: [normal([13, 11, 9])],
  run: (x) => tf.sum(x!, axes),
  expected: (x) => reduce(x!, axes, false, sum),
  gradient: false, // The same as of the small ones; a thousand differences would take long.
});

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

const isPositive = (x: number): number => Number(x > 0);
const floorMod = (a: number, b: number): number => a - b * Math.floor(a / b);

/** Values at which a careless formula overflows, cancels or loses all its digits. */
const far = (values: number[]): OpCase['inputs'][number] => floats(values);

function farCase(run: Unary, f: (x: number) => number, values: number[]): OpCase {
  return {
    inputs: [far(values)],
    run: (x) => run(x!),
    expected: (x) => elementwise(f, x!),
    floor: 1e-30,
    gradient: false, // Differences cannot resolve slopes like these.
  };
}

function withFar(row: OpRow, run: Unary, f: (x: number) => number, values: number[]): OpRow {
  return { ...row, cases: [...row.cases, farCase(run, f, values)] };
}

const unaryShapes = (make: (shape: number[]) => Operand): Operand[] => [make([3, 5]), make([])];
const wide = (shape: number[]): Operand => normal(shape, 2);
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

const elementwiseRows: OpRow[] = [
  unary('Neg', tf.neg, (x) => -x, [...unaryShapes(wide), smallInts([7])]),
  unary('Abs', tf.abs, Math.abs, [...unaryShapes(wide), smallInts([7])]),
  unary('Square', tf.square, (x) => x * x, [...unaryShapes(wide), smallInts([7])]),
  unary('Sqrt', tf.sqrt, Math.sqrt, unaryShapes(positive)),
  unary('Rsqrt', tf.rsqrt, (x) => 1 / Math.sqrt(x), unaryShapes(positive)),
  unary('Reciprocal', tf.reciprocal, (x) => 1 / x, unaryShapes(positive)),
  withFar(unary('Exp', tf.exp, Math.exp, unaryShapes(wide)), tf.exp, Math.exp, [-1e30, -80, -1e-7, 0, 80]),
  withFar(
    unary('Expm1', tf.expm1, Math.expm1, unaryShapes(wide)),
    tf.expm1,
    Math.expm1,
    [-80, -1e-7, 1e-7, 60],
  ),
  unary('Log', tf.log, Math.log, unaryShapes(positive)),
  withFar(
    unary('Log1p', tf.log1p, Math.log1p, unaryShapes(positive)),
    tf.log1p,
    Math.log1p,
    [-1e-7, 1e-7, 1e10],
  ),
  withFar(
    unary('Tanh', tf.tanh, Math.tanh, unaryShapes(wide)),
    tf.tanh,
    Math.tanh,
    [-80, -1e-7, 0, 1e-7, 80],
  ),
  withFar(
    unary('Sigmoid', tf.sigmoid, sigmoid, unaryShapes(wide)),
    tf.sigmoid,
    sigmoid,
    [-60, -1e-7, 0, 60, 200],
  ),
  withFar(
    unary('Softplus', tf.softplus, (x) => Math.log1p(Math.exp(x)), unaryShapes(wide)),
    tf.softplus,
    (x) => (x > 30 ? x : Math.log1p(Math.exp(x))),
    [-20, 0, 20, 200],
  ),
  unary('Erf', tf.erf, erf, [...unaryShapes(positive), floats([-3.9, -1, -1e-7, 0, 3.9])]),
  unary('Sign', tf.sign, Math.sign, unaryShapes(wide)),
  unary('Sin', tf.sin, Math.sin, unaryShapes(wide)),
  unary('Cos', tf.cos, Math.cos, unaryShapes(wide)),
  unary('Relu', tf.relu, (x) => Math.max(x, 0), unaryShapes(wide)),
  unary('Relu6', tf.relu6, (x) => Math.min(Math.max(x, 0), 6), [normal([5, 7], 6)]),
  unary('Elu', tf.elu, (x) => (x > 0 ? x : Math.expm1(x)), unaryShapes(wide)),
  unary(
    'LeakyRelu',
    (x) => tf.leakyRelu(x, 0.1),
    (x) => (x > 0 ? x : 0.1 * x),
    unaryShapes(wide),
  ),
  unary('Floor', tf.floor, Math.floor, unaryShapes(wide)),
  unary('Ceil', tf.ceil, Math.ceil, unaryShapes(wide)),
  unary('Round', tf.round, roundHalfEven, unaryShapes(wide)),
  // Values at the ties, where a difference would straddle a jump.
  unary('Round', tf.round, roundHalfEven, [floats([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])], {
    noGradient: 'it jumps at these values',
  }),
  ...(
    [
      ['IsNan', tf.isNaN, Number.isNaN],
      ['IsInf', tf.isInf, (x: number) => Math.abs(x) === Number.POSITIVE_INFINITY],
      ['IsFinite', tf.isFinite, Number.isFinite],
    ] as const
  ).map(([op, run, f]) =>
    unary(
      op,
      run,
      (x) => Number(f(x)),
      [floats([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -3e38])],
      { noGradient: 'its result is boolean' },
    ),
  ),
  unary(
    'LogicalNot',
    (x) => tf.logicalNot(x),
    (x) => Number(!x),
    [bools([0, 1, 1]), bools([1], [])],
    {
      noGradient: 'its result is boolean',
    },
  ),
  {
    op: 'Cast',
    cases: (
      [
        [smallInts([2, 4]), 'float32', (x: number) => x],
        [bytes([3, 5]), 'float32', (x: number) => x],
        [bools([0, 1, 1], [3, 1]), 'float32', (x: number) => x],
        [bools([0, 1, 1]), 'int32', (x: number) => x],
        [smallInts([7]), 'bool', (x: number) => Number(x !== 0)],
        [floats([-2.7, -0.5, 0, 0.5, 2.7]), 'int32', Math.trunc],
      ] as const
    ).map(([x, dtype, f]) => ({
      inputs: [x],
      run: (t) => tf.cast(t!, dtype),
      expected: (a) => elementwise(f, a!),
    })),
    noGradient: 'integers are not differentiated for',
  },
  binary('Add', tf.add, (a, b) => a + b, [...floatPairs(normal, normal), ...intPairs()]),
  binary('Sub', tf.sub, (a, b) => a - b, [...floatPairs(normal, normal), ...intPairs()]),
  binary('Mul', tf.mul, (a, b) => a * b, [...floatPairs(normal, normal), ...intPairs()]),
  binary('RealDiv', tf.div, (a, b) => a / b, floatPairs(normal, positive)),
  sumlessGradient(binary('Maximum', tf.maximum, Math.max, [...floatPairs(normal, normal), ...intPairs()])),
  sumlessGradient(binary('Minimum', tf.minimum, Math.min, [...floatPairs(normal, normal), ...intPairs()])),
  sumlessGradient(
    binary('SquaredDifference', tf.squaredDifference, (a, b) => (a - b) ** 2, floatPairs(normal, normal)),
  ),
  binary('Pow', tf.pow, (a, b) => a ** b, floatPairs(positive, normal), { tolerance: 5e-6 }),
  binary('FloorDiv', tf.floorDiv, (a, b) => Math.floor(a / b), [
    [smallInts([2, 7]), ints([2, -2, 3, -3, 1, 5, -1])],
  ]),
  binary('FloorMod', tf.mod, floorMod, [
    [smallInts([2, 7]), ints([2, -2, 3, -3, 1, 5, -1])],
    [normal([3, 5], 3), positive([5])],
  ]),
  comparison('Equal', tf.equal, (a, b) => a === b),
  comparison('NotEqual', tf.notEqual, (a, b) => a !== b),
  comparison('Less', tf.less, (a, b) => a < b),
  comparison('LessEqual', tf.lessEqual, (a, b) => a <= b),
  comparison('Greater', tf.greater, (a, b) => a > b),
  comparison('GreaterEqual', tf.greaterEqual, (a, b) => a >= b),
  ...(
    [
      ['LogicalAnd', tf.logicalAnd, (a: number, b: number) => a & b],
      ['LogicalOr', tf.logicalOr, (a: number, b: number) => a | b],
    ] as const
  ).map(([op, run, f]) =>
    binary(op, run, f, [[bools([0, 0, 1, 1], [4, 1]), bools([0, 1])]], {
      noGradient: 'its result is boolean',
    }),
  ),
  {
    op: 'Select',
    cases: [
      {
        inputs: [bools([1, 0, 1, 0, 0, 1], [2, 3]), normal([2, 3]), normal([2, 3])],
        run: (c, a, b) => tf.where(c!, a!, b!),
        expected: (c, a, b) => elementwise((c, a, b) => (c ? a! : b!), c!, a!, b!),
      },
      {
        inputs: [bools([1, 0], [2, 1]), normal([3]), normal([2, 3])],
        run: (c, a, b) => tf.where(c!, a!, b!),
        expected: (c, a, b) => elementwise((c, a, b) => (c ? a! : b!), c!, a!, b!),
      },
      {
        inputs: [bools([1, 0, 1]), ints([1, 2, 3]), ints([7, 8, 9])],
        run: (c, a, b) => tf.where(c!, a!, b!),
        expected: (c, a, b) => elementwise((c, a, b) => (c ? a! : b!), c!, a!, b!),
      },
      {
        // What is not selected must not show, whatever it is.
        inputs: [bools([1, 0]), floats([1, Number.NaN]), floats([Number.POSITIVE_INFINITY, 2])],
        run: (c, a, b) => tf.where(c!, a!, b!),
        expected: () => ndArray([2], ([i]) => i! + 1),
        gradient: false,
      },
    ],
  },
  {
    op: 'AddN',
    cases: [3, 1].map((count) => ({
      inputs: Array.from({ length: count }, () => normal([3, 5])),
      run: (...xs) => tf.addN(xs),
      expected: (...xs) => elementwise((...values) => sum(values), ...xs),
    })),
  },
];

const reductionRows: OpRow[] = [
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
    ],
  },
  { op: 'Min', cases: reductions(tf.min, (v) => Math.min(...v), normal) },
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

const movementRows: OpRow[] = [
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

const productRows: OpRow[] = [
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

export const opRows: readonly OpRow[] = [
  ...elementwiseRows,
  ...reductionRows,
  ...movementRows,
  ...productRows,
];
