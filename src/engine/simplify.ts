/** Shortens a program: drops what has no effect, computes equal things once, removes operations that do nothing. */

import { DType, sizeOf } from './dtypes.js';
import {
  ASSIGN_VARIABLE,
  attrKey,
  boolAttr,
  constant,
  constantInts,
  constantKey,
  constantScalar,
  INPUT,
  intVector,
  Node,
  type Program,
  READ_VARIABLE,
  type Value,
} from './ir.js';

const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((d, i) => d === b[i]);

/** Replaces values by others while a program is rewritten. */
export class Rewriter {
  readonly nodes: Node[] = [];
  private readonly replaced = new Map<Value, Value>();

  map(value: Value): Value {
    return this.replaced.get(value) ?? value;
  }

  replace(from: Value, to: Value): void {
    this.replaced.set(from, to);
  }

  push(node: Node): Node {
    this.nodes.push(node);
    return node;
  }

  /** Copies a node onto new inputs; output types may change. */
  copy(node: Node, inputs: readonly Value[], dtypes?: readonly number[]): Node {
    const copy = new Node(node.op, node.attrs, inputs);
    copy.data = node.data;
    copy.uniform = node.uniform;
    copy.variable = node.variable;
    copy.scope = node.scope;
    // Whatever computes the awaited value now is what to wait for.
    for (const control of node.controls) copy.controls.push(this.map(control.out).node);
    for (const [i, out] of node.outputs.entries()) {
      this.replace(out, copy.addOutput(dtypes?.[i] ?? out.dtype, out.shape));
    }
    return this.push(copy);
  }

  /** The rewritten program, without what no output or variable needs. */
  finish(program: Program): Program {
    const outputs = program.outputs.map((o) => this.map(o));
    const live = new Set<Node>(program.inputs);
    const queue = [...outputs.map((o) => o.node), ...this.nodes.filter((n) => n.op === ASSIGN_VARIABLE)];
    for (let node = queue.pop(); node; node = queue.pop()) {
      if (live.has(node)) continue;
      live.add(node);
      for (const input of node.inputs) queue.push(input.node);
    }
    // To be waited for keeps nothing alive.
    for (const { controls } of live)
      controls.splice(0, controls.length, ...controls.filter((c) => live.has(c)));
    return { nodes: this.nodes.filter((n) => live.has(n)), inputs: program.inputs, outputs };
  }
}

/**
 * See the file's first line. Results do not change, not even in the last bit; only a batched product of plain
 * matrices becomes a plain product, whose kernel may sum in another order.
 */
export function simplify(program: Program): Program {
  const rewriter = new Rewriter();
  const known = new Map<string, Node>();
  const ids = new Map<Node, number>();
  const idOf = (node: Node): number => {
    let id = ids.get(node);
    if (id === undefined) {
      id = ids.size;
      ids.set(node, id);
    }
    return id;
  };
  // A shorter node may bring a new constant with it.
  const place = (value: Value): Value => {
    const { node } = value;
    if (node.op !== 'Const' || ids.has(node)) return value;
    const key = `Const ${constantKey(node)}`;
    let twin = known.get(key);
    if (!twin) {
      twin = rewriter.copy(node, []);
      known.set(key, twin);
      idOf(twin);
    }
    return twin.out;
  };
  for (const node of program.nodes) {
    if (node.op === INPUT) {
      rewriter.push(node);
      continue;
    }
    const inputs = node.inputs.map((v) => rewriter.map(v));
    const shorter = node.controls.length === 0 ? shorten(node, inputs) : undefined;
    if (shorter && !(shorter instanceof Node)) {
      rewriter.replace(node.out, shorter);
      continue;
    }
    const candidate = shorter ?? node;
    const wanted = shorter ? shorter.inputs.map(place) : inputs;
    const pure = ![READ_VARIABLE, ASSIGN_VARIABLE].includes(candidate.op);
    const key = !pure
      ? undefined
      : candidate.op === 'Const'
        ? `Const ${constantKey(candidate)}`
        : `${candidate.op} ${attrKey(candidate.attrs)} ${wanted.map((v) => `${idOf(v.node)}.${v.index}`).join()} ` +
          `${node.controls.map(idOf).join()} ${node.scope}`;
    const twin = key === undefined ? undefined : known.get(key);
    if (twin) {
      for (const [i, out] of node.outputs.entries()) rewriter.replace(out, twin.outputs[i] as Value);
      continue;
    }
    const copy = rewriter.copy(candidate, wanted);
    copy.scope = node.scope;
    if (shorter) rewriter.replace(node.out, copy.out);
    if (key !== undefined) known.set(key, copy);
    idOf(copy);
  }
  return rewriter.finish(program);
}

/** A shorter way to the node's value: an existing value, another node, or undefined if there is none. */
function shorten(node: Node, inputs: readonly Value[]): Value | Node | undefined {
  const [a, b] = inputs as [Value, Value];
  const out = node.outputs[0];
  if (!out) return undefined;
  switch (node.op) {
    case 'Identity':
    case 'StopGradient':
      return a;
    case 'Cast':
      return a.dtype === out.dtype ? a : undefined;
    case 'Reshape':
    case 'ExpandDims':
    case 'Squeeze': {
      if (sameShape(a.shape, out.shape)) return a;
      if (a.node.op === 'Const') return reshapedConstant(a, out.shape);
      // One reshape stands for a chain of them.
      const source = a.node.op === 'Reshape' ? (a.node.inputs[0] as Value) : a;
      if (sameShape(source.shape, out.shape)) return source;
      return source !== a || node.op !== 'Reshape' ? reshape(source, out.shape) : undefined;
    }
    case 'Transpose': {
      const order = constantInts(b);
      if (!order) return undefined;
      // Moving axes of length 1 moves no element.
      const moved = order.filter((axis) => a.shape[axis] !== 1);
      if (moved.some((axis, i) => i > 0 && axis < (moved[i - 1] as number))) return undefined;
      return sameShape(a.shape, out.shape) ? a : reshape(a, out.shape);
    }
    case 'Sum':
    case 'Max':
    case 'Min':
    case 'Mean':
    case 'Prod': {
      const axes = constantInts(b);
      if (!axes?.every((axis) => a.shape[axis] === 1)) return undefined;
      return sameShape(a.shape, out.shape) ? a : reshape(a, out.shape);
    }
    case 'Tile':
    case 'BroadcastTo':
      return sameShape(a.shape, out.shape) ? a : undefined;
    case 'Mul':
      if (constantScalar(b) === 1 && sameShape(a.shape, out.shape)) return a;
      if (constantScalar(a) === 1 && sameShape(b.shape, out.shape)) return b;
      return undefined;
    case 'RealDiv':
    case 'Div':
      return constantScalar(b) === 1 && sameShape(a.shape, out.shape) ? a : undefined;
    case 'ZerosLike':
      return uniform(out, 0);
    case 'OnesLike':
      return uniform(out, 1);
    case 'Fill': {
      const value = constantScalar(b);
      return value === undefined ? undefined : uniform(out, value);
    }
    case 'BatchMatMulV2': {
      if (a.rank !== 2 || b.rank !== 2) return undefined;
      const attrs = [
        boolAttr('transpose_a', node.attr('adj_x') === true),
        boolAttr('transpose_b', node.attr('adj_y') === true),
      ];
      const product = new Node('MatMul', attrs, inputs);
      product.addOutput(out.dtype, out.shape);
      return product;
    }
    default:
      return undefined;
  }
}

function uniform(like: Value, value: number): Node | undefined {
  if (sizeOf(like.shape) === 0) return undefined;
  if (like.dtype === DType.float32) return filled(Float32Array.of(value), like);
  if (like.dtype === DType.int32) return filled(Int32Array.of(value), like);
  return undefined;
}

function filled(element: ArrayBufferView, like: Value): Node {
  const node = constant(element, like.dtype, like.shape);
  node.uniform = sizeOf(like.shape) > 1;
  return node;
}

function reshapedConstant(value: Value, shape: readonly number[]): Node {
  const node = new Node('Const', [], []);
  node.data = value.node.data;
  node.uniform = value.node.uniform;
  node.addOutput(value.dtype, shape);
  return node;
}

function reshape(value: Value, shape: readonly number[]): Node {
  const node = new Node('Reshape', [], [value, intVector(shape).out]);
  node.addOutput(value.dtype, shape);
  return node;
}
