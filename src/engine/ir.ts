/**
 * The program that a recorded function becomes: operations in execution order, in single-assignment form.
 * Passes rewrite it; `emit.ts` turns it into a TensorFlow function.
 */
import { createHash } from 'node:crypto';
import type { TFEOpAttr } from '@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js';
import { AttrKind } from './binding.js';
import { DType, elementBytes, sizeOf } from './dtypes.js';

/** One result of a node. */
export class Value {
  constructor(
    readonly node: Node,
    readonly index: number,
    readonly dtype: number,
    readonly shape: readonly number[],
  ) {}

  get rank(): number {
    return this.shape.length;
  }

  get bytes(): number {
    return sizeOf(this.shape) * elementBytes(this.dtype);
  }
}

export type Attr = TFEOpAttr;

/** The variable behind a read or an assignment; `variables.ts` implements it. */
export interface VariableRef {
  readonly name: string;
  readonly shape: readonly number[];
  /** TensorFlow's number of the element type. */
  readonly tfType: number;
}

/** Ops that are not TensorFlow's: an input of the function and the uses of a variable. */
export const INPUT = 'Input';
export const READ_VARIABLE = 'ReadVariable';
export const ASSIGN_VARIABLE = 'AssignVariable';

/** Operations that give their input another shape or name, and share its memory. */
export const VIEW_OPS: ReadonlySet<string> = new Set(['Reshape', 'ExpandDims', 'Squeeze', 'Identity']);

/** One operation. */
export class Node {
  readonly outputs: Value[] = [];
  /** Nodes that run before this one, if at all, although it reads nothing of theirs; each has an output. */
  readonly controls: Node[] = [];
  /** The elements of a `Const`; one element only if all are equal (see {@link Node.uniform}). */
  data: ArrayBufferView | undefined;
  /** True if `data` holds the one value that every element of a `Const` has. */
  uniform = false;
  variable: VariableRef | undefined;
  /** Which recomputation this node belongs to; nodes of different scopes are never merged. */
  scope = 0;

  constructor(
    readonly op: string,
    readonly attrs: readonly Attr[],
    readonly inputs: readonly Value[],
  ) {}

  addOutput(dtype: number, shape: readonly number[]): Value {
    const value = new Value(this, this.outputs.length, dtype, shape);
    this.outputs.push(value);
    return value;
  }

  /** The node's only output. */
  get out(): Value {
    return this.outputs[0] as Value;
  }

  attr(name: string): TFEOpAttr['value'] | undefined {
    return this.attrs.find((a) => a.name === name)?.value;
  }
}

/** A whole function: `nodes` are in an order in which they can run. */
export interface Program {
  nodes: Node[];
  inputs: Node[];
  outputs: Value[];
}

/** Makes a `Const`. A tensor whose elements are all equal keeps only one of them. */
export function constant(data: ArrayBufferView, dtype: number, shape: readonly number[]): Node {
  const node = new Node('Const', [], []);
  node.addOutput(dtype, shape);
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const size = elementBytes(dtype);
  node.uniform = bytes.length > size;
  for (let i = size; i < bytes.length && node.uniform; i++) node.uniform = bytes[i] === bytes[i - size];
  node.data = bytes.slice(0, node.uniform ? size : bytes.length);
  return node;
}

/** A float32 scalar constant. */
export function floatScalar(value: number): Node {
  return constant(Float32Array.of(value), DType.float32, []);
}

/** An int32 vector constant. */
export function intVector(values: readonly number[]): Node {
  return constant(Int32Array.from(values), DType.int32, [values.length]);
}

/** The number that every element of a constant equals, or undefined. */
export function constantScalar(value: Value): number | undefined {
  const { data, op } = value.node;
  if (op !== 'Const' || !data) return undefined;
  if (!value.node.uniform && sizeOf(value.shape) !== 1) return undefined;
  const bytes = data as Uint8Array;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (value.dtype === DType.float32) return view.getFloat32(0, true);
  if (value.dtype === DType.int32) return view.getInt32(0, true);
  return undefined;
}

/** The elements of an int32 constant, or undefined. */
export function constantInts(value: Value): number[] | undefined {
  const { data, op, uniform } = value.node;
  if (op !== 'Const' || !data || value.dtype !== DType.int32) return undefined;
  const bytes = (data as Uint8Array).slice();
  const ints = Array.from(new Int32Array(bytes.buffer));
  return uniform ? new Array<number>(sizeOf(value.shape)).fill(ints[0] as number) : ints;
}

/** A text that two attribute lists share exactly if they mean the same. */
export function attrKey(attrs: readonly Attr[]): string {
  return attrs.map(({ name, type, value }) => `${name}:${type}:${JSON.stringify(value)}`).join(',');
}

/** A text that two constants share exactly if they are equal. */
export function constantKey(node: Node): string {
  const data = node.data as Uint8Array;
  const content =
    data.length <= 64 ? Buffer.from(data).toString('hex') : createHash('sha1').update(data).digest('hex');
  return `${node.out.dtype}[${node.out.shape.join(',')}]${node.uniform ? 'u' : ''}${content}`;
}

export function typeAttr(name: string, dtype: number): Attr {
  return { name, type: AttrKind.type, value: dtype };
}

export function boolAttr(name: string, value: boolean): Attr {
  return { name, type: AttrKind.bool, value };
}

export function castTo(value: Value, dtype: number): Node {
  const node = new Node('Cast', [typeAttr('DstT', dtype), boolAttr('Truncate', false)], [value]);
  node.addOutput(dtype, value.shape);
  return node;
}
