/** Named parameters: the models are pure functions of such a record, in the names of the checkpoint. */
import type * as tf from '../../engine/tf.js';
import { ShapeError } from '../../errors.js';

/** Parameters (or their gradients, or moments) by checkpoint name. */
export type Params = Record<string, tf.Tensor>;

/** How a parameter is drawn. `uniform` is over [-bound, bound). */
export type InitRule =
  | { readonly kind: 'normal'; readonly std: number }
  | { readonly kind: 'uniform'; readonly bound: number }
  | { readonly kind: 'constant'; readonly value: number };

/** What is known of a parameter before it has values. */
export interface ParamSpec {
  readonly name: string;
  /** PyTorch's layout: a linear weight is [out, in], a convolution's [out, in, height, width]. */
  readonly shape: readonly number[];
  /** Whether AdamW's weight decay applies; see {@link isDecayed}. */
  readonly decay: boolean;
  readonly init: InitRule;
}

/** The parameter of that name. @throws ShapeError if the record lacks it. */
export function takeParam(params: Params, name: string): tf.Tensor {
  const param = params[name];
  if (param === undefined) {
    throw new ShapeError(
      `The model needs the parameter "${name}", which is not among the ${Object.keys(params).length} given.`,
    );
  }
  return param;
}

/** Number of elements of a shape; 1 for a scalar. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/**
 * Whether weight decay applies to a parameter, by the rule of open_clip 3.3.0's training script: not
 * to vectors and scalars, nor to names that contain "bn", "ln", "bias" or "logit_scale".
 */
export function isDecayed(name: string, shape: readonly number[]): boolean {
  return shape.length >= 2 && !/bn|ln|bias|logit_scale/.test(name);
}
