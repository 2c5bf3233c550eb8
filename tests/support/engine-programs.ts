/** Programs as the engine's passes see them: recorded without being compiled, run as they are, watched. */
import { vi } from 'vitest';
import { EagerBinding } from '../../src/engine/binding.js';
import { DType } from '../../src/engine/dtypes.js';
import { Emitter } from '../../src/engine/emit.js';
import { ASSIGN_VARIABLE, INPUT, type Node, type Program, READ_VARIABLE } from '../../src/engine/ir.js';
import { Recording } from '../../src/engine/recorder.js';
import { session } from '../../src/engine/session.js';
import { tf } from './engine.js';

/** An empty recording; the caller disposes of it. */
export function newRecording(): Recording {
  const { native, binding, opDefs } = session();
  return new Recording(native, (shape, dtype, data) => binding.newTensor(shape, dtype, data), opDefs);
}

/** What `compile` records of `fn`, before any pass. `fn` must use no tensor that it does not receive. */
export function record(fn: (...inputs: tf.Tensor[]) => tf.Tensor[], inputs: readonly tf.Tensor[]): Program {
  const engine = session();
  const recording = newRecording();
  const dtypes = engine
    .handleIds(inputs)
    .map((id) => engine.native.handleDataType(engine.binding.handle(id)));
  try {
    let program: Program | undefined;
    engine.record(recording, () =>
      tf.tidy(() => {
        const placeholders = inputs.map((x, i) =>
          engine.recordedTensor(recording.publish(recording.input(dtypes[i]!, x.shape))),
        );
        const results = fn(...placeholders);
        program = recording.finish(results.map((t) => recording.value(engine.recordedId(t))));
      }),
    );
    return program as Program;
  } finally {
    recording.dispose();
  }
}

let emitter: Emitter | undefined;

/** The emitter of programs that {@link run} runs. */
export function testEmitter(): Emitter {
  const { native, binding, opDefs } = session();
  emitter ??= new Emitter(native, binding, opDefs);
  return emitter;
}

let nextProgram = 0;

/** Runs a program that has no variables. The caller disposes of the results. */
export function run(program: Program, inputs: readonly tf.Tensor[], xla = false): tf.Tensor[] {
  const engine = session();
  const { name, numOutputs } = testEmitter().emit(`test_program_${nextProgram++}`, program, { xla });
  const results = engine.binding.executeOp(name, [], engine.handleIds(inputs), numOutputs);
  testEmitter().remove(name);
  return results.map((r) => engine.tensor(r));
}

/** The nodes that TensorFlow runs: neither inputs nor constants. */
export function operations(program: Program): Node[] {
  return program.nodes.filter((n) => n.op !== INPUT && n.op !== 'Const');
}

/** The names of {@link operations}, in order. */
export function opNames(program: Program): string[] {
  return operations(program).map((n) => n.op);
}

const dtypeNames = new Map<number, string>(Object.entries(DType).map(([name, number]) => [number, name]));

/** For instance `Select(bool, float32)`: each operation of TensorFlow's with the types among its inputs. */
export function signatures(program: Program): string[] {
  return operations(program)
    .filter((n) => n.op !== READ_VARIABLE && n.op !== ASSIGN_VARIABLE)
    .map(({ op, inputs }) => {
      const types = new Set(inputs.map((v) => dtypeNames.get(v.dtype)));
      return `${op}(${[...types].join(', ')})`;
    });
}

/** Programs of what is compiled while a watch is on. */
export interface Watch {
  /** As recorded, one of each signature. */
  readonly recorded: Program[];
  /** As given to TensorFlow: clusters' functions (compiled by XLA) and the programs that call them. */
  readonly emitted: { readonly name: string; readonly program: Program; readonly xla: boolean }[];
  stop(): void;
}

/**
 * Watches the compiler from now until `stop()`. Nothing is run meanwhile, which would make XLA compile it:
 * asynchronous calls of compiled functions fail with "not run".
 */
export function watchCompiler(): Watch {
  const recorded: Program[] = [];
  const emitted: { name: string; program: Program; xla: boolean }[] = [];
  const finish = Recording.prototype.finish;
  const emit = Emitter.prototype.emit;
  const spies = [
    vi.spyOn(Recording.prototype, 'finish').mockImplementation(function (this: Recording, outputs) {
      const program = finish.call(this, outputs);
      recorded.push(program);
      return program;
    }),
    vi.spyOn(Emitter.prototype, 'emit').mockImplementation(function (this: Emitter, name, program, options) {
      emitted.push({ name, program, xla: options.xla });
      return emit.call(this, name, program, options);
    }),
    vi.spyOn(EagerBinding.prototype, 'executeAsync').mockRejectedValue(new Error('not run')),
  ];
  return {
    recorded,
    emitted,
    stop: () => {
      for (const spy of spies) spy.mockRestore();
    },
  };
}
