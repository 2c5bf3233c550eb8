import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { DType } from '../../../src/engine/dtypes.js';
import { backward, tf } from '../../../src/engine/index.js';
import { ASSIGN_VARIABLE, READ_VARIABLE, type VariableRef } from '../../../src/engine/ir.js';
import { type Recording, userLine } from '../../../src/engine/recorder.js';
import { executeOp, session } from '../../../src/engine/session.js';
import { EngineError } from '../../../src/errors.js';
import '../../support/engine.js';
import { newRecording, operations, opNames, record } from '../../support/engine-programs.js';

/** Records `fn` on one float32 [2, 3] input. */
function recorded(fn: (x: tf.Tensor) => tf.Tensor[]) {
  const x = tf.ones([2, 3]);
  try {
    return record((t) => fn(t!), [x]);
  } finally {
    x.dispose();
  }
}

describe('a recording', () => {
  it('holds every operation in order, with the shapes and types of its results', () => {
    const program = recorded((x) => tf.split(tf.cast(tf.greater(tf.neg(x), 0), 'int32'), [1, 2], 1));
    expect(opNames(program)).toEqual(['Neg', 'Greater', 'Cast', 'SplitV']);
    const [, greater, cast, split] = operations(program);
    expect(greater!.out.dtype).toBe(DType.bool);
    expect(cast!.out.dtype).toBe(DType.int32);
    expect(split!.outputs.map((v) => v.shape)).toEqual([
      [2, 1],
      [2, 2],
    ]);
    expect(program.outputs).toEqual(split!.outputs);
  });

  it('runs nothing and leaves no tensor', () => {
    const before = tf.memory().numTensors;
    const held = session().binding.getNumOfTensors();
    recorded((x) => [tf.matMul(x, tf.ones([3, 100_000]))]);
    expect(tf.memory().numTensors).toBe(before);
    expect(session().binding.getNumOfTensors()).toBe(held);
  });

  it('ends when its function throws: what follows is executed', () => {
    expect(() =>
      recorded(() => {
        throw new Error('mine');
      }),
    ).toThrow('mine');
    const one = tf.scalar(1);
    expect(one.dataSync()).toEqual(Float32Array.of(1));
    one.dispose();
  });

  it('marks what a backward pass records, also when that throws', () => {
    const program = recorded((x) => {
      const y = backward(() => tf.neg(x));
      expect(() =>
        backward(() => {
          throw new Error('mine');
        }),
      ).toThrow('mine');
      return [tf.exp(y)];
    });
    expect(operations(program).map((n) => [n.op, n.scope])).toEqual([
      ['Neg', 1],
      ['Exp', 0],
    ]);
  });

  it('lets integers that are constants be read, as tfjs reads indices, and nothing else', () => {
    recorded((x) => {
      expect([...tf.tensor1d([4, 5], 'int32').dataSync()]).toEqual([4, 5]);
      expect(() => tf.neg(x).dataSync()).toThrow(EngineError);
      expect(() => tf.neg(x).dataSync()).toThrow(
        /result of Neg \(shape \[2, 3\]\) is read at .*recorder\.test\.ts:\d+/,
      );
      expect(() => x.dataSync()).toThrow(/value of an input/);
      return [x];
    });
  });

  it('refuses an operation whose shape depends on values, and says where it stands', () => {
    expect(() => recorded((x) => [executeOp('Where', [], [tf.greater(x, 0)])])).toThrow(
      /Where \(at .*recorder\.test\.ts:\d+:\d+\)? has a shape that depends on values/,
    );
  });

  it('reports a bad operation as TensorFlow sees it', () => {
    expect(() => recorded((x) => [executeOp('MatMul', [], [x, x])])).toThrow(
      /^At .*recorder\.test\.ts:\d+:\d+\)?, inside a compiled function: recording MatMul: .*Dimensions/,
    );
  });

  it('refuses a tensor of a recording that is over', () => {
    let kept: tf.Tensor | undefined;
    recorded((x) => {
      kept = tf.keep(tf.neg(x));
      return [x];
    });
    expect(() => kept!.dataSync()).toThrow(/used after the function returned; return it/);
    kept!.dispose();
  });
});

describe('variables in a recording', () => {
  const variable = (name: string): VariableRef => ({ name, shape: [2], tfType: DType.float32 });

  function inRecording(fn: (recording: Recording) => void): void {
    const recording = newRecording();
    try {
      fn(recording);
    } finally {
      recording.dispose();
    }
  }

  it('are read once, and not again after an assignment', () => {
    inRecording((recording) => {
      const w = variable('w');
      const value = recording.readVariable(w);
      expect(recording.readVariable(w)).toBe(value);
      const [negated] = recording.execute('Neg', [], [value]);
      recording.assignVariable(w, negated!);
      expect(recording.readVariable(w)).toBe(negated);
      expect(recording.nodes.map((n) => n.op)).toEqual([READ_VARIABLE, 'Neg']);
    });
  });

  it('are assigned once, at the end, with their last value', () => {
    inRecording((recording) => {
      const [w, v] = [variable('w'), variable('v')];
      const [negated] = recording.execute('Neg', [], [recording.readVariable(w)]);
      recording.assignVariable(w, negated!);
      const [again] = recording.execute('Exp', [], [negated!]);
      recording.assignVariable(w, again!);
      recording.assignVariable(v, negated!); // never read
      const { nodes } = recording.finish([]);
      const assigned = nodes.filter((n) => n.op === ASSIGN_VARIABLE);
      expect(assigned.map((n) => [n.variable, n.inputs[0]])).toEqual([
        [w, again],
        [v, negated],
      ]);
      expect(nodes.slice(-2)).toEqual(assigned);
    });
  });

  it('are not assigned if they end as they began', () => {
    inRecording((recording) => {
      const w = variable('w');
      const before = recording.readVariable(w);
      const [negated] = recording.execute('Neg', [], [before]);
      recording.assignVariable(w, negated!);
      recording.assignVariable(w, before);
      expect(recording.finish([before]).nodes.map((n) => n.op)).toEqual([READ_VARIABLE, 'Neg']);
    });
  });

  it("may take one another's values", () => {
    inRecording((recording) => {
      const [w, v] = [variable('w'), variable('v')];
      const [a, b] = [recording.readVariable(w), recording.readVariable(v)];
      recording.assignVariable(w, b);
      recording.assignVariable(v, a);
      const assigned = recording.finish([]).nodes.filter((n) => n.op === ASSIGN_VARIABLE);
      expect(assigned.map((n) => [n.variable, n.inputs[0]])).toEqual([
        [w, b],
        [v, a],
      ]);
    });
  });
});

describe('userLine', () => {
  it("is the first line that is neither the engine's nor tfjs's nor Node's", () => {
    const engine = new URL('../../../src/engine/', import.meta.url);
    const stack = [
      'Error: x',
      `    at RecordingBinding.executeOp (${engine.href}recorder.ts:1:2)`,
      `    at tidy (${fileURLToPath(engine)}compile.ts:1:2)`,
      '    at neg (/app/node_modules/@tensorflow/tfjs-core/dist/tf-core.node.js:3:4)',
      '    at scopedRun (/elsewhere/tfjs-core/src/engine.ts:5:6)',
      '    at process.next (node:internal/process:7:8)',
      '    at Array.map (<anonymous>)',
      '    at loss (/app/src/models/loss.ts:9:10)',
      '    at main (/app/main.ts:11:12)',
    ].join('\n');
    expect(userLine(stack)).toBe('loss (/app/src/models/loss.ts:9:10)');
    expect(userLine('Error: x')).toBe('an unknown line');
  });

  it('may be in a folder of any name, and at the top of a module', () => {
    for (const line of [
      'run (/home/me/engine/train.ts:1:2)',
      'file:///home/me/tfjs-clip/src/engine/train.js:1:2',
      'Object.<anonymous> (/home/me/train.cjs:1:2)',
    ]) {
      expect(userLine(`Error: x\n    at ${line}`)).toBe(line);
    }
  });

  it('is unknown where there is no stack', () => {
    expect(userLine(undefined)).toBe('an unknown line');
  });
});
