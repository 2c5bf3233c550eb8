/** Operations that work element by element. */
import { tf } from './engine.js';
import {
  bools,
  bytes,
  floats,
  ints,
  normal,
  type OpCase,
  type Operand,
  type OpRow,
  positive,
  smallInts,
} from './engine-operands.js';
import { elementwise, erf, ndArray, roundHalfEven, sum } from './engine-reference.js';

type Unary = (x: tf.Tensor) => tf.Tensor;
type Binary = (a: tf.Tensor, b: tf.Tensor) => tf.Tensor;

/** f of each element of each input. */
export function unary(
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

const floorMod = (a: number, b: number): number => a - b * Math.floor(a / b);

/** Values at which a careless formula overflows, cancels or loses all its digits. */
function farCase(run: Unary, f: (x: number) => number, values: number[]): OpCase {
  return {
    inputs: [floats(values)],
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

export const elementwiseRows: OpRow[] = [
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
  binary(
    'FloorDiv',
    tf.floorDiv,
    (a, b) => Math.floor(a / b),
    [[smallInts([2, 7]), ints([2, -2, 3, -3, 1, 5, -1])]],
    { noGradient: 'integers are not differentiated for' },
  ),
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
