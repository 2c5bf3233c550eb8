import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AttrKind } from '../../../src/engine/binding.js';
import { DType } from '../../../src/engine/dtypes.js';
import { Graph } from '../../../src/engine/graph.js';
import { typeAttr } from '../../../src/engine/ir.js';
import type { GraphOutput, Pointer } from '../../../src/engine/native.js';
import { session } from '../../../src/engine/session.js';
import { EngineError } from '../../../src/errors.js';
import '../../support/engine.js';

let graph: Graph;

beforeEach(() => {
  graph = new Graph(session().native, session().opDefs);
});

afterEach(() => graph.dispose());

const first = (oper: Pointer): GraphOutput => ({ oper, index: 0 });
const input = (dtype: number, ...shape: number[]): GraphOutput => first(graph.placeholder(dtype, shape));
const float = (...shape: number[]): GraphOutput => input(DType.float32, ...shape);

describe('Graph', () => {
  it('infers shapes and types', () => {
    const product = graph.add(
      'MatMul',
      [{ name: 'transpose_b', type: AttrKind.bool, value: true }],
      [float(2, 3), float(5, 3)],
    );
    expect(graph.numOutputs(product)).toBe(1);
    expect(graph.shape(first(product))).toEqual([2, 5]);
    expect(graph.dtype(first(product))).toBe(DType.float32);
  });

  it('leaves attributes that follow from the inputs to TensorFlow, so that an input may change its type', () => {
    const negated = graph.add('Neg', [typeAttr('T', DType.float32)], [input(DType.bfloat16, 2)]);
    expect(graph.dtype(first(negated))).toBe(DType.bfloat16);
  });

  it.each([2, 5])('hands over lists, of %i', (length) => {
    const parts = Array.from({ length }, () => float(2, 3));
    // A list as the only input, and one that another input follows.
    expect(graph.shape(first(graph.add('Pack', [], parts)))).toEqual([length, 2, 3]);
    const { binding, native } = session();
    const tensor = binding.newTensor([], DType.int32, Int32Array.of(1));
    const axis = first(graph.constant(tensor, DType.int32));
    native.deleteTensor(tensor);
    expect(graph.shape(first(graph.add('ConcatV2', [], [...parts, axis])))).toEqual([2, 3 * length]);
  });

  it('sets attributes of every kind that operations have', () => {
    const pooled = graph.add(
      'MaxPool',
      [
        { name: 'ksize', type: AttrKind.int, value: [1, 2, 2, 1] },
        { name: 'strides', type: AttrKind.int, value: [1, 2, 2, 1] },
        { name: 'padding', type: AttrKind.string, value: 'VALID' },
      ],
      [float(1, 4, 6, 3)],
    );
    expect(graph.shape(first(pooled))).toEqual([1, 2, 3, 3]);
    const hot = graph.add(
      'ArgMax',
      [{ name: 'output_type', type: AttrKind.type, value: DType.int32 }],
      [float(3, 4), input(DType.int32)],
    );
    expect(graph.dtype(first(hot))).toBe(DType.int32);
    const packed = graph.add('Pack', [{ name: 'axis', type: AttrKind.int, value: 1 }], [float(2), float(2)]);
    expect(graph.shape(first(packed))).toEqual([2, 2]);
    const leaky = (type: number): Pointer =>
      graph.add('LeakyRelu', [{ name: 'alpha', type, value: 0.3 }], [float(2)]);
    leaky(AttrKind.float);
    expect(() => leaky(17)).toThrow(/alpha has kind 17/);
    const shaped = graph.add(
      'PlaceholderWithDefault',
      [{ name: 'shape', type: AttrKind.shape, value: [2, 3] }],
      [float(2, 3)],
    );
    expect(graph.shape(first(shaped))).toEqual([2, 3]);
  });

  it('says which extents are not known, until it is told', () => {
    expect(graph.shape(first(graph.add('Where', [], [input(DType.bool, 4, 5)])))).toEqual([-1, 2]);
    const read = first(
      graph.add('ReadVariableOp', [typeAttr('dtype', DType.float32)], [input(DType.resource, 2, 3)]),
    );
    expect(graph.shape(read)).toBeUndefined();
    graph.setShape(read, [2, 3]);
    expect(graph.shape(read)).toEqual([2, 3]);
  });

  it('takes a variable as a scalar handle, whatever its shape', () => {
    expect(graph.shape(input(DType.resource, 7, 7))).toEqual([]);
  });

  it('refuses what TensorFlow does not know or cannot do', () => {
    expect(() => graph.add('NoSuchOp', [], [])).toThrow(EngineError);
    expect(() => graph.add('NoSuchOp', [], [])).toThrow(/has no operation named NoSuchOp/);
    expect(() => graph.add('MatMul', [], [float(2, 3), float(2, 3)])).toThrow(
      /recording MatMul: .*Dimensions/,
    );
  });
});
