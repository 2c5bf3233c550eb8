/** Every operation that the models use: eager and compiled in each way it is what float64 arithmetic says. */
import { describe, expect, it } from 'vitest';
import { compile } from '../../../src/engine/index.js';
import type { Program } from '../../../src/engine/ir.js';
import { simplify } from '../../../src/engine/simplify.js';
import { tf } from '../../support/engine.js';
import { tinyBatch, tinyClip, tinyTask } from '../../support/engine-clip.js';
import { type OpCase, type OpRow, toNdArray, toTensor } from '../../support/engine-operands.js';
import { opRows } from '../../support/engine-ops.js';
import { record, signatures, watchCompiler } from '../../support/engine-programs.js';
import type { NdArray } from '../../support/engine-reference.js';
import { numbers } from '../../support/gradients.js';

const asList = <T>(one: T | T[]): T[] => (Array.isArray(one) ? one : [one]);

/** The inputs of a case that it is differentiated for. */
function variablesOf(row: OpRow, { inputs, gradient }: OpCase): number[] {
  if (row.noGradient !== undefined || gradient === false) return [];
  return inputs.flatMap(({ dtype }, i) => (dtype === 'float32' ? [i] : []));
}

interface Expected {
  readonly values: NdArray[];
  /** Of the sum of all values, each times its weight, in each of `variables`. */
  readonly gradients: Float64Array[];
  readonly variables: number[];
  readonly weights: Float32Array[];
}

/** Values and central differences in float64. */
function expectedOf(row: OpRow, opCase: OpCase): Expected {
  const inputs = opCase.inputs.map(toNdArray);
  const values = asList(opCase.expected(...inputs));
  const weights = values.map(({ data }, i) => numbers(data.length, `weights ${row.op} ${i}`));
  const variables = variablesOf(row, opCase);
  const total = (): number => {
    let sum = 0;
    for (const [i, { data }] of asList(opCase.expected(...inputs)).entries()) {
      for (let k = 0; k < data.length; k++) sum += data[k]! * weights[i]![k]!;
    }
    return sum;
  };
  const step = 1e-5;
  const gradients = variables.map((at) => {
    const { data } = inputs[at]!;
    return data.map((x, i) => {
      data[i] = x + step;
      const above = total();
      data[i] = x - step;
      const below = total();
      data[i] = x;
      return (above - below) / (2 * step);
    });
  });
  return { values, gradients, variables, weights };
}

// A type, not an interface: tfjs takes only those as trees of tensors.
type Results = {
  readonly values: tf.Tensor[];
  /** Minus the values as float32: a neighbour for the operation to be fused with. */
  readonly negated: tf.Tensor[];
  readonly gradients: tf.Tensor[];
};

function evaluate(opCase: OpCase, { variables, weights }: Expected, inputs: tf.Tensor[]): Results {
  const values = asList(opCase.run(...inputs));
  const negated = values.map((v) => tf.neg(tf.cast(v, 'float32')));
  if (variables.length === 0) return { values, negated, gradients: [] };
  const total = (...varied: tf.Tensor[]): tf.Scalar => {
    const all = [...inputs];
    for (const [i, at] of variables.entries()) all[at] = varied[i]!;
    const parts = asList(opCase.run(...all)).map((v, i) =>
      tf.sum(tf.mul(v, tf.tensor(weights[i]!, v.shape))),
    );
    return tf.addN(parts) as tf.Scalar;
  };
  const { grads } = tf.valueAndGrads(total)(variables.map((at) => inputs[at]!));
  return { values, negated, gradients: grads };
}

function expectClose(
  actual: tf.Tensor,
  expected: Float64Array,
  tolerance: number,
  floor: number,
  what: string,
): void {
  const values = actual.dataSync();
  expect(values.length, `${what}: number of elements`).toBe(expected.length);
  for (const [i, wanted] of expected.entries()) {
    const allowed = actual.dtype === 'float32' ? tolerance * Math.max(Math.abs(wanted), floor) : 0;
    if (!(Math.abs(values[i]! - wanted) <= allowed)) {
      expect.fail(`${what}[${i}] is ${values[i]}, expected ${wanted}`);
    }
  }
}

describe('eager and compiled in each way, an operation and its gradient', () => {
  it.each(opRows.map((row) => [row.op, row] as const))('%s', (_, row) => {
    const before = tf.memory().numTensors;
    const expected = row.cases.map((c) => expectedOf(row, c));
    const inputs = row.cases.map((c) => c.inputs.map(toTensor));
    const evaluateAll = (all: tf.Tensor[][]): Results[] =>
      row.cases.map((c, i) => evaluate(c, expected[i]!, all[i]!));
    const tolerance = row.tolerance ?? 2e-6;
    for (const fusion of ['eager', 'none', 'clusters', 'whole'] as const) {
      const compiled = fusion === 'eager' ? undefined : compile(evaluateAll, { fusion });
      const results = tf.tidy(() => (compiled ?? evaluateAll)(inputs));
      for (const [i, { values, negated, gradients }] of results.entries()) {
        const { floor = 1, inputs: operands } = row.cases[i]!;
        const what = `${fusion}, case ${i} (${operands.map((o) => `${o.dtype}[${o.shape}]`).join(', ')})`;
        for (const [k, { shape, data }] of expected[i]!.values.entries()) {
          expect(values[k]!.shape, `${what}: shape`).toEqual(shape);
          expectClose(values[k]!, data, tolerance, floor, `${what}: value`);
          expectClose(
            negated[k]!,
            data.map((v) => -v),
            tolerance,
            floor,
            `${what}: negated value`,
          );
        }
        for (const [k, slopes] of expected[i]!.gradients.entries()) {
          expect(gradients[k]!.shape, `${what}: shape of gradient ${k}`).toEqual(
            operands[expected[i]!.variables[k]!]!.shape,
          );
          expectClose(gradients[k]!, slopes, 5 * tolerance, 1, `${what}: gradient ${k}`);
        }
      }
      tf.dispose(results);
      compiled?.dispose();
    }
    tf.dispose(inputs);
    expect(tf.memory().numTensors, 'tensors left').toBe(before);
  });
});

/** What training steps and evaluations of the models record. */
async function recordModels(): Promise<Program[]> {
  const { images, tokens, keys } = tinyBatch;
  const watch = watchCompiler();
  try {
    for (const quickGelu of [false, true]) {
      const task = tinyTask({ config: { ...tinyClip, quickGelu } });
      const embedder = task.embedder();
      for (const recorded of [
        task.step(tinyBatch, 1e-3),
        embedder.encodeImages(images, keys.length),
        embedder.encodeTexts(tokens, keys.length),
      ]) {
        await expect(recorded).rejects.toThrow('not run');
      }
      task.dispose();
    }
    return watch.recorded;
  } finally {
    watch.stop();
  }
}

/** As recorded and as simplified, which puts other operations in place of some. */
const uses = (program: Program): string[] => [...signatures(program), ...signatures(simplify(program))];

describe('the table', () => {
  it('has every operation that the models record, for the element types they use it with', async () => {
    const known = new Set<string>();
    for (const row of opRows) {
      const { op, cases } = row;
      let found = 0;
      for (const { inputs, run } of cases) {
        const tensors = inputs.map(toTensor);
        const own = uses(record((...xs) => asList(run(...xs)), tensors)).filter((s) =>
          s.startsWith(`${op}(`),
        );
        found += own.length;
        for (const use of own) known.add(use);
        tf.dispose(tensors);
      }
      expect(found, `uses of ${op} by its own cases`).toBeGreaterThanOrEqual(cases.length);
      if (row.noGradient === undefined) {
        expect(cases.flatMap((c) => variablesOf(row, c)).length, `gradients of ${op}`).toBeGreaterThan(0);
      }
    }
    const programs = await recordModels();
    expect(programs).toHaveLength(6);
    const missing = new Set(programs.flatMap(uses).filter((use) => !known.has(use)));
    expect([...missing]).toEqual([]);
  });
});
