import { describe, expect, it } from 'vitest';
import { DType } from '../../../src/engine/dtypes.js';
import { constant, INPUT, Node, type Program, type Value } from '../../../src/engine/ir.js';
import { peakBytes } from '../../../src/engine/live-bytes.js';

const nodes: Node[] = [];
/** An operation whose result has that many float32 elements. */
const op = (name: string, inputs: readonly Value[], size: number): Value => {
  const node = new Node(name, [], inputs);
  nodes.push(node);
  return node.addOutput(DType.float32, [size]);
};
const program = (build: (x: Value) => readonly Value[]): Program => {
  nodes.length = 0;
  const input = op(INPUT, [], 1000);
  const outputs = build(input);
  return { nodes: [...nodes], inputs: [input.node], outputs: [...outputs] };
};

describe('peakBytes', () => {
  it('counts each value from its computation to its last use', () => {
    const chain = program((x) => {
      const a = op('Exp', [x], 10);
      const b = op('Exp', [a], 20); // 30 alive
      const c = op('Exp', [b], 5); // 25
      return [op('Exp', [c], 1)]; // 6
    });
    expect(peakBytes(chain)).toBe(4 * 30);
    const kept = program((x) => {
      const a = op('Exp', [x], 10);
      const b = op('Exp', [a], 20);
      const c = op('Exp', [b], 5); // 35: a is used once more
      return [op('Mul', [c, a], 10)];
    });
    expect(peakBytes(kept)).toBe(4 * 35);
  });

  it('counts outputs to the end, also those that nothing else reads', () => {
    const twice = program((x) => {
      const first = op('Exp', [x], 10);
      return [first, op('Exp', [x], 10), op('Exp', [x], 10)];
    });
    expect(peakBytes(twice)).toBe(4 * 30);
  });

  it('counts reshaped values once, and constants not at all', () => {
    const reshaped = program((x) => {
      const a = op('Exp', [x], 10);
      const b = op('Reshape', [a], 10);
      const half = constant(Float32Array.of(0.5), DType.float32, []);
      nodes.push(half);
      const c = op('Mul', [b, half.out], 10); // 20
      return [op('Add', [c, op('Reshape', [b], 10)], 10)]; // 30: a lives on in its reshapes
    });
    expect(peakBytes(reshaped)).toBe(4 * 30);
  });
});
