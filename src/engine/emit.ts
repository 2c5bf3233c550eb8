/** Turns a program into a TensorFlow function that the eager context can call. */
import { EngineError } from '../errors.js';
import { AttrKind, type EagerBinding } from './binding.js';
import { DType, sizeOf } from './dtypes.js';
import { Graph } from './graph.js';
import {
  ASSIGN_VARIABLE,
  INPUT,
  type Node,
  type Program,
  READ_VARIABLE,
  type Value,
  type VariableRef,
} from './ir.js';
import type { GraphOutput, NativeApi, Pointer } from './native.js';
import type { OpDef } from './op-defs.js';
import { ProtoWriter } from './proto.js';

/** A function known to the context, and the arguments that it takes. */
export interface EmittedFunction {
  readonly name: string;
  /** The variables whose handles follow the inputs in a call. */
  readonly variables: readonly VariableRef[];
  readonly numOutputs: number;
}

/** A group of nodes to be called as a function of its own; see `cluster.ts`. */
export interface ClusterCall {
  readonly functionName: string;
  /** The operations inside, for profiles. */
  readonly contents: string;
}

const clusterOfNode = new WeakMap<Node, ClusterCall>();

/** Marks a node as a call of a cluster's function. */
export function markClusterCall(node: Node, call: ClusterCall): void {
  clusterOfNode.set(node, call);
}

/** The cluster that a node calls, if it does. */
export function clusterFunction(node: Node): ClusterCall | undefined {
  return clusterOfNode.get(node);
}

export class Emitter {
  /** Functions made so far, by name; a graph that calls one needs its own copy of the definition. */
  private readonly functions = new Map<string, Pointer>();

  constructor(
    private readonly native: NativeApi,
    private readonly binding: EagerBinding,
    private readonly opDefs: ReadonlyMap<string, OpDef>,
  ) {}

  has(name: string): boolean {
    return this.functions.has(name);
  }

  /** Takes a function back from the context. Clusters stay: other functions may call them. */
  remove(name: string): void {
    const { native, binding } = this;
    const fn = this.functions.get(name);
    if (fn === undefined) return;
    this.functions.delete(name);
    native.checked(`removing ${name}`, (s) => native.contextRemoveFunction(binding.context, name, s));
    native.deleteFunction(fn);
  }

  /** Adds `program` to the context as a function. `xla` compiles it whole with XLA. */
  emit(name: string, program: Program, options: { xla: boolean }): EmittedFunction {
    const { native, binding } = this;
    const graph = new Graph(native, this.opDefs);
    try {
      const placed = new Map<Value, GraphOutput>();
      const copied = new Set<string>();
      const variables = new Map<VariableRef, GraphOutput>();
      const reads = new Map<VariableRef, Pointer[]>();
      const controls: Pointer[] = [];
      const operations = new Map<Node, Pointer>();
      const inputs: GraphOutput[] = [];
      for (const node of program.inputs) {
        const output = { oper: graph.placeholder(node.out.dtype, node.out.shape), index: 0 };
        inputs.push(output);
        placed.set(node.out, output);
      }
      const variable = (ref: VariableRef): GraphOutput => {
        let output = variables.get(ref);
        if (!output) {
          output = { oper: graph.placeholder(DType.resource, ref.shape), index: 0 };
          variables.set(ref, output);
        }
        return output;
      };
      const place = (value: Value): GraphOutput => {
        const output = placed.get(value);
        if (!output) throw new EngineError(`internal: ${value.node.op} is used before it is computed`);
        return output;
      };
      for (const node of program.nodes) {
        if (node.op === INPUT) continue;
        let operation: Pointer;
        const ref = node.variable;
        const after = node.controls.map((c) => operations.get(c)).filter((p) => p !== undefined);
        if (node.op === 'Const') {
          operation = this.emitConstant(graph, node);
        } else if (node.op === READ_VARIABLE && ref) {
          operation = graph.add(
            'ReadVariableOp',
            [{ name: 'dtype', type: AttrKind.type, value: ref.tfType }],
            [variable(ref)],
          );
          graph.setShape({ oper: operation, index: 0 }, ref.shape);
          reads.set(ref, [...(reads.get(ref) ?? []), operation]);
        } else if (node.op === ASSIGN_VARIABLE && ref) {
          operation = graph.add('AssignVariableOp', [], [variable(ref), place(node.inputs[0] as Value)], {
            controls: reads.get(ref) ?? [],
          });
          controls.push(operation);
        } else {
          const call = clusterOfNode.get(node);
          if (call) {
            if (!copied.has(call.functionName)) {
              copied.add(call.functionName);
              const body = this.functions.get(call.functionName) as Pointer;
              native.checked('cluster', (s) => native.graphCopyFunction(graph.pointer, body, 0n, s));
            }
            operation = graph.add('PartitionedCall', [], node.inputs.map(place), {
              controls: after,
              name: call.functionName,
              extra: (d) => {
                native.setAttrTypeList(
                  d,
                  'Tout',
                  Int32Array.from(node.outputs, (o) => o.dtype),
                  node.outputs.length,
                );
                native.setAttrFuncName(d, 'f', call.functionName, call.functionName.length);
                native.setAttrBool(d, '_XlaMustCompile', 1);
              },
            });
            for (const [index, out] of node.outputs.entries())
              graph.setShape({ oper: operation, index }, out.shape);
          } else {
            operation = graph.add(node.op, node.attrs, node.inputs.map(place), { controls: after });
          }
        }
        operations.set(node, operation);
        for (const value of node.outputs) placed.set(value, { oper: operation, index: value.index });
      }
      const arguments_ = [...inputs, ...variables.values()];
      const outputs = program.outputs.map(place).map((output) =>
        // A function may not return its argument itself.
        arguments_.some((a) => a.oper === output.oper)
          ? { oper: graph.add('Identity', [], [output]), index: 0 }
          : output,
      );
      const fn = native.checked(`function ${name}`, (s) =>
        native.graphToFunction(
          graph.pointer,
          name,
          0,
          -1,
          null,
          arguments_.length,
          arguments_,
          outputs.length,
          outputs,
          null,
          controls.length,
          BigInt64Array.from(controls),
          null,
          null,
          null,
          s,
        ),
      );
      if (options.xla) this.setBool(fn, '_XlaMustCompile');
      native.checked(`function ${name}`, (s) => native.contextAddFunction(binding.context, fn, s));
      this.functions.set(name, fn);
      return { name, variables: [...variables.keys()], numOutputs: outputs.length };
    } finally {
      graph.dispose();
    }
  }

  private setBool(fn: Pointer, name: string): void {
    const { native } = this;
    const value = new ProtoWriter().int(5, 1).finish();
    native.checked('function attribute', (s) =>
      native.functionSetAttrValueProto(fn, name, value, value.length, s),
    );
  }

  private emitConstant(graph: Graph, node: Node): Pointer {
    const { native, binding } = this;
    const { dtype, shape } = node.out;
    const data = node.data as Uint8Array;
    const scalar = node.uniform && sizeOf(shape) > 1;
    const tensor = binding.newTensor(scalar ? [] : shape, dtype, data);
    const value = graph.constant(tensor, dtype);
    native.deleteTensor(tensor);
    if (!scalar) return value;
    const extent = binding.newTensor([shape.length], DType.int32, Int32Array.from(shape));
    const dimensions = graph.constant(extent, DType.int32);
    native.deleteTensor(extent);
    return graph.add(
      'Fill',
      [],
      [
        { oper: dimensions, index: 0 },
        { oper: value, index: 0 },
      ],
    );
  }
}
