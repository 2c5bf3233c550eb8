/** What goes into a cluster, what stays out, and which clusters share a function. */
import { describe, expect, it } from 'vitest';
import { fuseClusters } from '../../../src/engine/cluster.js';
import { DType } from '../../../src/engine/dtypes.js';
import { clusterFunction } from '../../../src/engine/emit.js';
import { compile, type ProgramStats, tf } from '../../../src/engine/index.js';
import { INPUT, Node, type Program, type Value } from '../../../src/engine/ir.js';
import { simplify } from '../../../src/engine/simplify.js';
import { clipParamSpecs } from '../../../src/models/clip/index.js';
import { encodeText } from '../../../src/models/clip/text-encoder.js';
import '../../support/engine.js';
import { tinyClip } from '../../support/engine-clip.js';
import { operations, opNames, record, run, testEmitter } from '../../support/engine-programs.js';
import { expectClose, numbers } from '../../support/gradients.js';

const normal = (key: string, ...shape: number[]): tf.Tensor =>
  tf.tensor(
    numbers(
      shape.reduce((a, b) => a * b, 1),
      `cluster ${key}`,
    ),
    shape,
  );

/** The operations in each cluster of a fused program, in the order of the calls. */
function clusters(program: Program): string[] {
  return operations(program).flatMap((n) => clusterFunction(n)?.contents ?? []);
}

/** Fuses what `fn` records and expects its results not to change. */
function fused(fn: (...inputs: tf.Tensor[]) => tf.Tensor[], inputs: tf.Tensor[]): Program {
  const program = simplify(record(fn, inputs));
  const expected = run(program, inputs);
  const result = fuseClusters(program, testEmitter()).program;
  const actual = run(result, inputs);
  for (const [i, tensor] of expected.entries()) {
    expectClose(actual[i]!.dataSync(), tensor.dataSync(), 1e-6, `output ${i}`);
  }
  tf.dispose([expected, actual, inputs]);
  return result;
}

describe('a cluster', () => {
  it('takes in what lies between products and leaves the products to TensorFlow', () => {
    const program = fused(
      (x, w) => [tf.relu(tf.add(tf.matMul(tf.exp(tf.neg(tf.matMul(x!, w!))), w!), 1))],
      [normal('x', 3, 3), normal('w', 3, 3)],
    );
    expect(opNames(program)).toEqual(['MatMul', 'PartitionedCall', 'MatMul', 'PartitionedCall']);
    expect(clusters(program)).toEqual(['Neg Exp', 'Add Relu']);
  });

  it('is not made of one operation, nor of those that move nothing', () => {
    const program = fused(
      (x, w) => [tf.reshape(tf.matMul(tf.expandDims(tf.neg(x!), 0).reshape([3, 3]), w!), [9])],
      [normal('x', 3, 3), normal('w', 3, 3)],
    );
    expect(opNames(program)).toEqual(['Neg', 'MatMul', 'Reshape']);
  });

  it('never depends on itself, though a product lies between its ends', () => {
    // y = exp(x) is used before and after the product: as one cluster, exp and add would each wait for the other.
    const program = fused(
      (x, w) => {
        const y = tf.exp(tf.neg(x!));
        return [tf.relu(tf.add(y, tf.matMul(y, w!)))];
      },
      [normal('x', 40, 40), normal('w', 40, 40)],
    );
    expect(opNames(program)).toEqual(['PartitionedCall', 'MatMul', 'PartitionedCall']);
  });

  it('leaves sums of large tensors over leading axes to TensorFlow', () => {
    const sums = (x: tf.Tensor): tf.Tensor[] => [
      tf.sum(tf.relu(tf.neg(x)), 0),
      tf.sum(tf.relu(tf.neg(x)), 1),
    ];
    expect(clusters(fused((x) => sums(x!), [normal('x', 40, 40)])).join()).not.toMatch(/Sum.*Sum/);
    expect(clusters(fused((x) => sums(x!), [normal('x', 4, 4)])).join()).toMatch(/Sum.*Sum/);
  });

  it('is given large constants, and has small ones compiled in', () => {
    const small = numbers(16, 'small');
    const large = numbers(2000, 'large');
    const inputsOf = (values: Float32Array): number => {
      const program = fused((x) => [tf.relu(tf.add(x!, tf.tensor1d(values)))], [normal('x', values.length)]);
      return operations(program).find((n) => n.op === 'PartitionedCall')!.inputs.length;
    };
    expect(inputsOf(small)).toBe(1);
    expect(inputsOf(large)).toBe(2);
  });

  it('computes a cheap value again rather than reading it from another cluster', () => {
    // The product separates two uses of relu(w x): the second computes it again from x and w.
    const program = fused(
      (x, w) => {
        const y = tf.relu(tf.mul(x!, 2));
        const z = tf.exp(tf.neg(y));
        return [tf.add(tf.neg(tf.matMul(z, w!)), y)];
      },
      [normal('x', 40, 40), normal('w', 40, 40)],
    );
    const [first, second] = clusters(program);
    expect(first).toBe('Mul Relu Neg Exp');
    expect(second?.split(' ').sort()).toEqual(['Add', 'Mul', 'Neg', 'Relu']);
    expect(operations(program)[0]!.outputs, 'only exp is written').toHaveLength(1);
  });

  it.each([
    ['an output', false],
    ['also used afterwards, when it could as well be computed', true],
  ])('is waited for by what waits for an operation inside it: %s', (_, usedLater) => {
    const input = new Node(INPUT, [], []);
    const x = input.addOutput(DType.float32, [4]);
    const nodes = [input];
    const node = (op: string, ...values: Value[]): Node => {
      const made = new Node(op, [], values);
      made.addOutput(DType.float32, [4]);
      nodes.push(made);
      return made;
    };
    const first = node('Relu', node('Neg', x).out);
    const barrier = node('Identity', x);
    barrier.controls.push(first);
    const last = node('Mul', node('Exp', barrier.out).out, usedLater ? first.out : x);
    const { program } = fuseClusters(
      { nodes, inputs: [input], outputs: [first.out, last.out] },
      testEmitter(),
    );
    expect(opNames(program)).toEqual(['PartitionedCall', 'Identity', 'PartitionedCall']);
    const [call, waiting] = operations(program);
    expect(clusters(program)).toEqual(['Neg Relu', 'Exp Mul']);
    expect(waiting!.controls).toEqual([call]);
  });

  it('is called where its last operation stood: what it needs need not be there, nor kept, before', () => {
    const input = new Node(INPUT, [], []);
    const x = input.addOutput(DType.float32, [4]);
    const nodes = [input];
    const node = (op: string, ...values: Value[]): Value => {
      const made = new Node(op, [], values);
      nodes.push(made);
      return made.addOutput(DType.float32, [4]);
    };
    const early = node('Neg', x);
    const between = node('MatMul', x, x);
    const late = node('Exp', early);
    const { program } = fuseClusters({ nodes, inputs: [input], outputs: [between, late] }, testEmitter());
    expect(opNames(program)).toEqual(['MatMul', 'PartitionedCall']);
  });
});

/** What a text tower of that depth and its gradient are compiled to. */
function textTower(depth: number): ProgramStats {
  const config = { ...tinyClip, text: { ...tinyClip.text, depth } };
  const specs = clipParamSpecs(config).filter(({ name }) => !/visual|logit_scale/.test(name));
  const params = specs.map(({ shape }) => tf.ones([...shape]));
  const tokens = tf.ones([4, 6], 'int32');
  const compiled = compile((tokens_BL: tf.Tensor, weights: tf.Tensor[]) => {
    const total = (...values: tf.Tensor[]): tf.Tensor =>
      tf.sum(
        encodeText(Object.fromEntries(specs.map(({ name }, i) => [name, values[i]!])), config, tokens_BL),
      );
    return tf.grads(total)(weights);
  });
  compiled.prepare(tokens, params);
  const [stats] = compiled.stats();
  compiled.dispose();
  tf.dispose([tokens, params]);
  return stats!;
}

describe('equal layers', () => {
  it('share the functions of their clusters: a deeper model needs no more of them', () => {
    const [shallow, deep] = [textTower(4), textTower(7)];
    expect(deep.distinctClusters).toBe(shallow.distinctClusters);
    // At least one in each half of the forward and of the backward pass of a block.
    const ofABlock = (deep.clusters - shallow.clusters) / 3;
    expect(Number.isInteger(ofABlock)).toBe(true);
    expect(ofABlock).toBeGreaterThanOrEqual(4);
    expect(deep.clusters).toBeGreaterThan(1.5 * deep.distinctClusters);
    expect(deep.executedOps).toBeLessThan(deep.recordedOps / 2);
  });

  it('of another program share them too', () => {
    const inputs = [normal('x', 8, 8), normal('w', 8, 8)];
    const program = (): Program => simplify(record((x, w) => [tf.relu(tf.neg(tf.matMul(x!, w!)))], inputs));
    const names = [program(), program()].map((p) =>
      operations(fuseClusters(p, testEmitter()).program)
        .map((n) => clusterFunction(n)?.functionName)
        .at(-1),
    );
    tf.dispose(inputs);
    expect(names[0]).toMatch(/^fused_/);
    expect(names[1]).toBe(names[0]);
  });
});

describe('clusters that differ', () => {
  /** The names of the clusters' functions of each function's program. */
  const namesOf = (fn: (x: tf.Tensor) => tf.Tensor, x: tf.Tensor): string => {
    const program = fuseClusters(simplify(record((t) => [fn(t!)], [x])), testEmitter()).program;
    x.dispose();
    return operations(program)
      .map((n) => clusterFunction(n)?.functionName)
      .join();
  };
  const base = (): string => namesOf((x) => tf.relu(tf.mul(x, 2)), tf.ones([4]));

  it.each<[what: string, fn: (x: tf.Tensor) => tf.Tensor, x: () => tf.Tensor]>([
    ['a constant', (x) => tf.relu(tf.mul(x, 3)), () => tf.ones([4])],
    ['an operation', (x) => tf.exp(tf.mul(x, 2)), () => tf.ones([4])],
    ['the shape', (x) => tf.relu(tf.mul(x, 2)), () => tf.ones([5])],
    ['the element type', (x) => tf.relu(tf.mul(x, tf.scalar(2, 'int32'))), () => tf.ones([4], 'int32')],
    ['the order of inputs', (x) => tf.relu(tf.mul(2, x)), () => tf.ones([4])],
  ])('in %s do not share a function', (_, fn, x) => {
    expect(namesOf(fn, x())).not.toBe(base());
  });

  it('in an attribute do not share a function', () => {
    const leaky = (alpha: number): string => namesOf((x) => tf.leakyRelu(tf.mul(x, 2), alpha), tf.ones([4]));
    expect(leaky(0.1)).not.toBe(leaky(0.2));
    expect(leaky(0.1)).toBe(leaky(0.1));
  });
});
