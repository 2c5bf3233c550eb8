/** Programs whose form is unusual for a TensorFlow function. */
import { describe, expect, it } from 'vitest';
import { AttrKind } from '../../../src/engine/binding.js';
import { DType } from '../../../src/engine/dtypes.js';
import { tf } from '../../../src/engine/index.js';
import { constant, INPUT, Node, type Program } from '../../../src/engine/ir.js';
import { executeOp, session } from '../../../src/engine/session.js';
import '../../support/engine.js';
import { record, run, testEmitter } from '../../support/engine-programs.js';

/** Runs a program and expects these values. */
function expectValues(program: Program, inputs: tf.Tensor[], expected: number[][], xla: boolean): void {
  const results = run(program, inputs, xla);
  expect(results.map((t) => [...t.dataSync()])).toEqual(expected);
  tf.dispose([results, inputs]);
}

describe.each([
  ['run by TensorFlow', false],
  ['compiled by XLA', true],
])('a program %s', (_, xla) => {
  it('may return its inputs, and one result twice', () => {
    const inputs = [tf.tensor1d([1, 2]), tf.tensor1d([3, 4], 'int32')];
    const program = record((x, n) => {
      const y = tf.neg(x!);
      return [n!, y, x!, y, x!];
    }, inputs);
    expectValues(
      program,
      inputs,
      [
        [3, 4],
        [-1, -2],
        [1, 2],
        [-1, -2],
        [1, 2],
      ],
      xla,
    );
  });

  it('may have no input and return constants', () => {
    const program = record(
      () => [tf.tensor1d([1.5, -2]), tf.scalar(7, 'int32'), tf.tensor1d([true, false])],
      [],
    );
    expectValues(program, [], [[1.5, -2], [7], [1, 0]], xla);
  });

  it('may leave an input unused', () => {
    const inputs = [tf.scalar(1), tf.scalar(2)];
    expectValues(
      record((_, y) => [tf.neg(y!)], inputs),
      inputs,
      [[-2]],
      xla,
    );
  });

  it('has constants of one repeated value, of one element and of none', () => {
    const program = record(
      () => [
        tf.fill([2, 3], -0.5).add(tf.tensor2d(new Float32Array(6).fill(3), [2, 3])),
        tf.tensor1d(new Int32Array(5).fill(9), 'int32'),
        tf.tensor1d([true, true, true]),
        tf.tensor2d([4], [1, 1]),
        tf.tensor2d([], [0, 3]),
      ],
      [],
    );
    const expected = [new Array(6).fill(2.5), new Array(5).fill(9), [1, 1, 1], [4], []];
    expectValues(program, [], expected, xla);
  });
});

describe('constant', () => {
  it.each([
    [Float32Array.of(2, 2, 2), DType.float32, true],
    [Float32Array.of(2, 2, 3), DType.float32, false],
    [Float32Array.of(0, -0), DType.float32, false], // equal numbers, other bits
    [Float32Array.of(Number.NaN, Number.NaN), DType.float32, true],
    [Int32Array.of(0x01010101, 0x01010102), DType.int32, false],
    [Uint8Array.of(1, 1, 0), DType.bool, false],
    [Float32Array.of(5), DType.float32, false], // nothing to save
  ])('keeps one element of %s only if all have its bits', (values, dtype, uniform) => {
    const node = constant(values, dtype, [values.length]);
    expect(node.uniform).toBe(uniform);
    expect(node.data!.byteLength).toBe(uniform ? values.BYTES_PER_ELEMENT : values.byteLength);
  });
});

describe('Emitter', () => {
  it('takes a function back, whose name is free then', () => {
    const emitter = testEmitter();
    const inputs = [tf.scalar(3)];
    const emit = (fn: (x: tf.Tensor) => tf.Tensor): void => {
      emitter.emit(
        'test_taken_back',
        record((x) => [fn(x!)], inputs),
        { xla: false },
      );
    };
    const call = (): number => {
      const { binding } = session();
      const [result] = binding.executeOp('test_taken_back', [], session().handleIds(inputs), 1);
      const value = binding.tensorDataSync(result!.id)[0]!;
      binding.deleteTensor(result!.id);
      return value;
    };
    emit((x) => tf.neg(x));
    expect(emitter.has('test_taken_back')).toBe(true);
    expect(call()).toBe(-3);
    emitter.remove('test_taken_back');
    expect(emitter.has('test_taken_back')).toBe(false);
    expect(call).toThrow(/test_taken_back/);
    emit((x) => tf.square(x));
    expect(call()).toBe(9);
    emitter.remove('test_taken_back');
    emitter.remove('test_taken_back'); // a second time has no effect
    tf.dispose(inputs);
  });

  it('hands to XLA what it is told to, and nothing else', () => {
    // XLA knows no dilation (the morphological one), TensorFlow's kernels do.
    const inputs = [tf.ones([1, 3, 3, 1]), tf.zeros([2, 2, 1])];
    const list = (name: string, value: number[]) => ({ name, type: AttrKind.int, value });
    const attrs = [
      list('strides', [1, 1, 1, 1]),
      list('rates', [1, 1, 1, 1]),
      { name: 'padding', type: AttrKind.string, value: 'VALID' },
    ];
    const program = record((x, w) => [executeOp('Dilation2D', attrs, [x!, w!])], inputs);
    expect(() => run(program, inputs, true)).toThrow(/Dilation2D|XLA/);
    expectValues(program, inputs, [[1, 1, 1, 1]], false);
  });

  it('refuses a program in which a value is used before it is computed', () => {
    const input = new Node(INPUT, [], []);
    input.addOutput(DType.float32, []);
    const early = new Node('Neg', [], [input.out]);
    early.addOutput(DType.float32, []);
    const late = new Node('Neg', [], [early.out]);
    late.addOutput(DType.float32, []);
    const program = { nodes: [input, late, early], inputs: [input], outputs: [late.out] };
    expect(() => testEmitter().emit('test_disorder', program, { xla: false })).toThrow(
      /Neg is used before it is computed/,
    );
    expect(testEmitter().has('test_disorder')).toBe(false);
  });
});
