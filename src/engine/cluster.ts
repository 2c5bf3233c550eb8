/**
 * Groups what lies between matrix products into clusters that XLA compiles, each to a function of its own.
 * Equal clusters share one function, so the layers of a deep network are compiled once.
 *
 * A cluster must not depend on itself by way of a product. Each node has a stage: products raise it, other
 * nodes keep it. A path that leaves a stage through a product never comes back to it, so connected nodes of
 * one stage may always be one cluster.
 */
import { createHash } from 'node:crypto';
import { DType } from './dtypes.js';
import { type Emitter, markClusterCall } from './emit.js';
import {
  attrKey,
  constantInts,
  constantKey,
  INPUT,
  Node,
  type Program,
  READ_VARIABLE,
  type Value,
  VIEW_OPS,
} from './ir.js';

/** Element by element, cheap to compute again. */
const cheap = new Set(
  (
    'Add AddV2 Sub Mul Neg Maximum Minimum Relu Abs Square SquaredDifference Cast Select SelectV2 Equal NotEqual ' +
    'Less LessEqual Greater GreaterEqual LogicalAnd LogicalOr LogicalNot BroadcastTo Fill ZerosLike OnesLike ' +
    'Reshape ExpandDims Squeeze'
  ).split(' '),
);

/** Everything that XLA may take into a cluster. */
const fusible = new Set([
  ...cheap,
  ...(
    'Div RealDiv DivNoNan Exp Expm1 Log Log1p Sqrt Rsqrt Reciprocal Pow Tanh Sigmoid Softplus Erf Erfc Sign Sin Cos ' +
    'Relu6 Elu LeakyRelu Floor Ceil Round IsNan IsFinite IsInf Mod FloorMod FloorDiv ' +
    'Sum Mean Max Min Prod All Any Softmax LogSoftmax Transpose Slice ConcatV2 Pack Tile OneHot AddN'
  ).split(' '),
]);

/** Moves no data in TensorFlow, so alone it needs no compiled function. */
const free = new Set([...VIEW_OPS, 'Const']);

/** Larger constants are handed to a cluster instead of being compiled into it. */
const MAX_INLINE_CONSTANT_BYTES = 4096;

const isSmallConstant = (node: Node): boolean =>
  node.op === 'Const' && (node.data as Uint8Array).length <= MAX_INLINE_CONSTANT_BYTES;

const isDense = (node: Node): boolean =>
  node.outputs.every((o) => o.dtype !== DType.resource && o.dtype !== DType.string);

const mayFuse = (node: Node): boolean =>
  fusible.has(node.op) && isDense(node) && node.controls.length === 0 && !isColumnSum(node);

/**
 * XLA's CPU compiler sums over leading axes column by column, which reads each cache line once per column;
 * TensorFlow's own kernel goes along the rows.
 */
function isColumnSum(node: Node): boolean {
  if (node.op !== 'Sum') return false;
  const [value, axes] = node.inputs as [Value, Value];
  return value.bytes > SMALL_BYTES && constantInts(axes)?.includes(value.rank - 1) === false;
}

/** Values below this cost nothing to keep until they are used. */
const SMALL_BYTES = 4096;

/**
 * How many products lie between a node and the start of the program. Nodes run as early as they can, except
 * what would only have to be kept: operations of the backward pass on values of the forward pass, and
 * operations on parameters. They wait for the cluster that uses them.
 */
function assignStages(program: Program): Map<Node, number> {
  const stage = new Map<Node, number>();
  for (const node of program.nodes) {
    let level = 0;
    for (const producer of [...node.inputs.map((v) => v.node), ...node.controls]) {
      if (producer.op === 'Const') continue;
      const own = stage.get(producer) ?? 0;
      level = Math.max(level, mayFuse(producer) === mayFuse(node) ? own : own + 1);
    }
    stage.set(node, level);
  }
  const waits = new Set<Node>();
  for (const node of program.nodes) {
    if (!mayFuse(node)) continue;
    const cheapToKeep = ({ node: producer, bytes }: Value): boolean =>
      producer.op === 'Const' ||
      producer.op === READ_VARIABLE ||
      producer.op === INPUT ||
      bytes <= SMALL_BYTES ||
      waits.has(producer) ||
      (node.scope !== 0 && producer.scope === 0);
    if (node.inputs.every(cheapToKeep)) waits.add(node);
  }
  const earliestUse = new Map<Node, number>();
  for (let i = program.nodes.length - 1; i >= 0; i--) {
    const node = program.nodes[i] as Node;
    const use = earliestUse.get(node);
    if (waits.has(node) && use !== undefined && use > (stage.get(node) as number)) stage.set(node, use);
    const own = stage.get(node) as number;
    for (const producer of [...node.inputs.map((v) => v.node), ...node.controls]) {
      // A product can use what is computed just before it.
      const latest = mayFuse(node) ? own : own - 1;
      earliestUse.set(producer, Math.min(earliestUse.get(producer) ?? Number.POSITIVE_INFINITY, latest));
    }
  }
  return stage;
}

/** Where the nodes of a program go: the cluster of each fusible node. */
function assignClusters(program: Program): Map<Node, Node[]> {
  const stage = assignStages(program);
  const parent = new Map<Node, Node>();
  const find = (node: Node): Node => {
    let root = node;
    for (let up = parent.get(root); up && up !== root; up = parent.get(root)) root = up;
    parent.set(node, root);
    return root;
  };
  for (const node of program.nodes) {
    if (node.op === 'Const' || !mayFuse(node)) continue;
    parent.set(node, node);
    for (const { node: producer } of node.inputs) {
      if (parent.has(producer) && stage.get(producer) === stage.get(node))
        parent.set(find(producer), find(node));
    }
  }
  const groups = new Map<Node, Node[]>();
  for (const node of program.nodes) {
    if (!parent.has(node)) continue;
    const root = find(node);
    const group = groups.get(root);
    if (group) group.push(node);
    else groups.set(root, [node]);
  }
  const clusterOf = new Map<Node, Node[]>();
  for (const group of groups.values()) {
    const work = group.filter((n) => !free.has(n.op));
    if (work.length < 2) continue;
    for (const node of group) clusterOf.set(node, group);
  }
  return clusterOf;
}

/** Fuses a program's clusters into calls. `emitter` receives the function of each distinct cluster. */
export function fuseClusters(
  program: Program,
  emitter: Emitter,
): { program: Program; calls: number; distinct: number } {
  const clusterOf = assignClusters(program);
  const groups = [...new Set(clusterOf.values())];
  const recomputed = recomputations(program, clusterOf);
  const names = new Set<string>();
  const nodes: Node[] = [];
  const replacement = new Map<Value, Value>();
  const usedOutside = valuesUsedOutside(program, clusterOf, recomputed);
  const calls = new Map<Node[], Node>();
  for (const group of groups) {
    const members = [...(recomputed.get(group) ?? []), ...group];
    const outputs = group.flatMap((n) => n.outputs).filter((v) => usedOutside.has(v));
    if (outputs.length === 0) continue;
    const { body, inputs, key } = extract(members, outputs);
    const name = `fused_${createHash('sha1').update(key).digest('hex').slice(0, 20)}`;
    names.add(name);
    if (!emitter.has(name)) emitter.emit(name, body, { xla: true });
    const call = new Node('PartitionedCall', [], inputs);
    for (const value of outputs) replacement.set(value, call.addOutput(value.dtype, value.shape));
    markClusterCall(call, {
      functionName: name,
      contents: body.nodes
        .map((n) => n.op)
        .filter((op) => op !== INPUT && op !== 'Const')
        .join(' '),
    });
    calls.set(group, call);
  }
  // A call stands where the last of its nodes stood, unless it is needed before: that frees values soonest.
  const lastOf = new Map(groups.map((group) => [group.at(-1) as Node, group]));
  for (const node of program.nodes) {
    const call = clusterOf.has(node) ? calls.get(lastOf.get(node) as Node[]) : node;
    if (call) nodes.push(call);
  }
  const remapped = remap(nodes, replacement);
  for (const { controls } of nodes) {
    for (const [i, awaited] of controls.entries()) {
      const group = clusterOf.get(awaited);
      controls[i] = (group && calls.get(group)) ?? awaited;
    }
  }
  return {
    program: {
      nodes: sortTopologically(remapped.nodes),
      inputs: program.inputs,
      outputs: program.outputs.map((v) => remapped.value(v)),
    },
    calls: calls.size,
    distinct: names.size,
  };
}

/**
 * Chains to compute again in the cluster that needs their value, instead of writing the value to memory in one
 * cluster and reading it in another: worth it where what the chain starts from is in memory anyhow.
 */
function recomputations(program: Program, clusterOf: Map<Node, Node[]>): Map<Node[], Node[]> {
  const order = new Map(program.nodes.map((n, i) => [n, i]));
  const inMemory = new Set<Value>(program.outputs);
  const users = new Map<Value, Set<Node[]>>();
  for (const node of program.nodes) {
    const group = clusterOf.get(node);
    for (const input of node.inputs) {
      if (!group) inMemory.add(input);
      else if (clusterOf.get(input.node) !== group && clusterOf.has(input.node)) {
        const using = users.get(input);
        if (using) using.add(group);
        else users.set(input, new Set([group]));
      }
    }
  }
  const copies = new Map<Node[], Set<Node>>();
  // In program order: whether what a chain starts from is in memory is decided before the chain.
  for (const node of program.nodes) {
    const source = clusterOf.get(node);
    if (!source) continue;
    for (const value of node.outputs) {
      const using = users.get(value);
      if (!using || inMemory.has(value)) continue;
      const chain = cheapChain(value, source, inMemory);
      if (!chain) {
        inMemory.add(value);
        continue;
      }
      for (const group of using) {
        const copied = copies.get(group) ?? new Set();
        for (const member of chain) copied.add(member);
        copies.set(group, copied);
      }
    }
  }
  return new Map(
    [...copies].map(([group, members]) => [
      group,
      [...members].sort((a, b) => (order.get(a) as number) - (order.get(b) as number)),
    ]),
  );
}

const MAX_CHAIN = 12;
/** A leaf of at most this share of the value's bytes counts as free. */
const SMALL_LEAF = 1 / 16;

function cheapChain(value: Value, source: Node[], inMemory: ReadonlySet<Value>): Node[] | undefined {
  const chain = new Set<Node>();
  let leafBytes = 0;
  const leaves = new Set<Value>();
  const queue = [value];
  for (let v = queue.pop(); v; v = queue.pop()) {
    const { node } = v;
    if (node.op === 'Const' || leaves.has(v)) continue;
    const outside = !source.includes(node);
    if (!outside && v !== value && inMemory.has(v)) {
      leaves.add(v);
      leafBytes += v.bytes;
    } else if (outside || !cheap.has(node.op)) {
      // A leaf computed in the source cluster would have to be written in the value's stead.
      if (!outside && v.bytes > value.bytes * SMALL_LEAF) return undefined;
      leaves.add(v);
      if (v.bytes > value.bytes * SMALL_LEAF) leafBytes += v.bytes;
    } else if (!chain.has(node)) {
      chain.add(node);
      if (chain.size > MAX_CHAIN) return undefined;
      queue.push(...node.inputs);
    }
  }
  return leafBytes <= value.bytes * 1.01 && chain.size > 0 ? [...chain] : undefined;
}

function valuesUsedOutside(
  program: Program,
  clusterOf: Map<Node, Node[]>,
  recomputed: Map<Node[], Node[]>,
): Set<Value> {
  const used = new Set<Value>(program.outputs);
  for (const node of program.nodes) {
    const group = clusterOf.get(node);
    if (group) continue;
    for (const input of node.inputs) if (clusterOf.has(input.node)) used.add(input);
  }
  for (const group of new Set(clusterOf.values())) {
    const copies = new Set(recomputed.get(group) ?? []);
    for (const node of [...copies, ...group]) {
      for (const input of node.inputs) {
        const source = clusterOf.get(input.node);
        if (source && source !== group && !copies.has(input.node)) used.add(input);
      }
    }
  }
  return used;
}

/** The body of a cluster as a program of its own, and a text that equal clusters share. */
function extract(
  members: readonly Node[],
  outputs: readonly Value[],
): { body: Program; inputs: Value[]; key: string } {
  const inside = new Set(members);
  const mapped = new Map<Value, Value>();
  const names = new Map<Value, string>();
  const inputs: Value[] = [];
  const inputNodes: Node[] = [];
  const constants: Node[] = [];
  const body: Node[] = [];
  const key: string[] = [];
  const needed = neededMembers(members, outputs, inside);
  for (const node of needed) {
    const args = node.inputs.map((value) => {
      let own = mapped.get(value);
      if (!own) {
        if (isSmallConstant(value.node)) {
          const copy = new Node('Const', [], []);
          copy.data = value.node.data;
          copy.uniform = value.node.uniform;
          own = copy.addOutput(value.dtype, value.shape);
          constants.push(copy);
          names.set(own, `c${constantKey(copy)}`);
        } else {
          const input = new Node(INPUT, [], []);
          own = input.addOutput(value.dtype, value.shape);
          inputs.push(value);
          inputNodes.push(input);
          names.set(own, `i${inputs.length - 1}:${value.dtype}[${value.shape.join()}]`);
        }
        mapped.set(value, own);
      }
      return own;
    });
    const copy = new Node(node.op, node.attrs, args);
    for (const out of node.outputs) {
      const own = copy.addOutput(out.dtype, out.shape);
      mapped.set(out, own);
      names.set(own, `n${body.length}.${out.index}`);
    }
    body.push(copy);
    key.push(
      `${node.op}(${attrKey(node.attrs)};${args.map((a) => names.get(a)).join()})${node.outputs.map((o) => o.dtype)}`,
    );
  }
  const bodyOutputs = outputs.map((v) => mapped.get(v) as Value);
  key.push(`=> ${bodyOutputs.map((v) => names.get(v)).join()}`);
  return {
    body: { nodes: [...inputNodes, ...constants, ...body], inputs: inputNodes, outputs: bodyOutputs },
    inputs,
    key: key.join('\n'),
  };
}

function neededMembers(
  members: readonly Node[],
  outputs: readonly Value[],
  inside: ReadonlySet<Node>,
): Node[] {
  const needed = new Set<Node>();
  const queue = outputs.map((v) => v.node);
  for (let node = queue.pop(); node; node = queue.pop()) {
    if (needed.has(node) || !inside.has(node)) continue;
    needed.add(node);
    for (const input of node.inputs) queue.push(input.node);
  }
  return members.filter((n) => needed.has(n));
}

/** Replaces values in place of a list of nodes; nodes whose inputs change are copied. */
function remap(
  nodes: readonly Node[],
  replacement: Map<Value, Value>,
): { nodes: Node[]; value: (v: Value) => Value } {
  const value = (v: Value): Value => replacement.get(v) ?? v;
  for (const node of nodes) {
    const inputs = node.inputs as Value[];
    for (const [i, input] of inputs.entries()) inputs[i] = value(input);
  }
  return { nodes: [...nodes], value };
}

/** Orders nodes so that each comes after what it reads; otherwise in the given order. */
function sortTopologically(nodes: readonly Node[]): Node[] {
  const sorted: Node[] = [];
  const state = new Map<Node, boolean>();
  const present = new Set(nodes);
  for (const start of nodes) {
    const stack: [Node, number][] = [[start, 0]];
    while (stack.length > 0) {
      const top = stack[stack.length - 1] as [Node, number];
      const [node, next] = top;
      if (state.get(node)) {
        stack.pop();
        continue;
      }
      const before = [...node.inputs.map((v) => v.node), ...node.controls];
      if (next < before.length) {
        top[1]++;
        const producer = before[next] as Node;
        if (present.has(producer) && !state.get(producer)) {
          if (stack.some(([n]) => n === producer)) throw new Error('a cluster depends on itself');
          stack.push([producer, 0]);
        }
        continue;
      }
      state.set(node, true);
      sorted.push(node);
      stack.pop();
    }
  }
  return sorted;
}
