/** Each rewrite leaves a shorter program that gives the same bits. */
import { describe, expect, it } from 'vitest';
import { AttrKind } from '../../../src/engine/binding.js';
import { DType } from '../../../src/engine/dtypes.js';
import { backward, tf, uint8Tensor } from '../../../src/engine/index.js';
import { constant, INPUT, Node, type Program } from '../../../src/engine/ir.js';
import { executeOp } from '../../../src/engine/session.js';
import { simplify } from '../../../src/engine/simplify.js';
import '../../support/engine.js';
import { operations, opNames, record, run } from '../../support/engine-programs.js';
import { numbers } from '../../support/gradients.js';

type Fn = (...inputs: tf.Tensor[]) => tf.Tensor[];

/** The bytes of each result, shapes and types; then the results are gone. */
function contents(tensors: tf.Tensor[]): unknown[] {
  const all = tensors.map((t) => ({
    shape: t.shape,
    dtype: t.dtype,
    bytes: Buffer.from(new Uint8Array(t.dataSync().slice().buffer)).toString('hex'),
  }));
  tf.dispose(tensors);
  return all;
}

/** Simplifies what `fn` records; expects the same results, bit by bit, and the operations that are left. */
function expectLeft(fn: Fn, inputs: tf.Tensor[], left: string[]): Program {
  const program = record(fn, inputs);
  const simple = simplify(program);
  expect(contents(run(simple, inputs))).toEqual(contents(run(program, inputs)));
  expect(opNames(simple)).toEqual(left);
  tf.dispose(inputs);
  return simple;
}

const normal = (...shape: number[]): tf.Tensor =>
  tf.tensor(
    numbers(
      shape.reduce((a, b) => a * b, 1),
      `simplify ${shape}`,
    ),
    shape,
  );
/** Keeps a rewrite from reaching a function's input: negation is never rewritten. */
const neg = (x: tf.Tensor): tf.Tensor => tf.neg(x);

describe('what goes', () => {
  it.each<[what: string, fn: Fn, shape: number[], left: string[]]>([
    ['an identity', (x) => [tf.clone(neg(x!))], [3], ['Neg']],
    ['a cast to the same type', (x) => [castToFloat(neg(x!))], [3], ['Neg']],
    ['a reshape to the same shape', (x) => [tf.reshape(neg(x!), [2, 3])], [2, 3], ['Neg']],
    ['a transpose that moves nothing', (x) => [transposeOp(neg(x!), [0, 1, 2])], [2, 3, 4], ['Neg']],
    ['a sum over an axis of 1, kept', (x) => [tf.sum(neg(x!), 1, true)], [3, 1], ['Neg']],
    ['a tile by ones', (x) => [tf.tile(neg(x!), [1, 1])], [2, 3], ['Neg']],
    ['a product with 1', (x) => [tf.mul(neg(x!), 1), tf.mul(tf.ones([3]), neg(x!))], [3], ['Neg']],
    ['a quotient by 1', (x) => [tf.div(neg(x!), 1)], [3], ['Neg']],
    ['what no output needs', (x) => [tf.exp(tf.log(x!)), neg(x!)].slice(1), [3], ['Neg']],
  ])('%s', (_, fn, shape, left) => {
    expectLeft(fn, [normal(...shape)], left);
  });

  it.each<[what: string, fn: Fn, shape: number[], left: string[]]>([
    ['a product with 1 that broadcasts', (x) => [tf.mul(x!, tf.ones([2, 3]))], [3], ['Mul']],
    ['a product with 2', (x) => [tf.mul(x!, 2)], [3], ['Mul']],
    ['a quotient of 1', (x) => [tf.div(1, x!)], [3], ['RealDiv']],
    ['a sum over a longer axis', (x) => [tf.sum(x!, 0)], [3, 1], ['Sum']],
    ['a sum over axes of which one is longer', (x) => [tf.sum(x!, [0, 1])], [3, 1], ['Sum']],
    ['a tile by more than ones', (x) => [tf.tile(x!, [1, 2])], [2, 3], ['Tile']],
    ['a transpose that moves elements', (x) => [tf.transpose(x!, [0, 2, 1])], [1, 2, 3], ['Transpose']],
  ])('but not %s', (_, fn, shape, left) => {
    expectLeft(fn, [normal(...shape)], left);
  });
});

describe('what becomes something simpler', () => {
  it.each<[what: string, fn: Fn, shape: number[], left: string[]]>([
    ['a chain of reshapes is one', (x) => [tf.reshape(tf.reshape(x!, [6]), [3, 2])], [2, 3], ['Reshape']],
    [
      'a reshape there and back is none',
      (x) => [neg(tf.reshape(tf.reshape(x!, [6]), [2, 3]))],
      [2, 3],
      ['Neg'],
    ],
    [
      'a reshape of an expanded tensor is one',
      (x) => [tf.reshape(tf.expandDims(tf.reshape(x!, [6]), 0), [3, 2])],
      [2, 3],
      ['Reshape'],
    ],
    [
      'a transpose of axes of 1 is a reshape',
      (x) => [tf.transpose(x!, [0, 2, 1, 3])],
      [2, 1, 3, 4],
      ['Reshape'],
    ],
    ['a maximum over axes of 1 is a reshape', (x) => [tf.max(x!, [1, 2])], [3, 1, 1], ['Reshape']],
    ['zeros and ones like a tensor are constants', (x) => [tf.zerosLike(x!), tf.onesLike(x!)], [3], []],
    ['a filled tensor is a constant', () => [tf.fill([2, 3], 2.5), tf.fill([2], 7, 'int32')], [1], []],
    ['a reshaped constant is a constant', () => [tf.reshape(tf.tensor1d([1, 2, 3, 4]), [2, 2])], [1], []],
  ])('%s', (_, fn, shape, left) => {
    expectLeft(fn, [normal(...shape)], left);
  });

  it.each([
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ])('a product keeps its transpositions (%s, %s)', (a, b) => {
    // Sums of small integers are exact in whichever order.
    const matrix = (from: number): tf.Tensor => tf.range(from, from + 9).reshape([3, 3]);
    const program = expectLeft((x, y) => [tf.matMul(x!, y!, a, b)], [matrix(-4), matrix(2)], ['MatMul']);
    const [product] = operations(program);
    expect([product!.attr('transpose_a'), product!.attr('transpose_b')]).toEqual([a, b]);
  });

  it('tensors without elements stay without', () => {
    expectLeft(
      (x) => [tf.zerosLike(x!), tf.fill([2, 0], 1), tf.concat([x!, tf.onesLike(x!)], 1)],
      [normal(2, 0)],
      ['ZerosLike', 'Fill', 'OnesLike', 'ConcatV2'],
    );
  });

  it('an integer tensor of bytes keeps its element type', () => {
    const bytes = uint8Tensor(Uint8Array.of(1, 2, 3, 255), [2, 2]);
    expectLeft((x) => [tf.cast(tf.transpose(x!), 'float32')], [bytes], ['Transpose', 'Cast']);
  });
});

describe('equal things', () => {
  it('are computed once, constants included', () => {
    const program = expectLeft(
      (x) => [tf.add(tf.exp(tf.mul(x!, 3)), 1), tf.add(tf.exp(tf.mul(x!, 3)), 1)],
      [normal(3)],
      ['Mul', 'Exp', 'Add'],
    );
    expect(program.nodes.filter((n) => n.op === 'Const')).toHaveLength(2);
    expect(program.outputs[0]).toBe(program.outputs[1]);
  });

  it('are told apart by attribute, by input and by type of constant', () => {
    expectLeft(
      (x) => [
        tf.matMul(x!, x!),
        tf.matMul(x!, x!, true),
        tf.sub(x!, tf.neg(x!)),
        tf.sub(tf.neg(x!), x!),
        tf.cast(tf.fill([2], 0, 'int32'), 'float32'),
        tf.cast(tf.fill([2], 0, 'float32'), 'int32'),
      ],
      [normal(3, 3)],
      ['MatMul', 'MatMul', 'Neg', 'Sub', 'Sub', 'Cast', 'Cast'],
    );
  });

  it('of forward and backward pass stay two, for the backward pass to compute again', () => {
    expectLeft((x) => [tf.exp(x!), ...backward(() => [tf.exp(x!), tf.exp(x!)])], [normal(3)], ['Exp', 'Exp']);
  });

  it('each output of an operation of several stays itself', () => {
    expectLeft((x) => [...tf.split(x!, [1, 2]), ...tf.split(x!, [1, 2]).reverse()], [normal(3)], ['SplitV']);
  });
});

describe('an order that is asked for', () => {
  /** exp(x) and, computed after `first`, x again; as `remat` asks for it. */
  function ordered(first: (x: Node, nodes: Node[]) => Node): { program: Program; barrier: Node } {
    const input = new Node(INPUT, [], []);
    input.addOutput(DType.float32, [2, 1]);
    const nodes = [input];
    const before = first(input, nodes);
    const barrier = new Node('Identity', [], [input.out]);
    barrier.addOutput(DType.float32, [2, 1]);
    barrier.controls.push(before);
    nodes.push(barrier);
    return { program: { nodes, inputs: [input], outputs: [before.out, barrier.out] }, barrier };
  }

  const exponential = (x: Node, nodes: Node[]): Node => {
    const node = new Node('Exp', [], [x.out]);
    node.addOutput(DType.float32, [2, 1]);
    nodes.push(node);
    return node;
  };

  const controlsLeft = (program: Program): string[] => {
    const simple = simplify(simplify(program));
    const barrier = simple.nodes.find((n) => n.op === 'Identity');
    for (const control of barrier?.controls ?? []) expect(simple.nodes).toContain(control);
    return barrier?.controls.map((n) => n.op) ?? ['no barrier'];
  };

  it('is kept, and the operation that waits is not taken for one that does nothing', () => {
    expect(controlsLeft(ordered(exponential).program)).toEqual(['Exp']);
  });

  it('is kept where the awaited operation is replaced by another', () => {
    const reshaped = (x: Node, nodes: Node[]): Node => {
      const source = exponential(x, nodes);
      const shape = constant(Int32Array.of(2, 1), DType.int32, [2]);
      const node = new Node('Reshape', [], [source.out, shape.out]);
      node.addOutput(DType.float32, [2, 1]);
      nodes.push(shape, node);
      return node;
    };
    expect(controlsLeft(ordered(reshaped).program)).toEqual(['Exp']);
    const twice = (x: Node, nodes: Node[]): Node => {
      exponential(x, nodes);
      return exponential(x, nodes);
    };
    expect(controlsLeft(ordered(twice).program)).toEqual(['Exp']);
  });
});

/** tfjs leaves these out itself; other callers of the recorder may not. */
function castToFloat(x: tf.Tensor): tf.Tensor {
  return executeOp('Cast', [{ name: 'DstT', type: AttrKind.type, value: DType.float32 }], [x]);
}

function transposeOp(x: tf.Tensor, order: number[]): tf.Tensor {
  return executeOp('Transpose', [], [x, tf.tensor1d(order, 'int32')]);
}
