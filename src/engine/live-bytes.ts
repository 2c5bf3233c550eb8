/** How much memory a program's intermediate values take. */
import { INPUT, type Program, READ_VARIABLE, type Value, VIEW_OPS } from './ir.js';

/** Have memory of their own, or none, whatever the program does. */
const held = new Set([INPUT, READ_VARIABLE, 'Const']);

/** The value whose memory this one is. */
function owner(value: Value): Value {
  let at = value;
  while (VIEW_OPS.has(at.node.op)) at = at.node.inputs[0] as Value;
  return at;
}

/**
 * The most bytes of computed values that are alive at once when the program's nodes run in their order, each
 * value from its computation to its last use. Inputs, constants and variables are not counted.
 */
export function peakBytes(program: Program): number {
  const { nodes, outputs } = program;
  const lastUse = new Map<Value, number>();
  nodes.forEach((node, at) => {
    for (const out of node.outputs) lastUse.set(owner(out), at);
    for (const input of node.inputs) lastUse.set(owner(input), at);
  });
  for (const output of outputs) lastUse.set(owner(output), nodes.length);
  const freed = new Array<number>(nodes.length).fill(0);
  for (const [{ node, bytes }, at] of lastUse) {
    if (at < nodes.length && !held.has(node.op)) freed[at] = (freed[at] as number) + bytes;
  }
  let alive = 0;
  let peak = 0;
  nodes.forEach((node, at) => {
    if (!held.has(node.op) && !VIEW_OPS.has(node.op)) for (const { bytes } of node.outputs) alive += bytes;
    peak = Math.max(peak, alive);
    alive -= freed[at] as number;
  });
  return peak;
}
