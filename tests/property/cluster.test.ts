/** Whatever the program, clusters compute the same and none depends on itself. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fuseClusters } from '../../src/engine/cluster.js';
import { clusterFunction, type Emitter } from '../../src/engine/emit.js';
import { backward, compile, tf } from '../../src/engine/index.js';
import { INPUT, type Node } from '../../src/engine/ir.js';
import { simplify } from '../../src/engine/simplify.js';
import '../support/engine.js';
import { operations, record } from '../support/engine-programs.js';
import { expectClose, numbers } from '../support/gradients.js';

type Step = (x: tf.Tensor, y: tf.Tensor) => tf.Tensor;

// Every value is a matrix whose sides are 1 or n, so any two broadcast. No step makes values or errors much
// larger, so that the engines' roundings stay comparable however many steps there are.
const smooth: Record<string, Step> = {
  neg: (x) => tf.neg(x),
  tanh: (x) => tf.tanh(x),
  sigmoid: (x) => tf.sigmoid(x),
  exp: (x) => tf.exp(tf.tanh(x)),
  add: (x, y) => tf.mul(tf.add(x, y), 0.5),
  sub: (x, y) => tf.mul(tf.sub(x, y), 0.5),
  mul: (x, y) => tf.mul(tf.tanh(x), y),
  div: (x, y) => tf.div(x, tf.add(tf.square(tf.tanh(y)), 1)),
  matMul: (x, y) => {
    const inner = x.shape[1] as number;
    const other = y.shape[0] === inner ? y : tf.transpose(y);
    return other.shape[0] === inner ? tf.mul(tf.matMul(x, other), 1 / inner) : tf.neg(x);
  },
  mean: (x) => tf.mean(x, 0, true),
  meanOfRows: (x) => tf.mean(x, -1, true),
  softmax: (x) => tf.softmax(x),
  transpose: (x) => tf.transpose(x),
  reshape: (x) => tf.reshape(tf.tanh(tf.reshape(x, [-1])), [...x.shape].reverse()),
  shift: (x) => tf.slice(tf.concat([x, tf.neg(x)], 0), [1, 0], x.shape),
};

/** Their values are continuous, their slopes are not. */
const kinked: Record<string, Step> = {
  relu: (x) => tf.relu(x),
  maximum: (x, y) => tf.maximum(x, y),
  where: (x, y) => tf.where(tf.greater(x, y), x, y),
  max: (x) => tf.max(x, 1, true),
  clamp: (x) => tf.mul(x, tf.cast(tf.less(tf.abs(x), 1e6), 'float32')),
};

interface Plan {
  /** 3, or 33: at 4 kB the engine starts to weigh what to keep. */
  readonly n: number;
  /** Operands are counted back from the latest value. */
  readonly steps: { readonly name: string; readonly x: number; readonly y: number; readonly late: boolean }[];
}

function plans(steps: Record<string, Step>, maxLength: number): fc.Arbitrary<Plan> {
  const step = fc.record({
    name: fc.constantFrom(...Object.keys(steps)),
    x: fc.nat({ max: 3 }),
    y: fc.nat({ max: 7 }),
    late: fc.boolean(),
  });
  return fc.record({
    n: fc.constantFrom(3, 33),
    steps: fc.array(step, { minLength: 2, maxLength }),
  });
}

const allSteps = { ...smooth, ...kinked };

/** The values that no step uses, so that none is computed in vain. */
function evaluate({ steps }: Plan, inputs: tf.Tensor[]): tf.Tensor[] {
  const values = [...inputs];
  const used = new Set<tf.Tensor>();
  for (const { name, x, y, late } of steps) {
    const [a, b] = [x, y].map((back) => values[values.length - 1 - (back % values.length)]!) as [
      tf.Tensor,
      tf.Tensor,
    ];
    const apply = (): tf.Tensor => allSteps[name]!(a, b);
    used.add(a).add(b);
    values.push(late ? backward(apply) : apply());
  }
  return values.slice(inputs.length).filter((v) => !used.has(v));
}

function inputsOf({ n }: Plan): tf.Tensor[] {
  return [
    [n, n],
    [n, 1],
    [1, n],
    [n, n],
  ].map(([rows, columns], i) => tf.tensor2d(numbers(rows! * columns!, `plan ${n} ${i}`), [rows!, columns!]));
}

/** Runs `fn` eagerly and compiled in each way and expects the same results. */
function expectEqual(plan: Plan, fn: (inputs: tf.Tensor[]) => tf.Tensor[]): void {
  const before = tf.memory().numTensors;
  const inputs = inputsOf(plan);
  const expected = tf.tidy(() => fn(inputs));
  for (const fusion of ['clusters', 'whole'] as const) {
    const compiled = compile(fn, { fusion });
    const actual = compiled(inputs);
    for (const [i, tensor] of expected.entries()) {
      expect(actual[i]!.shape).toEqual(tensor.shape);
      expectClose(actual[i]!.dataSync(), tensor.dataSync(), 1e-5, `${fusion}: output ${i}`);
    }
    const [stats] = compiled.stats();
    expect(stats!.distinctClusters).toBeLessThanOrEqual(stats!.clusters);
    tf.dispose(actual);
    compiled.dispose();
  }
  tf.dispose([inputs, expected]);
  expect(tf.memory().numTensors).toBe(before);
}

describe('a program of random steps', () => {
  it('gives the same values compiled', () => {
    fc.assert(
      fc.property(plans(allSteps, 16), (plan) => expectEqual(plan, (inputs) => evaluate(plan, inputs))),
      { numRuns: 16, seed: 1 },
    );
  });

  it('gives the same gradients compiled', () => {
    fc.assert(
      fc.property(plans(smooth, 10), (plan) => {
        const loss = (...inputs: tf.Tensor[]): tf.Tensor =>
          tf.addN([...inputs, ...evaluate(plan, inputs)].map((v) => tf.sum(tf.square(v))));
        expectEqual(plan, (inputs) => tf.grads(loss)(inputs));
      }),
      { numRuns: 8, seed: 2 },
    );
  });

  it('has no cluster that depends on itself, and computes everything before it is used', () => {
    // No function is made of a cluster: only the structure is looked at.
    const emitter = { has: () => true } as unknown as Emitter;
    fc.assert(
      fc.property(plans(allSteps, 60), (plan) => {
        const inputs = inputsOf(plan);
        const program = simplify(record((...xs) => evaluate(plan, xs), inputs));
        tf.dispose(inputs);
        const { program: fused, calls } = fuseClusters(program, emitter);
        const ready = new Set<Node>();
        for (const node of fused.nodes) {
          for (const { node: producer } of node.inputs) {
            expect(ready.has(producer), `${node.op} before its input ${producer.op}`).toBe(true);
          }
          ready.add(node);
        }
        for (const { node } of fused.outputs) expect(ready.has(node)).toBe(true);
        expect(fused.outputs.map((v) => v.shape)).toEqual(program.outputs.map((v) => v.shape));
        const callNodes = operations(fused).filter((n) => clusterFunction(n) !== undefined);
        expect(callNodes).toHaveLength(calls);
        expect(fused.nodes.filter((n) => n.op === INPUT)).toHaveLength(inputs.length);
        // A product is never done twice, nor lost.
        const products = (nodes: Node[]): number => nodes.filter((n) => n.op === 'MatMul').length;
        expect(products(fused.nodes)).toBe(products(program.nodes));
      }),
      { numRuns: 60, seed: 3 },
    );
  });
});
