/**
 * CLIP and its training step as one writes them with tfjs alone: its layers' formulas from its operations, its own
 * gradients and its Adam, one operation after another. The numbers are open_clip's.
 */
// Shapes: B batch, L tokens, W width, N heads, K head width, E embedding.
import * as tf from '@tensorflow/tfjs';
import { CLIP_MEAN, CLIP_STD, type ClipConfig, type WeightTensor } from '../../src/models/clip/index.js';
import { isDecayed } from '../../src/models/nn/params.js';
import type { TrainingSetup } from './protocol.js';

type Weights = Readonly<Record<string, tf.Variable>>;

const weight = (weights: Weights, name: string): tf.Variable => {
  const found = weights[name];
  if (!found) throw new Error(`no weight ${name}`);
  return found;
};

function layerNorm(weights: Weights, name: string, x: tf.Tensor): tf.Tensor {
  const { mean, variance } = tf.moments(x, -1, true);
  const normed = x.sub(mean).mul(variance.add(1e-5).rsqrt());
  return normed.mul(weight(weights, `${name}.weight`)).add(weight(weights, `${name}.bias`));
}

/** x Wᵀ + b over the last axis of [B, L, W]. */
function linear(weights: Weights, matrix: string, bias: string, x: tf.Tensor): tf.Tensor {
  const [batch, length, width] = x.shape as [number, number, number];
  const y = tf.matMul(x.reshape([batch * length, width]), weight(weights, matrix), false, true);
  return y.add(weight(weights, bias)).reshape([batch, length, -1]);
}

const gelu = (x: tf.Tensor): tf.Tensor => x.mul(0.5).mul(x.mul(Math.SQRT1_2).erf().add(1));

function attention(weights: Weights, name: string, x: tf.Tensor, heads: number, mask?: tf.Tensor): tf.Tensor {
  const [batch, length, width] = x.shape as [number, number, number];
  const qkv = linear(weights, `${name}.in_proj_weight`, `${name}.in_proj_bias`, x);
  const [q, k, v] = tf
    .split(qkv, 3, -1)
    .map((part) => part.reshape([batch, length, heads, width / heads]).transpose([0, 2, 1, 3])) as [
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
  ];
  const scores = tf.matMul(q, k, false, true).mul((width / heads) ** -0.5);
  const attended = tf.matMul(tf.softmax(mask ? scores.add(mask) : scores), v);
  const merged = attended.transpose([0, 2, 1, 3]).reshape([batch, length, width]);
  return linear(weights, `${name}.out_proj.weight`, `${name}.out_proj.bias`, merged);
}

function transformer(
  weights: Weights,
  path: string,
  depth: number,
  heads: number,
  tokens: tf.Tensor,
  mask?: tf.Tensor,
): tf.Tensor {
  let x = tokens;
  for (let i = 0; i < depth; i++) {
    const name = `${path}.resblocks.${i}`;
    x = x.add(attention(weights, `${name}.attn`, layerNorm(weights, `${name}.ln_1`, x), heads, mask));
    const hidden = linear(
      weights,
      `${name}.mlp.c_fc.weight`,
      `${name}.mlp.c_fc.bias`,
      layerNorm(weights, `${name}.ln_2`, x),
    );
    x = x.add(linear(weights, `${name}.mlp.c_proj.weight`, `${name}.mlp.c_proj.bias`, gelu(hidden)));
  }
  return x;
}

const normalise = (x: tf.Tensor): tf.Tensor => x.div(x.square().sum(-1, true).sqrt());

function encodeImages(weights: Weights, { vision }: ClipConfig, images: tf.Tensor4D): tf.Tensor {
  const batch = images.shape[0];
  const { width, patchSize, depth, headWidth } = vision;
  const pixels = images
    .toFloat()
    .div(255)
    .sub(tf.tensor1d([...CLIP_MEAN]))
    .div(tf.tensor1d([...CLIP_STD]));
  const kernel = weight(weights, 'visual.conv1.weight').transpose<tf.Tensor4D>([2, 3, 1, 0]);
  const patches = tf.conv2d(pixels as tf.Tensor4D, kernel, patchSize, 'valid').reshape([batch, -1, width]);
  const token = weight(weights, 'visual.class_embedding').reshape([1, 1, width]).tile([batch, 1, 1]);
  const tokens = tf.concat([token, patches], 1).add(weight(weights, 'visual.positional_embedding'));
  const x = transformer(
    weights,
    'visual.transformer',
    depth,
    width / headWidth,
    layerNorm(weights, 'visual.ln_pre', tokens),
  );
  const first = x.slice([0, 0, 0], [batch, 1, width]).reshape([batch, width]);
  return normalise(tf.matMul(layerNorm(weights, 'visual.ln_post', first), weight(weights, 'visual.proj')));
}

function encodeTexts(weights: Weights, { text }: ClipConfig, tokens: tf.Tensor2D): tf.Tensor {
  const [batch, length] = tokens.shape;
  const { width, depth, numHeads } = text;
  const embedded = tf
    .gather(weight(weights, 'token_embedding.weight'), tokens.flatten())
    .reshape([batch, length, width])
    .add(weight(weights, 'positional_embedding'));
  const mask = tf.linalg
    .bandPart(tf.ones([length, length]), -1, 0)
    .sub(1)
    .mul(1e30);
  const x = layerNorm(
    weights,
    'ln_final',
    transformer(weights, 'transformer', depth, numHeads, embedded, mask),
  );
  const ends = tf
    .argMax(tokens, 1)
    .add(tf.range(0, batch, 1, 'int32').mul(length))
    .toInt() as tf.Tensor1D;
  const pooled = tf.gather(x.reshape([batch * length, width]), ends);
  return normalise(tf.matMul(pooled, weight(weights, 'text_projection')));
}

function lossOf(weights: Weights, config: ClipConfig, images: tf.Tensor4D, tokens: tf.Tensor2D): tf.Scalar {
  const image = encodeImages(weights, config, images);
  const text = encodeTexts(weights, config, tokens);
  const logits = tf.matMul(image, text, false, true).mul(weight(weights, 'logit_scale').exp());
  const identity = tf.eye(images.shape[0]);
  const crossEntropy = (of: tf.Tensor): tf.Tensor => tf.losses.softmaxCrossEntropy(identity, of);
  return crossEntropy(logits).add(crossEntropy(logits.transpose())).div(2) as tf.Scalar;
}

/** A training step of tfjs alone. */
export class TfjsClip {
  readonly #config: ClipConfig;
  readonly #weights: Weights;
  readonly #optimizer: tf.AdamOptimizer;
  readonly #weightDecay: number;

  constructor(
    config: ClipConfig,
    weights: Readonly<Record<string, WeightTensor>>,
    optimizer: TrainingSetup['optimizer'],
  ) {
    this.#config = config;
    this.#weights = Object.fromEntries(
      Object.entries(weights).map(([name, { data, shape }]) => [
        name,
        tf.variable(tf.tensor(data, [...shape]), true, name),
      ]),
    );
    this.#optimizer = tf.train.adam(optimizer.lr, optimizer.beta1, optimizer.beta2, optimizer.eps);
    this.#weightDecay = optimizer.weightDecay;
  }

  /** Trains on bytes [B, S, S, 3] and ids [B, L]. @returns the loss, before the update */
  step(images: Uint8Array, tokens: Int32Array, batch: number, lr: number): number {
    const { imageSize } = this.#config.vision;
    return tf.tidy(() => {
      const pixels = tf.tensor4d(images, [batch, imageSize, imageSize, 3], 'int32');
      const ids = tf.tensor2d(tokens, [batch, tokens.length / batch], 'int32');
      const { value, grads } = tf.variableGrads(() => lossOf(this.#weights, this.#config, pixels, ids));
      for (const [name, variable] of Object.entries(this.#weights)) {
        if (isDecayed(name, variable.shape)) variable.assign(variable.mul(1 - lr * this.#weightDecay));
      }
      (this.#optimizer as unknown as { learningRate: number }).learningRate = lr;
      this.#optimizer.applyGradients(Object.entries(grads).map(([name, tensor]) => ({ name, tensor })));
      const scale = weight(this.#weights, 'logit_scale');
      scale.assign(scale.clipByValue(0, Math.log(100)));
      return value.dataSync()[0] as number;
    });
  }
}
