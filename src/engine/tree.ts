/** Nested arrays and plain objects of tensors: what compiled functions take and return. */
import * as tf from '@tensorflow/tfjs';
import { EngineError } from '../errors.js';

/** The structure of a tree with its tensors taken out. Two trees of equal text have equal structure. */
export interface TreeShape {
  readonly key: string;
  /** Builds a tree of this structure around other tensors. */
  rebuild(tensors: readonly tf.Tensor[]): unknown;
}

/**
 * Takes a tree apart. Numbers, strings, booleans and null are part of the structure.
 *
 * @throws EngineError, beginning with `what` and the path, for anything else and for disposed tensors
 */
export function flatten(tree: unknown, what: string): { tensors: tf.Tensor[]; shape: TreeShape } {
  const tensors: tf.Tensor[] = [];
  const walk = (
    node: unknown,
    path: string,
  ): { key: string; build: (t: readonly tf.Tensor[]) => unknown } => {
    if (node instanceof tf.Tensor) {
      if (node.isDisposed) throw new EngineError(`${what}${path} is a tensor that was disposed of.`);
      const index = tensors.push(node) - 1;
      return { key: `T${node.dtype}[${node.shape.join(',')}]`, build: (t) => t[index] };
    }
    if (Array.isArray(node)) {
      const parts = node.map((child, i) => walk(child, `${path}[${i}]`));
      return { key: `(${parts.map((p) => p.key).join(',')})`, build: (t) => parts.map((p) => p.build(t)) };
    }
    if (node !== null && typeof node === 'object' && isPlain(node)) {
      const parts = Object.entries(node).map(([k, v]) => [k, walk(v, `${path}.${k}`)] as const);
      return {
        key: `{${parts.map(([k, p]) => `${JSON.stringify(k)}:${p.key}`).join(',')}}`,
        build: (t) => Object.fromEntries(parts.map(([k, p]) => [k, p.build(t)])),
      };
    }
    if (node === null || node === undefined || ['number', 'string', 'boolean'].includes(typeof node)) {
      return { key: textOf(node), build: () => node };
    }
    throw new EngineError(
      `${what}${path} is ${describe(node)}; compiled functions take and return tensors, numbers, strings, booleans, ` +
        'and arrays and plain objects of them.',
    );
  };
  const { key, build } = walk(tree, '');
  return { tensors, shape: { key, rebuild: build } };
}

/** Distinct for distinct plain values: JSON has no text for NaN, the infinities, -0 and undefined. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  return Object.is(value, -0) ? '-0' : String(value);
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function describe(value: unknown): string {
  if (typeof value !== 'object' || value === null) return `a ${typeof value}`;
  const type: unknown = value.constructor;
  return typeof type === 'function' && type !== Object ? `a ${type.name}` : 'an object';
}
