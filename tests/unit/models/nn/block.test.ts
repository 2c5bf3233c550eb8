import { describe, expect, it } from 'vitest';
import { causalMask, causalMaskAt } from '../../../../src/models/nn/attention.js';
import { blockSpecs, pooledResidualBlock, residualBlock } from '../../../../src/models/nn/block.js';
import { takeTokens } from '../../../../src/models/nn/embedding.js';
import { sizeOf } from '../../../../src/models/nn/params.js';
import { tf } from '../../../support/engine.js';
import { expectClose, numbers } from '../../../support/gradients.js';

const extents = { batch: 3, length: 6, numHeads: 2 };
const width = 8;
const specs = blockSpecs('b', width, 20, {
  inProj: { kind: 'constant', value: 0 },
  outProj: { kind: 'constant', value: 0 },
  fc: { kind: 'constant', value: 0 },
  fcProj: { kind: 'constant', value: 0 },
});
const names = specs.map(({ name }) => name);

describe.each([true, false])('pooledResidualBlock with causal = %s', (causal) => {
  it('has the values and gradients of the full block at the pooled token', () => {
    const before = tf.memory().numTensors;
    const inputs = [
      tf.tensor(numbers(18 * width, 'x'), [18, width]),
      ...specs.map(({ name, shape }) => tf.tensor(numbers(sizeOf(shape), name, 0.5), [...shape])),
    ];
    const positions = tf.tensor1d([0, 3, 5], 'int32');
    const options = { ...extents, quickGelu: false };
    const record = (values: tf.Tensor[]) => Object.fromEntries(names.map((name, i) => [name, values[i]!]));
    const full = (x: tf.Tensor, ...values: tf.Tensor[]): tf.Tensor => {
      const mask = causal ? causalMask(extents.length) : undefined;
      return takeTokens(residualBlock(record(values), 'b', x, { ...options, mask }), positions);
    };
    const pooled = (x: tf.Tensor, ...values: tf.Tensor[]): tf.Tensor => {
      const mask = causal ? causalMaskAt(positions, extents.length) : undefined;
      return pooledResidualBlock(record(values), 'b', x, takeTokens(x, positions), { ...options, mask });
    };
    const dy = tf.tensor(numbers(3 * width, 'dy'), [3, width]);
    const [expected, actual] = [full, pooled].map((block) =>
      tf.tidy(() => {
        const { value, grads } = tf.valueAndGrads(
          (...args: tf.Tensor[]) => block(args[0]!, ...args.slice(1)) as tf.Scalar,
        )(inputs, dy as tf.Scalar);
        return [value, ...grads];
      }),
    ) as [tf.Tensor[], tf.Tensor[]];
    const what = ['value', 'gradient of x', ...names.map((name) => `gradient of ${name}`)];
    expected.forEach((tensor, i) => {
      expectClose(actual[i]!.dataSync(), tensor.dataSync(), 1e-5, what[i]!);
    });
    tf.dispose([inputs, positions, dy, expected, actual]);
    expect(tf.memory().numTensors, 'tensors left').toBe(before);
  });
});
