/** bf16: products in bfloat16, everything else in float32, as the graph says and as the values show. */
import { describe, expect, it } from 'vitest';
import { DType } from '../../../src/engine/dtypes.js';
import { clusterFunction } from '../../../src/engine/emit.js';
import { compile, type Fusion, tf } from '../../../src/engine/index.js';
import { ASSIGN_VARIABLE, type Node, type Program } from '../../../src/engine/ir.js';
import { applyBf16 } from '../../../src/engine/precision.js';
import { simplify } from '../../../src/engine/simplify.js';
import { clipForward, clipParamSpecs, initClip } from '../../../src/models/clip/index.js';
import { clipLoss } from '../../../src/train/losses/clip-loss.js';
import '../../support/engine.js';
import { tinyBatch, tinyClip, tinyTask } from '../../support/engine-clip.js';
import { operations, record, run, watchCompiler } from '../../support/engine-programs.js';
import { expectClose, numbers } from '../../support/gradients.js';

const { bfloat16, float32 } = DType;

const normal = (key: string, ...shape: number[]): tf.Tensor =>
  tf.tensor(
    numbers(
      shape.reduce((a, b) => a * b, 1),
      `precision ${key}`,
    ),
    shape,
  );

/** `MatMul(bfloat16, bfloat16) bfloat16` for each operation, inputs and outputs. */
function typed(program: Program): string[] {
  const name = (dtype: number): string =>
    dtype === bfloat16 ? 'bf16' : dtype === float32 ? 'fp32' : `type ${dtype}`;
  return operations(program).map(
    ({ op, inputs, outputs }) =>
      `${op} ${inputs
        .filter((v) => v.dtype === float32 || v.dtype === bfloat16)
        .map((v) => name(v.dtype))
        .join()} > ${outputs.map((v) => name(v.dtype)).join()}`,
  );
}

function inBf16(fn: (...inputs: tf.Tensor[]) => tf.Tensor[], inputs: tf.Tensor[]): Program {
  const program = simplify(applyBf16(simplify(record(fn, inputs))));
  tf.dispose(inputs);
  return program;
}

describe('the policy', () => {
  it('casts the inputs of a product, and its result back for all that is no product', () => {
    expect(
      typed(inBf16((x, w) => [tf.exp(tf.matMul(x!, w!))], [normal('x', 3, 3), normal('w', 3, 3)])),
    ).toEqual([
      'Cast fp32 > bf16',
      'Cast fp32 > bf16',
      'MatMul bf16,bf16 > bf16',
      'Cast bf16 > fp32',
      'Exp fp32 > fp32',
    ]);
  });

  it('casts each tensor once, whoever uses it', () => {
    const program = inBf16(
      (x, w) => {
        const y = tf.matMul(x!, w!);
        return [tf.matMul(x!, x!), tf.matMul(w!, x!), tf.exp(y), tf.tanh(y), tf.sum(y)];
      },
      [normal('x', 3, 3), normal('w', 3, 3)],
    );
    const casts = operations(program).filter((n) => n.op === 'Cast');
    // x and w to bf16; the three products back to float32.
    expect(casts).toHaveLength(5);
    expect(
      new Set(casts.map((n) => `${n.inputs[0]!.node.op} ${program.nodes.indexOf(n.inputs[0]!.node)}`)).size,
    ).toBe(5);
  });

  it('keeps bf16 from product to product and through what only moves elements', () => {
    expect(
      typed(
        inBf16(
          (x, w) => {
            const y = tf.transpose(tf.reshape(tf.matMul(x!, w!), [2, 2, 4]), [0, 2, 1]);
            const [a, b] = tf.split(tf.reshape(y, [4, 4]), 2) as [tf.Tensor, tf.Tensor];
            return [tf.matMul(tf.concat([b, a]), w!)];
          },
          [normal('x', 4, 4), normal('w', 4, 4)],
        ),
      ).slice(2),
    ).toEqual([
      'MatMul bf16,bf16 > bf16',
      'Reshape bf16 > bf16',
      'Transpose bf16 > bf16',
      'Reshape bf16 > bf16',
      'SplitV bf16 > bf16,bf16',
      'ConcatV2 bf16,bf16 > bf16',
      'MatMul bf16,bf16 > bf16',
      'Cast bf16 > fp32', // outputs are float32
    ]);
  });

  it('moves float32 tensors as they are, and a mixture as float32', () => {
    expect(
      typed(
        inBf16(
          (x, w) => [tf.concat([tf.matMul(x!, w!), tf.transpose(x!)], 1)],
          [normal('x', 3, 3), normal('w', 3, 3)],
        ),
      ).filter((line) => !line.startsWith('Cast')),
    ).toEqual(['MatMul bf16,bf16 > bf16', 'Transpose fp32 > fp32', 'ConcatV2 fp32,fp32 > fp32']);
  });

  it('takes in convolutions and their gradients', () => {
    const lines = typed(
      inBf16(
        (x, w) => {
          const sum = (a: tf.Tensor, b: tf.Tensor): tf.Tensor =>
            tf.sum(tf.square(tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, 1, 'same')));
          return tf.grads(sum)([x!, w!]);
        },
        [normal('x', 1, 4, 4, 2), normal('w', 3, 3, 2, 2)],
      ),
    );
    expect(lines.filter((line) => line.startsWith('Conv'))).toEqual([
      'Conv2D bf16,bf16 > bf16',
      'Conv2DBackpropInput bf16,bf16 > bf16',
      'Conv2DBackpropFilter bf16,bf16 > bf16',
    ]);
  });

  it('leaves products of integers alone', () => {
    const inputs = [tf.ones([2, 2], 'int32'), tf.ones([2, 2], 'int32')];
    expect(typed(inBf16((x, y) => [tf.add(x!, y!)], inputs))).toEqual(['Add  > type 3']);
  });

  it('rounds to the nearest bfloat16 and sums in more', () => {
    // 1 + 2^-9 is not a bfloat16: it becomes 1. The sum of 64 such products is exact.
    const inputs = [tf.fill([1, 64], 1 + 2 ** -9), tf.fill([64, 1], 1 + 3 * 2 ** -8)];
    const program = simplify(applyBf16(simplify(record((x, y) => [tf.matMul(x!, y!)], inputs))));
    const [product] = run(program, inputs) as [tf.Tensor];
    expect(product.dtype).toBe('float32');
    expect([...product.dataSync()]).toEqual([64 * (1 + 2 ** -6)]);
    tf.dispose([inputs, product]);
  });
});

const products = new Set(['MatMul', 'BatchMatMulV2']);
const movers = new Set(['Reshape', 'ExpandDims', 'Transpose', 'Slice', 'ConcatV2', 'Pack', 'SplitV', 'Cast']);

describe('a classifier', () => {
  it.each<Fusion>(['none', 'clusters', 'whole'])(
    '(%s) learns in bf16 what it learns in float32',
    (fusion) => {
      const step = (x: tf.Tensor, w: tf.Tensor, v: tf.Tensor): tf.Tensor[] => {
        const loss = (w: tf.Tensor, v: tf.Tensor): tf.Scalar =>
          tf.neg(tf.mean(tf.log(tf.softmax(tf.matMul(tf.tanh(tf.matMul(x, w)), v))))) as tf.Scalar;
        const { value, grads } = tf.valueAndGrads(loss as (...x: tf.Tensor[]) => tf.Scalar)([w, v]);
        return [value, ...grads];
      };
      const inputs = [normal('x', 8, 16), normal('w', 16, 16), normal('v', 16, 4)] as const;
      const [exact, rounded] = (['fp32', 'bf16'] as const).map((precision) => {
        const compiled = compile(step, { precision, fusion });
        const results = compiled(...inputs);
        compiled.dispose();
        const values = results.map((t) => t.dataSync());
        expect(results.map((t) => t.dtype)).toEqual(['float32', 'float32', 'float32']);
        tf.dispose(results);
        return values;
      }) as [Float32Array[], Float32Array[]];
      for (const [i, what] of ['loss', 'gradient of w', 'gradient of v'].entries()) {
        expectClose(rounded[i]!, exact[i]!, 0.02, what);
        expect(rounded[i], `${what} in bf16`).not.toEqual(exact[i]);
      }
      tf.dispose([...inputs]);
    },
  );
});

describe('the training step of a CLIP', () => {
  it('has bf16 in its products and nowhere else', async () => {
    const watch = watchCompiler();
    const task = tinyTask({ precision: 'bf16' });
    await expect(task.step(tinyBatch, 1e-3)).rejects.toThrow('not run');
    watch.stop();
    task.dispose();
    // The operations of the step and of every cluster that it calls.
    const nodes = watch.emitted.flatMap(({ program }) => operations(program));
    const types = (n: Node): number[] => [...n.inputs, ...n.outputs].map((v) => v.dtype);
    const found = nodes.filter((n) => products.has(n.op));
    expect(found.length).toBeGreaterThan(40);
    for (const n of found) expect(types(n), n.op).toEqual([bfloat16, bfloat16, bfloat16]);
    const others = nodes.filter((n) => !products.has(n.op) && clusterFunction(n) === undefined);
    const inBf16 = new Set(others.filter((n) => types(n).includes(bfloat16)).map((n) => n.op));
    expect([...inBf16].filter((op) => !movers.has(op))).toEqual([]);
    const step = watch.emitted.at(-1)!.program;
    for (const n of step.nodes.filter((n) => n.op === ASSIGN_VARIABLE)) {
      expect([float32, DType.int32]).toContain(n.inputs[0]!.dtype);
    }
    for (const v of step.outputs) expect(v.dtype).toBe(float32);
  });

  it('has a loss and gradients within bfloat16 of the float32 ones', () => {
    const specs = clipParamSpecs(tinyClip);
    const initial = initClip(tinyClip, 1);
    const params = specs.map(({ name, shape }) => tf.tensor(initial[name]!, [...shape]));
    const images = normal('images', 4, 8, 8, 3);
    const tokens = tf.tensor2d(
      Int32Array.from({ length: 24 }, (_, i) => (i % 6 === 5 ? 19 : (i * 7) % 18)),
      [4, 6],
      'int32',
    );
    const lossAndGradients = (weights: tf.Tensor[]): tf.Tensor[] => {
      const loss = (...values: tf.Tensor[]): tf.Scalar => {
        const own = Object.fromEntries(specs.map(({ name }, i) => [name, values[i]!]));
        const out = clipForward(own, tinyClip, images, tokens);
        return clipLoss(out.imageFeatures_BE, out.textFeatures_BE, out.logitScale) as tf.Scalar;
      };
      const { value, grads } = tf.valueAndGrads(loss)(weights);
      return [value, ...grads];
    };
    const [exact, rounded] = (['fp32', 'bf16'] as const).map((precision) => {
      const compiled = compile(lossAndGradients, { precision, fusion: 'none' });
      const results = compiled(params);
      compiled.dispose();
      const values = results.map((t) => t.dataSync());
      tf.dispose(results);
      return values;
    }) as [Float32Array[], Float32Array[]];
    // bfloat16 has 8 bits: each rounding is off by up to 0.4%, and some twenty follow one another.
    expectClose(rounded[0]!, exact[0]!, 0.02, 'loss');
    expect(rounded[0], 'bf16 was used').not.toEqual(exact[0]);
    for (const [i, gradient] of exact.slice(1).entries()) {
      const other = rounded[i + 1]!;
      const norm = Math.hypot(...gradient);
      const gap = Math.hypot(...gradient.map((g, k) => g - other[k]!));
      expect(gap, specs[i]!.name).toBeLessThanOrEqual(0.1 * norm);
    }
    tf.dispose([params, images, tokens]);
  });
});
