/**
 * Where a compiled function's time goes: its program is run operation by operation, each timed alone. The
 * sum is more than a call's time, in which independent operations overlap.
 */
import type { TFEOpAttr } from '@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js';
import { AttrKind, type TensorMetadata } from './binding.js';
import { DType, sizeOf } from './dtypes.js';
import { clusterFunction } from './emit.js';
import { ASSIGN_VARIABLE, INPUT, type Node, type Program, READ_VARIABLE, type Value } from './ir.js';
import { ProtoWriter } from './proto.js';
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

/**
 * Runs `program` once on the given input handles, timing each operation. Variables are updated.
 *
 * @returns the timings, and the program's outputs, whose handles are the caller's
 */
export function profileProgram(
  program: Program,
  inputIds: readonly number[],
): { timings: OpTiming[]; outputs: TensorMetadata[] } {
  const { binding } = session();
  const made = new Set<number>();
  try {
    const { timings, ids } = runTimed(program, inputIds, made);
    // An output may be an input, or the same value twice: each gets a handle of its own.
    const outputs = program.outputs.map(
      (value) => binding.executeOp('Identity', [], [ids.get(value) as number], 1)[0] as TensorMetadata,
    );
    return { timings, outputs };
  } finally {
    for (const id of made) binding.deleteTensor(id);
  }
}

/** The run itself. `made` holds the handles that it made and has not freed, also when it throws. */
function runTimed(
  program: Program,
  inputIds: readonly number[],
  made: Set<number>,
): { timings: OpTiming[]; ids: ReadonlyMap<Value, number> } {
  const { binding, native } = session();
  const timings: OpTiming[] = [];
  const ids = new Map<Value, number>();
  const remaining = new Map<Value, number>();
  for (const node of program.nodes) {
    for (const input of node.inputs) remaining.set(input, (remaining.get(input) ?? 0) + 1);
  }
  const outputs = new Set(program.outputs);
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
      const id = binding.createTensor([...node.out.shape], node.out.dtype, repeated);
      made.add(id);
      ids.set(node.out, id);
      continue;
    }
    const [op, attrs, args] = callOf(node, inputs);
    const results = binding.executeOp(op, attrs, args, node.outputs.length);
    for (const { id } of results) made.add(id);
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
      if (left > 0 || input.node.op === INPUT || outputs.has(input)) continue;
      const id = ids.get(input) as number;
      binding.deleteTensor(id);
      made.delete(id);
    }
  }
  return { timings, ids };
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

/** Timings as a trace for chrome://tracing or Perfetto. */
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

/**
 * Timings as an XSpace message (tsl/profiler/protobuf/xplane.proto), which TensorBoard's profile plugin reads
 * from `LOGDIR/plugins/profile/SESSION/HOST.xplane.pb`.
 */
export function xplaneTrace(timings: readonly OpTiming[]): Uint8Array {
  const names = [...new Set(timings.map((t) => t.op))];
  const statNames = ['outputs', 'contents', 'bytes_accessed', 'flops'];
  const entry = (id: number, name: string): ProtoWriter =>
    new ProtoWriter().int(1, id).message(2, new ProtoWriter().int(1, id).message(2, name));
  const line = new ProtoWriter()
    .int(1, 1)
    .message(2, 'operations')
    .int(9, endOf(timings) * PICOSECONDS);
  for (const t of timings) {
    const stat = (name: string): ProtoWriter => new ProtoWriter().int(1, statNames.indexOf(name) + 1);
    const event = new ProtoWriter()
      .int(1, names.indexOf(t.op) + 1)
      .int(2, Math.round(t.startUs * PICOSECONDS))
      .int(3, Math.round(t.durationUs * PICOSECONDS))
      .message(4, stat('outputs').message(5, t.outputs))
      .message(4, stat('bytes_accessed').int(3, t.bytes));
    if (t.contents) event.message(4, stat('contents').message(5, t.contents));
    if (t.flops > 0) event.message(4, stat('flops').int(3, t.flops));
    line.message(4, event);
  }
  const plane = new ProtoWriter().int(1, 1).message(2, '/host:CPU').message(3, line);
  names.forEach((name, i) => {
    plane.message(4, entry(i + 1, name));
  });
  statNames.forEach((name, i) => {
    plane.message(5, entry(i + 1, name));
  });
  return new ProtoWriter().message(1, plane).finish();
}

/** In a microsecond. */
const PICOSECONDS = 1e6;

function endOf(timings: readonly OpTiming[]): number {
  return Math.ceil(timings.reduce((end, t) => Math.max(end, t.startUs + t.durationUs), 0));
}
