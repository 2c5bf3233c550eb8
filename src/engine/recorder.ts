/**
 * A binding that writes down what tfjs asks for instead of doing it: how `compile` sees a function's
 * operations, its gradients included. Shapes come from TensorFlow's own shape inference.
 */
import { fileURLToPath } from 'node:url';
import type { TFEOpAttr, TFJSBinding } from '@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js';
import { EngineError } from '../errors.js';
import { BindingBase, type TensorMetadata } from './binding.js';
import { needsInt32 } from './byte-ops.js';
import { DType } from './dtypes.js';
import { Graph } from './graph.js';
import {
  ASSIGN_VARIABLE,
  castTo,
  constant,
  constantInts,
  INPUT,
  Node,
  type Program,
  READ_VARIABLE,
  type Value,
  type VariableRef,
} from './ir.js';
import type { GraphOutput, NativeApi, Pointer } from './native.js';
import type { OpDef } from './op-defs.js';

/** What the stack shows of this folder, built or not (source maps), as paths and as URLs. */
const ENGINE_FOLDERS = ['src/engine/', 'dist/engine/'].flatMap((folder) => {
  const url = new URL(`../../${folder}`, import.meta.url);
  return [url.href, fileURLToPath(url)];
});

/** The first stack line that is neither tfjs's nor the engine's: where the user's code stands. */
export function userLine(stack: string | undefined): string {
  const lines = (stack ?? '').split('\n').slice(1);
  const line = lines.find(
    (l) =>
      !/node_modules|tfjs-(core|backend-\w+|converter|data|layers|node-gpu)[/\\]|node:|\(<anonymous>\)$/.test(
        l,
      ) && !ENGINE_FOLDERS.some((folder) => l.includes(folder)),
  );
  return line ? line.trim().replace(/^at /, '') : 'an unknown line';
}

/** Where the code stands that called into the engine. tfjs is deeper than the ten frames that V8 keeps by default. */
export function callerLine(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 100;
  try {
    return userLine(new Error().stack);
  } finally {
    Error.stackTraceLimit = limit;
  }
}

/** Never the same in two recordings: a tensor of another one must not pass for one of this. */
let nextId = 1;

/** One recording. Ids that it hands to tfjs name {@link Value}s. */
export class Recording {
  readonly nodes: Node[] = [];
  readonly inputs: Node[] = [];
  readonly values = new Map<number, Value>();
  private readonly graph: Graph;
  private readonly outputsInGraph = new Map<Value, GraphOutput>();
  private readonly currentValue = new Map<VariableRef, Value>();
  /** 0 in a forward pass; operations of different scopes are never merged. See `gradient.ts`. */
  scope = 0;

  constructor(
    private readonly native: NativeApi,
    private readonly newTensor: (shape: readonly number[], dtype: number, data: ArrayBufferView) => Pointer,
    opDefs: ReadonlyMap<string, OpDef>,
  ) {
    this.graph = new Graph(native, opDefs);
  }

  dispose(): void {
    this.graph.dispose();
  }

  value(id: number): Value {
    const value = this.values.get(id);
    if (!value) {
      throw new EngineError(
        `A tensor that was recorded earlier is used at ${callerLine()}. Such a tensor stands for a value within one ` +
          'recording of one function and must not be kept for another: make it outside of compiled functions.',
      );
    }
    return value;
  }

  /** Gives a value an id that tfjs can hold. */
  publish(value: Value): TensorMetadata {
    const id = nextId++;
    this.values.set(id, value);
    return { id, shape: [...value.shape], dtype: value.dtype };
  }

  private append(node: Node): Node {
    node.scope = this.scope;
    this.nodes.push(node);
    return node;
  }

  input(dtype: number, shape: readonly number[]): Value {
    const node = this.append(new Node(INPUT, [], []));
    this.inputs.push(node);
    const value = node.addOutput(dtype, shape);
    this.outputsInGraph.set(value, { oper: this.graph.placeholder(dtype, shape), index: 0 });
    return value;
  }

  readVariable(variable: VariableRef): Value {
    const known = this.currentValue.get(variable);
    if (known) return known;
    const node = this.append(new Node(READ_VARIABLE, [], []));
    node.variable = variable;
    const value = node.addOutput(variable.tfType, variable.shape);
    this.outputsInGraph.set(value, {
      oper: this.graph.placeholder(variable.tfType, variable.shape),
      index: 0,
    });
    this.currentValue.set(variable, value);
    return value;
  }

  assignVariable(variable: VariableRef, value: Value): void {
    this.currentValue.set(
      variable,
      needsInt32('AssignVariableOp', 1, value.dtype) ? this.toInt32(value) : value,
    );
  }

  private toInt32(bytes: Value): Value {
    return this.execute('Cast', castTo(bytes, DType.int32).attrs, [bytes])[0] as Value;
  }

  constant(shape: readonly number[], dtype: number, data: ArrayBufferView): Value {
    const node = this.append(constant(data, dtype, shape));
    const value = node.out;
    const tensor = this.newTensor(shape, dtype, data);
    this.outputsInGraph.set(value, { oper: this.graph.constant(tensor, dtype), index: 0 });
    this.native.deleteTensor(tensor);
    return value;
  }

  execute(op: string, attrs: readonly TFEOpAttr[], given: readonly Value[]): Value[] {
    const inputs = given.map((value, i) => (needsInt32(op, i, value.dtype) ? this.toInt32(value) : value));
    const kept = attrs.map(({ name, type, value }) => ({ name, type, value }));
    const node = new Node(op, kept, inputs);
    const operation = this.addToGraph(node);
    for (let index = 0; index < this.graph.numOutputs(operation); index++) {
      const output = { oper: operation, index };
      const shape = this.graph.shape(output);
      if (!shape || shape.some((d) => d < 0)) {
        throw new EngineError(
          `${op} (at ${callerLine()}) has a shape that depends on values, which cannot be compiled; ` +
            'use an operation whose result shape follows from its input shapes, or move it out of the compiled function.',
        );
      }
      this.outputsInGraph.set(node.addOutput(this.graph.dtype(output), shape), output);
    }
    this.append(node);
    return node.outputs;
  }

  /** Has TensorFlow infer the result's shape. @throws EngineError with the user's line if the operation is refused */
  private addToGraph({ op, attrs, inputs }: Node): Pointer {
    try {
      return this.graph.add(
        op,
        attrs,
        inputs.map((input) => this.outputsInGraph.get(input) as GraphOutput),
      );
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      throw new EngineError(`At ${callerLine()}, inside a compiled function: ${error.message}`, {
        cause: error,
      });
    }
  }

  /** Ends the recording: the program that computes `outputs` and leaves every variable at its last value. */
  finish(outputs: readonly Value[]): Program {
    for (const [variable, value] of this.currentValue) {
      if (value.node.op === READ_VARIABLE && value.node.variable === variable) continue;
      const assign = new Node(ASSIGN_VARIABLE, [], [value]);
      assign.variable = variable;
      this.nodes.push(assign);
    }
    return { nodes: this.nodes, inputs: this.inputs, outputs: [...outputs] };
  }
}

/** The binding of the recording backend: forwards to the recording that is under way. */
export class RecordingBinding extends BindingBase implements TFJSBinding {
  /** The recording under way, if any. */
  active: Recording | undefined;

  constructor(
    version: string,
    private readonly gpu: boolean,
  ) {
    super(version);
  }

  isUsingGpuDevice(): boolean {
    return this.gpu;
  }

  getNumOfTensors(): number {
    return this.active?.values.size ?? 0;
  }

  private recording(): Recording {
    if (!this.active) {
      throw new EngineError(
        'a tensor of a compiled function was used after the function returned; return it from the function instead.',
      );
    }
    return this.active;
  }

  createTensor(shape: number[], dtype: number, buffer: unknown): number {
    if (!ArrayBuffer.isView(buffer))
      throw new EngineError('only numeric and boolean tensors can be compiled');
    return this.recording().publish(this.recording().constant(shape, dtype, buffer)).id;
  }

  deleteTensor(id: number): void {
    this.active?.values.delete(id);
  }

  tensorDataSync(id: number): Float32Array | Int32Array | Uint8Array {
    const value = this.recording().value(id);
    const ints = constantInts(value);
    if (ints) return Int32Array.from(ints);
    const { node } = value;
    const at = callerLine();
    const what = node.op === INPUT || node.op === READ_VARIABLE ? 'an input' : `the result of ${node.op}`;
    throw new EngineError(
      `The value of ${what} (shape [${value.shape.join(', ')}]) is read at ${at}, inside a compiled function. ` +
        'It has no value while the function is being recorded: use tensor operations such as tf.where instead ' +
        'of reading it, or return it and read it outside.',
    );
  }

  executeOp(op: string, attrs: TFEOpAttr[], inputIds: number[], _numOutputs: number): TensorMetadata[] {
    const recording = this.recording();
    return recording
      .execute(
        op,
        attrs,
        inputIds.map((id) => recording.value(id)),
      )
      .map((value) => recording.publish(value));
  }
}
