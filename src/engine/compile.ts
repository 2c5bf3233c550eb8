/**
 * `compile(fn)`: like `jax.jit`, for tfjs. The function is run once per signature on a backend that records
 * its operations, gradients included; the recording becomes one TensorFlow function, which later calls
 * execute. Ordinary tensors go in and come out.
 */
import * as tf from '@tensorflow/tfjs';
import { EngineError } from '../errors.js';
import type { TensorMetadata } from './binding.js';
import { fuseClusters } from './cluster.js';
import { DType } from './dtypes.js';
import { type EmittedFunction, Emitter } from './emit.js';
import { INPUT, type Program, type Value } from './ir.js';
import { peakBytes } from './live-bytes.js';
import { applyBf16 } from './precision.js';
import { type OpTiming, profileProgram } from './profile.js';
import { Recording } from './recorder.js';
import { type EngineSession, session } from './session.js';
import { simplify } from './simplify.js';
import { flatten, type TreeShape } from './tree.js';
import type { Variable } from './variables.js';

/** How a function's operations are turned into machine code. */
export type Fusion = 'clusters' | 'whole' | 'none';

export interface CompileOptions {
  /** Shown in errors and profiles. Default: the function's own name. */
  readonly name?: string;
  /**
   * `bf16`: matrix products and convolutions in bfloat16, as PyTorch's autocast does; norms, softmax,
   * reductions, losses and variables stay float32. Default `fp32`.
   */
  readonly precision?: 'fp32' | 'bf16';
  /**
   * `clusters`: XLA compiles what lies between matrix products, TensorFlow's kernels (oneDNN) run those.
   * `whole`: XLA compiles everything. `none`: TensorFlow's kernels run everything.
   * Default: `clusters` on the CPU, `whole` on a GPU.
   */
  readonly fusion?: Fusion;
}

/** What one compiled signature consists of. */
export interface ProgramStats {
  readonly signature: string;
  /** Operations recorded; neither inputs nor constants count. */
  readonly recordedOps: number;
  /** Operations left after simplification and fusion, clusters counted as one. */
  readonly executedOps: number;
  readonly clusters: number;
  readonly distinctClusters: number;
  /** The most bytes of intermediate values alive at once, were the operations run one after another. */
  readonly peakBytes: number;
  /** Milliseconds of recording and of building the function; XLA compiles at the first call. */
  readonly recordMs: number;
  readonly buildMs: number;
  /** Milliseconds of the first call, XLA's compilation included; undefined before it. */
  firstCallMs: number | undefined;
  calls: number;
}

/** A function that runs compiled. Dispose of it when it is no longer needed. */
export interface CompiledFunction<A extends unknown[], R> {
  (...args: A): R;
  /** Runs on another thread: JavaScript goes on meanwhile. */
  async(...args: A): Promise<R>;
  /** One entry per compiled signature. */
  stats(): readonly ProgramStats[];
  /**
   * Runs once, operation by operation, and says what each took. Variables are updated as by a call. XLA
   * compiles a cluster when it is first executed: profile twice and keep the second.
   */
  profile(...args: A): { result: R; timings: OpTiming[] };
  /** Compiles for these arguments without running. */
  prepare(...args: A): void;
  dispose(): void;
}

interface Executable {
  readonly program: Program;
  readonly emitted: EmittedFunction;
  readonly captured: tf.Tensor[];
  readonly result: TreeShape;
  readonly stats: ProgramStats;
}

let nextFunction = 0;
const emitters = new WeakMap<EngineSession, Emitter>();

function emitterOf(engine: EngineSession): Emitter {
  let emitter = emitters.get(engine);
  if (!emitter) {
    emitter = new Emitter(engine.native, engine.binding, engine.opDefs);
    emitters.set(engine, emitter);
  }
  return emitter;
}

/**
 * Compiles `fn`. It is recorded again for each new combination of argument shapes, dtypes and plain values.
 *
 * Tensors that `fn` uses without receiving them become inputs and keep the value they had when it was
 * recorded; variables ({@link Variable}) are read and updated in place at each call. Values cannot be read
 * inside `fn` (an EngineError names the operation and the line), and side effects other than variable
 * assignments happen only while recording. The caller disposes of the returned tensors.
 *
 * @throws EngineError for arguments that are no trees of tensors and plain values.
 */
export function compile<A extends unknown[], R>(
  fn: (...args: A) => R,
  options: CompileOptions = {},
): CompiledFunction<A, R> {
  const executables = new Map<string, Executable>();
  const name = options.name ?? (fn.name || 'function');

  const lookUp = (args: A): { executable: Executable; inputs: tf.Tensor[] } => {
    const { tensors, shape } = flatten(args, `argument of ${name}: args`);
    const dtypes = inputTypes(tensors);
    const key = `${shape.key} ${dtypes.join()}`;
    let executable = executables.get(key);
    if (!executable) {
      executable = build(fn, name, key, tensors, dtypes, shape, options);
      executables.set(key, executable);
    }
    return { executable, inputs: tensors };
  };

  const handlesOf = (executable: Executable, inputs: tf.Tensor[]): number[] => [
    ...session().handleIds([...inputs, ...executable.captured]),
    ...executable.emitted.variables.map((v) => (v as Variable).handle),
  ];

  const rebuild = (executable: Executable, results: TensorMetadata[]): R =>
    executable.result.rebuild(results.map((r) => session().tensor(r))) as R;

  const refuseInRecording = (member: string): void => {
    if (!session().recording) return;
    throw new EngineError(
      `${name}.${member} was called inside a compiled function; call ${name} itself there`,
    );
  };

  const finish = (executable: Executable, started: number, results: TensorMetadata[]): R => {
    const { stats } = executable;
    stats.firstCallMs ??= performance.now() - started;
    stats.calls++;
    return rebuild(executable, results);
  };

  const call = (...args: A): R => {
    // Inside another recording the function is simply part of it.
    if (session().recording) return fn(...args);
    const { executable, inputs } = lookUp(args);
    const { emitted } = executable;
    const started = performance.now();
    const results = session().binding.executeOp(
      emitted.name,
      [],
      handlesOf(executable, inputs),
      emitted.numOutputs,
    );
    return finish(executable, started, results);
  };

  return Object.assign(call, {
    async async(...args: A): Promise<R> {
      refuseInRecording('async');
      const { executable, inputs } = lookUp(args);
      const { emitted } = executable;
      const started = performance.now();
      const ids = handlesOf(executable, inputs);
      const results = await session().binding.executeAsync(emitted.name, [], ids, emitted.numOutputs);
      return finish(executable, started, results);
    },
    profile(...args: A): { result: R; timings: OpTiming[] } {
      refuseInRecording('profile');
      const { executable, inputs } = lookUp(args);
      const ids = session().handleIds([...inputs, ...executable.captured]);
      const { timings, outputs } = profileProgram(executable.program, ids);
      return { result: rebuild(executable, outputs), timings };
    },
    stats: () => [...executables.values()].map((e) => e.stats),
    prepare: (...args: A): void => {
      refuseInRecording('prepare');
      lookUp(args);
    },
    dispose(): void {
      for (const { emitted, captured } of executables.values()) {
        for (const tensor of captured) tensor.dispose();
        emitterOf(session()).remove(emitted.name);
      }
      executables.clear();
    },
  });
}

/** The types the handles have, which tfjs does not know of all: a uint8 tensor is int32 to it. */
function inputTypes(tensors: readonly tf.Tensor[]): number[] {
  const { binding, native } = session();
  return session()
    .handleIds(tensors)
    .map((id) => native.handleDataType(binding.handle(id)));
}

function build<A extends unknown[], R>(
  fn: (...args: A) => R,
  name: string,
  key: string,
  inputs: readonly tf.Tensor[],
  dtypes: readonly number[],
  shape: TreeShape,
  options: CompileOptions,
): Executable {
  const engine = session();
  const started = performance.now();
  const recording = new Recording(
    engine.native,
    (s, d, v) => engine.binding.newTensor(s, d, v),
    engine.opDefs,
  );
  let captured: tf.Tensor[] = [];
  try {
    let result: TreeShape | undefined;
    let outputs: Value[] = [];
    ({ captured } = engine.record(recording, () =>
      tf.tidy(() => {
        const placeholders = inputs.map((tensor, i) =>
          engine.recordedTensor(recording.publish(recording.input(dtypes[i] as number, tensor.shape))),
        );
        const returned = fn(...(shape.rebuild(placeholders) as A));
        if (returned instanceof Promise) {
          // Nobody will wait for what becomes of it.
          returned.catch(() => {});
          throw new EngineError(`${name} is an async function; a compiled function must be synchronous`);
        }
        const flat = flatten(returned, `result of ${name}`);
        result = flat.shape;
        outputs = flat.tensors.map((t) => recording.value(engine.recordedId(t)));
      }),
    ));
    const recorded = performance.now();
    let program = recording.finish(outputs);
    const recordedOps = countOperations(program);
    program = simplify(program);
    if (options.precision === 'bf16') program = simplify(applyBf16(program));
    const fusion = options.fusion ?? (engine.device === 'cuda' ? 'whole' : 'clusters');
    const emitter = emitterOf(engine);
    const fused = fusion === 'clusters' ? fuseClusters(program, emitter) : { program, calls: 0, distinct: 0 };
    const emitted = emitter.emit(`${name.replace(/\W/g, '_')}_${nextFunction++}`, fused.program, {
      xla: fusion === 'whole',
    });
    return {
      program: fused.program,
      emitted,
      captured,
      result: result as TreeShape,
      stats: {
        signature: key,
        recordedOps,
        executedOps: countOperations(fused.program),
        clusters: fused.calls,
        distinctClusters: fused.distinct,
        peakBytes: peakBytes(fused.program),
        recordMs: recorded - started,
        buildMs: performance.now() - recorded,
        firstCallMs: undefined,
        calls: 0,
      },
    };
  } catch (error) {
    tf.dispose(captured);
    throw error;
  } finally {
    recording.dispose();
  }
}

function countOperations({ nodes }: Program): number {
  return nodes.filter(({ op }) => op !== INPUT && op !== 'Const').length;
}

/** A tensor of bytes: `int32` to tfjs, one byte an element in memory. Compiled functions cast it on the device. */
export function uint8Tensor(data: Uint8Array, shape: readonly number[]): tf.Tensor {
  const engine = session();
  const { binding, recording } = engine;
  if (recording)
    return engine.recordedTensor(recording.publish(recording.constant(shape, DType.uint8, data)));
  const id = binding.createTensor([...shape], DType.uint8, data);
  return engine.tensor({ id, shape: [...shape], dtype: DType.uint8 });
}
