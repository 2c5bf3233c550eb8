/**
 * Where a compiled function's time goes: its program is run operation by operation, each timed alone. The
 * sum is more than a call's time, in which independent operations overlap.
 */
import type { TFEOpAttr } from '@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js';
import { AttrKind, type TensorMetadata } from './binding.js';
import { DType, sizeOf } from './dtypes.js';
import { clusterFunction } from './emit.js';
import {
  ASSIGN_VARIABLE,
  INPUT,
  type Node,
  type Program,
  READ_VARIABLE,
  type Value,
  VIEW_OPS,
} from './ir.js';
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
  /** The largest first, for instance `float32[16, 197, 192]`. */
  readonly outputs: readonly string[];
}

/** Change nothing but shape or type, and tell little of what a cluster does. */
const plain = new Set([...VIEW_OPS, 'Cast']);
const MAX_LABEL_NAMES = 8;

/**
 * A short name: the operation's, or for a cluster those of the operations in it with their number. The rarest
 * come first, as they tell most: `fused Erf Exp Square Mul Add (12)` is a GELU's gradient.
 */
export function opLabel({ op, contents }: Pick<OpTiming, 'op' | 'contents'>): string {
  if (contents === '') return op;
  const all = contents.split(' ');
  const counts = new Map<string, number>();
  for (const name of all) counts.set(name, (counts.get(name) ?? 0) + 1);
  const telling = [...counts].filter(([name]) => !plain.has(name));
  const names = (telling.length > 0 ? telling : [...counts])
    .sort((a, b) => a[1] - b[1])
    .map(([name]) => name);
  const shown = names.length > MAX_LABEL_NAMES ? [...names.slice(0, MAX_LABEL_NAMES - 1), '…'] : names;
  return `fused ${shown.join(' ')} (${all.length})`;
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
      outputs: [...node.outputs]
        .sort((a, b) => b.bytes - a.bytes)
        .map((o) => `${dtypeNames.get(o.dtype)}[${o.shape.join(', ')}]`),
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
      name: opLabel(t),
      ph: 'X',
      pid: 0,
      tid: 0,
      ts: t.startUs,
      dur: t.durationUs,
      args: {
        outputs: t.outputs.join(' '),
        contents: t.contents,
        gigabytesPerSecond: t.bytes / t.durationUs / 1e3,
        gigaflopsPerSecond: t.flops / t.durationUs / 1e3,
      },
    })),
  });
}

/** Of an XStat: in which field of the message its value goes. */
const STAT_FIELDS = { outputs: 5, contents: 5, bytes_accessed: 3, flops: 3, step_num: 4, _r: 4 } as const;
const statNames = Object.keys(STAT_FIELDS) as (keyof typeof STAT_FIELDS)[];

function stat(name: keyof typeof STAT_FIELDS, value: string | number): ProtoWriter {
  const message = new ProtoWriter().int(1, statNames.indexOf(name) + 1);
  return typeof value === 'string'
    ? message.message(STAT_FIELDS[name], value)
    : message.int(STAT_FIELDS[name], value);
}

/**
 * Timings of one step as an XSpace message (tsl/profiler/protobuf/xplane.proto), which TensorBoard's profile
 * plugin reads from `LOGDIR/plugins/profile/SESSION/HOST.xplane.pb`.
 */
export function xplaneTrace(timings: readonly OpTiming[]): Uint8Array {
  // The plugin's statistics count events named `NAME:TYPE`, both without blanks; its trace shows the other name.
  const names = timings.map(
    (t) => `${wordOf([opLabel(t), ...t.outputs.slice(0, 1)].join(' '))}:${typeOf(t)}`,
  );
  const ids = new Map([...new Set(names)].map((name, i) => [name, i + 2]));
  const end = endOf(timings);
  const event = (id: number, startUs: number, durationUs: number): ProtoWriter =>
    new ProtoWriter()
      .int(1, id)
      .int(2, Math.round(startUs * PICOSECONDS))
      .int(3, Math.round(durationUs * PICOSECONDS));
  // What all events lie in; `_r` makes it the root of a step.
  const step = event(STEP, 0, end).message(4, stat('step_num', 1)).message(4, stat('_r', 1));
  const line = new ProtoWriter()
    .int(1, 1)
    .message(2, 'operations')
    .int(9, end * PICOSECONDS)
    .message(4, step);
  timings.forEach((t, i) => {
    const operation = event(ids.get(names[i] as string) as number, t.startUs, t.durationUs)
      .message(4, stat('outputs', t.outputs.join(' ')))
      .message(4, stat('bytes_accessed', t.bytes));
    if (t.contents) operation.message(4, stat('contents', t.contents));
    if (t.flops > 0) operation.message(4, stat('flops', t.flops));
    line.message(4, operation);
  });
  const entry = (id: number, metadata: ProtoWriter): ProtoWriter =>
    new ProtoWriter().int(1, id).message(2, metadata);
  const named = (id: number, name: string): ProtoWriter => new ProtoWriter().int(1, id).message(2, name);
  const plane = new ProtoWriter().int(1, 1).message(2, '/host:CPU').message(3, line);
  plane.message(4, entry(STEP, named(STEP, 'step').message(4, 'step')));
  const labels = new Map(names.map((name, i) => [name, opLabel(timings[i] as OpTiming)]));
  for (const [name, id] of ids) {
    plane.message(4, entry(id, named(id, name).message(4, labels.get(name) as string)));
  }
  statNames.forEach((name, i) => {
    plane.message(5, entry(i + 1, named(i + 1, name)));
  });
  return new ProtoWriter().message(1, plane).finish();
}

/** The metadata's number of the event that stands for the whole step. */
const STEP = 1;

/** In a microsecond. */
const PICOSECONDS = 1e6;

const typeOf = ({ op, contents }: OpTiming): string => (contents === '' ? op : 'Fused');

const wordOf = (text: string): string => text.replace(/\W+/g, '_').replace(/_$/, '');

function endOf(timings: readonly OpTiming[]): number {
  return Math.ceil(timings.reduce((end, t) => Math.max(end, t.startUs + t.durationUs), 0));
}
