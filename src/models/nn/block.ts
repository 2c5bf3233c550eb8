// Shapes: B batch, L tokens, W width; M = B * L rows.
import { remat } from '../../engine/remat.js';
import * as tf from '../../engine/tf.js';
import { gelu, quickGelu } from './activation.js';
import { type Extents, selfAttention, singleQueryAttention } from './attention.js';
import { layerNorm } from './layer-norm.js';
import { linear } from './linear.js';
import { type InitRule, isDecayed, type ParamSpec, type Params, takeParam } from './params.js';

/** How a block runs. */
export interface BlockOptions extends Extents {
  /** x sigmoid(1.702 x) instead of the exact GELU. */
  readonly quickGelu: boolean;
  /** Added to the attention scores. */
  readonly mask?: tf.Tensor | undefined;
  /** Keeps only the block's input for the backward pass, which computes the rest again. */
  readonly remat?: boolean | undefined;
}

function norm(params: Params, name: string, x: tf.Tensor): tf.Tensor {
  return layerNorm(x, takeParam(params, `${name}.weight`), takeParam(params, `${name}.bias`));
}

function project(params: Params, name: string, x: tf.Tensor): tf.Tensor {
  return linear(x, takeParam(params, `${name}.weight`), takeParam(params, `${name}.bias`));
}

/** x + MLP(norm(x)), the second half of a block. */
function addMlp(params: Params, prefix: string, x: tf.Tensor, quick: boolean): tf.Tensor {
  const hidden = project(params, `${prefix}.mlp.c_fc`, norm(params, `${prefix}.ln_2`, x));
  return tf.add(x, project(params, `${prefix}.mlp.c_proj`, quick ? quickGelu(hidden) : gelu(hidden)));
}

/**
 * A pre-norm transformer block: x + Attention(norm(x)), then + MLP(norm(·)) (open_clip's
 * ResidualAttentionBlock).
 *
 * @param prefix the block's path, such as `visual.transformer.resblocks.0`
 * @param x_MW tokens of all sequences as rows, [B * L, W]
 */
export function residualBlock(
  params: Params,
  prefix: string,
  x_MW: tf.Tensor,
  options: BlockOptions,
): tf.Tensor {
  if (options.remat) return rematBlock(params, prefix, x_MW, options);
  const qkv_M3W = linear(
    norm(params, `${prefix}.ln_1`, x_MW),
    takeParam(params, `${prefix}.attn.in_proj_weight`),
    takeParam(params, `${prefix}.attn.in_proj_bias`),
  );
  const attended_MW = selfAttention(qkv_M3W, options, options.mask);
  const x = tf.add(x_MW, project(params, `${prefix}.attn.out_proj`, attended_MW));
  return addMlp(params, prefix, x, options.quickGelu);
}

/** {@link residualBlock}, computed again in the backward pass. */
function rematBlock(params: Params, prefix: string, x_MW: tf.Tensor, options: BlockOptions): tf.Tensor {
  const names = Object.keys(params).filter((name) => name.startsWith(`${prefix}.`));
  // By then the caller has disposed of the mask: it is kept as an input, too.
  const masks = options.mask ? [options.mask] : [];
  const again = remat((...inputs) => {
    const [x, ...values] = inputs as [tf.Tensor, ...tf.Tensor[]];
    const own = Object.fromEntries(names.map((name, i) => [name, values[i] as tf.Tensor]));
    return residualBlock(own, prefix, x, { ...options, mask: values[names.length], remat: false });
  });
  return again(x_MW, ...names.map((name) => params[name] as tf.Tensor), ...masks);
}

/**
 * {@link residualBlock} for one token of each sequence: the same numbers as running the block on all
 * tokens and taking that one, without computing the others, of which it needs only keys and values.
 * For a model's last block when one token is pooled, this leaves about a sixth of the block's work.
 *
 * @param x_MW tokens of all sequences, [B * L, W]
 * @param pooled_BW the rows of x to continue with
 * @param options `mask` is [B, 1, 1, L]
 * @returns [B, W]
 */
export function pooledResidualBlock(
  params: Params,
  prefix: string,
  x_MW: tf.Tensor,
  pooled_BW: tf.Tensor,
  options: BlockOptions,
): tf.Tensor {
  const width = x_MW.shape[1] as number;
  const weight_3WW = takeParam(params, `${prefix}.attn.in_proj_weight`);
  const bias_3W = takeParam(params, `${prefix}.attn.in_proj_bias`);
  const [queryWeight, keyValueWeight] = tf.split(weight_3WW, [width, 2 * width], 0) as [tf.Tensor, tf.Tensor];
  const [queryBias, keyValueBias] = tf.split(bias_3W, [width, 2 * width], 0) as [tf.Tensor, tf.Tensor];
  const q_BW = linear(norm(params, `${prefix}.ln_1`, pooled_BW), queryWeight, queryBias);
  const kv_M2W = linear(norm(params, `${prefix}.ln_1`, x_MW), keyValueWeight, keyValueBias);
  const attended_BW = singleQueryAttention(q_BW, kv_M2W, options, options.mask);
  const x = tf.add(pooled_BW, project(params, `${prefix}.attn.out_proj`, attended_BW));
  return addMlp(params, prefix, x, options.quickGelu);
}

/** The initial distributions of a block's matrices. */
export interface BlockInit {
  readonly inProj: InitRule;
  readonly outProj: InitRule;
  readonly fc: InitRule;
  readonly fcProj: InitRule;
}

const zero: InitRule = { kind: 'constant', value: 0 };
const one: InitRule = { kind: 'constant', value: 1 };

/** A parameter with its decay by rule. */
export function paramSpec(name: string, shape: number[], init: InitRule): ParamSpec {
  return { name, shape, decay: isDecayed(name, shape), init };
}

/** Weight and bias of a layer norm. */
export function normSpecs(name: string, width: number): ParamSpec[] {
  return [paramSpec(`${name}.weight`, [width], one), paramSpec(`${name}.bias`, [width], zero)];
}

/**
 * The parameters of a block, in PyTorch's names and layouts.
 *
 * @param hidden the MLP's inner width
 */
export function blockSpecs(prefix: string, width: number, hidden: number, init: BlockInit): ParamSpec[] {
  // PyTorch's attention starts with zero biases, its linear layers with uniform ones.
  const bias = (fanIn: number): InitRule => ({ kind: 'uniform', bound: fanIn ** -0.5 });
  return [
    ...normSpecs(`${prefix}.ln_1`, width),
    paramSpec(`${prefix}.attn.in_proj_weight`, [3 * width, width], init.inProj),
    paramSpec(`${prefix}.attn.in_proj_bias`, [3 * width], zero),
    paramSpec(`${prefix}.attn.out_proj.weight`, [width, width], init.outProj),
    paramSpec(`${prefix}.attn.out_proj.bias`, [width], zero),
    ...normSpecs(`${prefix}.ln_2`, width),
    paramSpec(`${prefix}.mlp.c_fc.weight`, [hidden, width], init.fc),
    paramSpec(`${prefix}.mlp.c_fc.bias`, [hidden], bias(width)),
    paramSpec(`${prefix}.mlp.c_proj.weight`, [width, hidden], init.fcProj),
    paramSpec(`${prefix}.mlp.c_proj.bias`, [width], bias(hidden)),
  ];
}
