/**
 * Where a compiled function's time goes: its program is run operation by operation, each timed alone. The
 * sum is more than a call's time, in which independent operations overlap.
 */
import type { TFEOpAttr } from '@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js';
import { AttrKind } from './binding.js';
import { DType, sizeOf } from './dtypes.js';
import { clusterFunction } from './emit.js';
import { ASSIGN_VARIABLE, INPUT, type Node, type Program, READ_VARIABLE, type Value } from './ir.js';
import { session } from './session.js';
import type { Variable } from './variables.js';

/** One operation's share of a run. */
export interface OpTiming {
  /** TensorFlow's operation, or the name of a cluster's function. */
  readonly op: string;
  /** For a cluster: the operations in it, in order. */
  readonly contents: string;
  readonly startUs: number;
  readonly durationUs: number;
  /** Bytes read and written, were each tensor touched once. */
  readonly bytes: number;
  /** Multiply-adds counted twice; products only. */
  readonly flops: number;
  /** For instance `float32[16, 197, 192]`. */
  readonly outputs: string;
}

const dtypeNames = new Map<number, string>(Object.entries(DType).map(([name, number]) => [number, name]));

function flopsOf(node: Node): number {
  if (node.op !== 'MatMul' && node.op !== 'BatchMatMulV2') return 0;
  const [a] = node.inputs as [Value];
  const transposed = node.attr('transpose_a') === true || node.attr('adj_x') === true;
  const inner = a.shape[a.rank - (transposed ? 2 : 1)] as number;
  return 2 * inner * sizeOf(node.out.shape);
}

/** Runs `program` once on the given input handles, timing each operation. Variables are updated. */
export function profileProgram(program: Program, inputIds: readonly number[]): OpTiming[] {
  const { binding, native } = session();
  const timings: OpTiming[] = [];
  const ids = new Map<Value, number>();
  const remaining = new Map<Value, number>();
  for (const node of program.nodes) {
    for (const input of node.inputs) remaining.set(input, (remaining.get(input) ?? 0) + 1);
  }
  const owned: number[] = [];
  program.inputs.forEach((node, i) => {
    ids.set(node.out, inputIds[i] as number);
  });
  const origin = performance.now();
  for (const node of program.nodes) {
    if (node.op === INPUT) continue;
    const inputs = node.inputs.map((v) => ids.get(v) as number);
    const start = performance.now();
    if (node.op === 'Const') {
      const data = node.data as Uint8Array;
      const repeated = node.uniform ? repeat(data, sizeOf(node.out.shape)) : data;
      ids.set(node.out, binding.createTensor([...node.out.shape], node.out.dtype, repeated));
      owned.push(ids.get(node.out) as number);
      continue;
    }
    const [op, attrs, args] = callOf(node, inputs);
    const results = binding.executeOp(op, attrs, args, node.outputs.length);
    // A kernel may still run when the call returns; its shape and type are known before, its bytes after.
    for (const { id } of results) {
      native.deleteTensor(native.checked(op, (s) => native.handleResolve(binding.handle(id), s)));
    }
    const end = performance.now();
    results.forEach(({ id }, i) => {
      ids.set(node.outputs[i] as Value, id);
    });
    const cluster = clusterFunction(node);
    timings.push({
      op: cluster?.functionName ?? node.op,
      contents: cluster?.contents ?? '',
      startUs: (start - origin) * 1000,
      durationUs: (end - start) * 1000,
      bytes: [...new Set(node.inputs), ...node.outputs].reduce((sum, v) => sum + v.bytes, 0),
      flops: flopsOf(node),
      outputs: node.outputs.map((o) => `${dtypeNames.get(o.dtype)}[${o.shape.join(', ')}]`).join(' '),
    });
    for (const input of node.inputs) {
      const left = (remaining.get(input) as number) - 1;
      remaining.set(input, left);
      if (
        left === 0 &&
        input.node.op !== INPUT &&
        input.node.op !== 'Const' &&
        !program.outputs.includes(input)
      ) {
        binding.deleteTensor(ids.get(input) as number);
        ids.delete(input);
      }
    }
  }
  for (const [value, id] of ids) {
    if (value.node.op !== INPUT && value.node.op !== 'Const') binding.deleteTensor(id);
  }
  for (const id of owned) binding.deleteTensor(id);
  return timings;
}

function callOf(node: Node, inputs: number[]): [string, TFEOpAttr[], number[]] {
  const variable = node.variable as Variable | undefined;
  if (variable) {
    const dtype = { name: 'dtype', type: AttrKind.type, value: variable.tfType };
    if (node.op === READ_VARIABLE) return ['ReadVariableOp', [dtype], [variable.handle]];
    if (node.op === ASSIGN_VARIABLE) return ['AssignVariableOp', [dtype], [variable.handle, ...inputs]];
  }
  const cluster = clusterFunction(node);
  return cluster ? [cluster.functionName, [], inputs] : [node.op, [...node.attrs], inputs];
}

function repeat(element: Uint8Array, count: number): Uint8Array {
  const all = new Uint8Array(element.length * count);
  for (let i = 0; i < count; i++) all.set(element, i * element.length);
  return all;
}

/** Timings as a trace for chrome://tracing, Perfetto or TensorBoard's trace viewer. */
export function chromeTrace(timings: readonly OpTiming[]): string {
  return JSON.stringify({
    displayTimeUnit: 'ms',
    traceEvents: timings.map((t) => ({
      name: t.op,
      ph: 'X',
      pid: 0,
      tid: 0,
      ts: t.startUs,
      dur: t.durationUs,
      args: {
        outputs: t.outputs,
        contents: t.contents,
        gigabytesPerSecond: t.bytes / t.durationUs / 1e3,
        gigaflopsPerSecond: t.flops / t.durationUs / 1e3,
      },
    })),
  });
}
