import * as tf from '../../engine/tf.js';
import { isDecayed, type Params, takeParam } from '../../models/nn/params.js';

/** AdamW's constants. open_clip's for vision transformers are {@link OPEN_CLIP_ADAMW}. */
export interface AdamwOptions {
  /** Decay of the first moment, in [0, 1). */
  readonly beta1: number;
  /** Decay of the second moment, in [0, 1). */
  readonly beta2: number;
  /** Added to the root of the corrected second moment. */
  readonly eps: number;
  /** Share of a decayed parameter that lr * weightDecay takes off per step; see `isDecayed`. */
  readonly weightDecay: number;
}

/** The defaults of open_clip 3.3.0 for models with a vision transformer. */
export const OPEN_CLIP_ADAMW: AdamwOptions = { beta1: 0.9, beta2: 0.98, eps: 1e-6, weightDecay: 0.2 };

/** What one step reads. */
export interface AdamwInput {
  readonly params: Params;
  readonly grads: Params;
  /** First moments, zeros at the start. */
  readonly m: Params;
  /** Second moments, zeros at the start. */
  readonly v: Params;
  /** Scalar: how many steps there were before this one. */
  readonly step: tf.Tensor | number;
  /** Scalar: this step's learning rate. */
  readonly lr: tf.Tensor | number;
}

/** What one step yields: new tensors, owned by the caller. */
export type AdamwOutput = {
  readonly params: Params;
  readonly m: Params;
  readonly v: Params;
};

/** 1 - beta^n, accurate in float32 where 1 - beta^n itself would cancel. */
function biasCorrection(beta: number, n: tf.Tensor): tf.Tensor {
  return tf.neg(tf.expm1(tf.mul(n, Math.log(beta))));
}

/**
 * One step of AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019), equal to
 * `torch.optim.AdamW` with open_clip's two groups of parameters. With n = step + 1:
 *
 * m ← β₁ m + (1 - β₁) g; v ← β₂ v + (1 - β₂) g²;
 * p ← (1 - lr λ) p - lr / (1 - β₁ⁿ) · m / (√v / √(1 - β₂ⁿ) + ε), λ = 0 for norms, biases and scalars.
 *
 * Pure: made to be compiled with the forward and backward pass.
 *
 * @throws ShapeError if a gradient or moment is missing
 */
export function adamwStep(input: AdamwInput, options: AdamwOptions): AdamwOutput {
  const { beta1, beta2, eps, weightDecay } = options;
  return tf.tidy(() => {
    const n = tf.cast(tf.add(input.step, 1), 'float32');
    const lr = typeof input.lr === 'number' ? tf.scalar(input.lr) : input.lr;
    const stepSize = tf.div(lr, biasCorrection(beta1, n));
    const inverseRoot = tf.rsqrt(biasCorrection(beta2, n));
    const kept = tf.sub(1, tf.mul(lr, weightDecay));
    const next: AdamwOutput = { params: {}, m: {}, v: {} };
    for (const [name, param] of Object.entries(input.params)) {
      const grad = takeParam(input.grads, name);
      const m = tf.add(tf.mul(takeParam(input.m, name), beta1), tf.mul(grad, 1 - beta1));
      const v = tf.add(tf.mul(takeParam(input.v, name), beta2), tf.mul(tf.square(grad), 1 - beta2));
      const denominator = tf.add(tf.mul(tf.sqrt(v), inverseRoot), eps);
      const decayed = isDecayed(name, param.shape) ? tf.mul(param, kept) : param;
      next.params[name] = tf.sub(decayed, tf.mul(stepSize, tf.div(m, denominator)));
      next.m[name] = m;
      next.v[name] = v;
    }
    return next;
  });
}

/** The largest logit scale is 100, so that no logit is beyond it (CLIP, section 2.5). */
const LARGEST_LOG_SCALE = Math.log(100);

/**
 * The parameters with `logit_scale` clamped to [0, ln 100], as open_clip does after each step. The
 * record is new, its other tensors are the same, and who holds the old scale disposes it.
 */
export function clampLogitScale(params: Params): Params {
  return { ...params, logit_scale: tf.clipByValue(takeParam(params, 'logit_scale'), 0, LARGEST_LOG_SCALE) };
}
