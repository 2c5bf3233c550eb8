/**
 * Capstan's CLIP against open_clip 3.3.0 on tiny models: features, logits, loss, every gradient, and
 * every parameter after five AdamW steps. tools/golden/make_clip.py made the files.
 */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Batch } from '../../src/data/loader.js';
import { type CompileOptions, compile } from '../../src/engine/index.js';
import type { ClipConfig } from '../../src/models/clip/config.js';
import { clipForward } from '../../src/models/clip/model.js';
import { clipParamSpecs } from '../../src/models/clip/specs.js';
import { clipParamsFromWeights, type WeightTensor } from '../../src/models/clip/weights.js';
import type { Params } from '../../src/models/nn/params.js';
import { clipLoss } from '../../src/train/losses/clip-loss.js';
import { adamwStep, clampLogitScale } from '../../src/train/optim/adamw.js';
import { globalNorm } from '../../src/train/optim/grad-norm.js';
import { learningRate } from '../../src/train/optim/schedule.js';
import { ClipTask } from '../../src/train/tasks/clip.js';
import { tf } from '../support/engine.js';
import { expectClose } from '../support/gradients.js';
import { type GoldenTensor, readGoldens } from '../support/safetensors.js';

interface Golden {
  readonly config: ClipConfig;
  readonly steps: number;
  readonly optimizer: {
    readonly lr: number;
    readonly betas: [number, number];
    readonly eps: number;
    readonly weightDecay: number;
    readonly warmupSteps: number;
    readonly totalSteps: number;
  };
  readonly decay: Record<string, boolean>;
  readonly history: Record<'loss' | 'lr' | 'logitScale' | 'gradNorm', number[]>;
}

type StepResult = {
  readonly loss: tf.Tensor;
  readonly gradNorm: tf.Tensor;
  readonly grads: Params;
  readonly params: Params;
  readonly m: Params;
  readonly v: Params;
};

/** Loss, gradients and update of one batch: what a trainer compiles. */
function trainStep(
  golden: Golden,
  state: { params: Params; m: Params; v: Params },
  images: tf.Tensor,
  tokens: tf.Tensor,
  step: tf.Tensor,
  lr: tf.Tensor,
): StepResult {
  const { betas, eps, weightDecay } = golden.optimizer;
  const names = Object.keys(state.params);
  const lossOf = (...values: tf.Tensor[]): tf.Scalar => {
    const params = Object.fromEntries(names.map((name, i) => [name, values[i]!]));
    const out = clipForward(params, golden.config, images, tokens);
    return clipLoss(out.imageFeatures_BE, out.textFeatures_BE, out.logitScale) as tf.Scalar;
  };
  return tf.tidy(() => {
    const { value: loss, grads: list } = tf.valueAndGrads(lossOf)(Object.values(state.params));
    const grads = Object.fromEntries(names.map((name, i) => [name, list[i]!]));
    const options = { beta1: betas[0], beta2: betas[1], eps, weightDecay };
    const next = adamwStep({ ...state, grads, step, lr }, options);
    return { loss, gradNorm: globalNorm(grads), grads, ...next, params: clampLogitScale(next.params) };
  });
}

const dataOf = (name: string): URL => new URL(`./data/${name}`, import.meta.url);

/** Gap of two tensors over the largest magnitude of the expected one. */
function expectRelative(actual: ArrayLike<number>, expected: ArrayLike<number>, limit: number, what: string) {
  let largest = 0;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i]!));
  let gap = 0;
  for (let i = 0; i < expected.length; i++) gap = Math.max(gap, Math.abs(actual[i]! - expected[i]!));
  expect(gap, `${what}: largest gap`).toBeLessThanOrEqual(limit * Math.max(largest, 1e-6));
}

/** Runs of the training step; undefined is eager. */
const modes: Record<string, CompileOptions | undefined> = {
  eagerly: undefined,
  'compiled in clusters': { fusion: 'clusters' },
  'compiled whole': { fusion: 'whole' },
};

// Compiling is slow, and the two models differ in one activation.
describe.each([
  ['gelu', Object.keys(modes)],
  ['quickgelu', ['eagerly']],
])('CLIP with %s equals open_clip', (name, modesOfName) => {
  const golden = JSON.parse(readFileSync(dataOf(`clip-${name}.json`), 'utf8')) as Golden;
  const tensors = readGoldens(dataOf(`clip-${name}.safetensors`));
  const group = (prefix: string): Record<string, GoldenTensor> =>
    Object.fromEntries(
      Object.entries(tensors)
        .filter(([key]) => key.startsWith(`${prefix}.`))
        .map(([key, tensor]) => [key.slice(prefix.length + 1), tensor]),
    );
  const specs = clipParamSpecs(golden.config);
  const batchAt = (step: number): [images: tf.Tensor, tokens: tf.Tensor] => {
    const take = (key: string): tf.Tensor => {
      const { shape, data } = tensors[key]!;
      const size = data.length / shape[0]!;
      return tf.tensor(
        Int32Array.from(data.subarray(step * size, (step + 1) * size)),
        shape.slice(1),
        'int32',
      );
    };
    return [take('input.images_uint8'), take('input.tokens')];
  };
  /** The same batch as a loader hands it out. */
  const hostBatch = (step: number): Batch => {
    const take = (key: string): { ints: Int32Array; shape: readonly number[] } => {
      const { shape, data } = tensors[key]!;
      const size = data.length / shape[0]!;
      return { ints: Int32Array.from(data.subarray(step * size, (step + 1) * size)), shape: shape.slice(1) };
    };
    const [images, tokens] = [take('input.images_uint8'), take('input.tokens')];
    const perSample = <T>(value: T): T[] => new Array<T>(images.shape[0]!).fill(value);
    return {
      images: Uint8Array.from(images.ints),
      imageSize: images.shape[1]!,
      tokens: tokens.ints,
      contextLength: tokens.shape[1]!,
      keys: perSample('sample'),
      kinds: perSample('alt'),
      sources: perSample(0),
      captions: perSample(''),
      numTokens: new Int32Array(images.shape[0]!),
      frame: { before: 1, after: 1 },
      truncated: 0,
      fallbacks: 0,
      skipped: [],
      noCaption: [],
      epoch: 0,
      indexInEpoch: 0,
    };
  };
  const initial = (): Params => {
    const weights = group('init') as Record<string, WeightTensor>;
    const values = clipParamsFromWeights(golden.config, weights, `clip-${name}`);
    return Object.fromEntries(
      specs.map((spec) => [spec.name, tf.tensor(values[spec.name]!, [...spec.shape])]),
    );
  };

  it('in the names, shapes and decay of its parameters', () => {
    const expected = Object.entries(group('init')).map(([key, { shape }]) => [key, shape]);
    const byName = (a: unknown[], b: unknown[]): number => (String(a[0]) < String(b[0]) ? -1 : 1);
    expect(specs.map((spec) => [spec.name, spec.shape]).sort(byName)).toEqual(expected.sort(byName));
    expect(Object.fromEntries(specs.map((spec) => [spec.name, spec.decay]))).toEqual(golden.decay);
  });

  it('in features and logits, from bytes and from normalised images', () => {
    const params = initial();
    const [bytes, tokens] = batchAt(0);
    const { shape, data } = tensors['input.images_float']!;
    const floats = tf.tidy(() =>
      tf.transpose(tf.tensor(data as Float32Array, shape as [8, 3, 32, 32]), [0, 2, 3, 1]),
    );
    const before = tf.memory().numTensors;
    for (const images of [bytes, floats]) {
      const out = clipForward(params, golden.config, images, tokens);
      const logits = tf.tidy(() =>
        tf.mul(tf.matMul(out.imageFeatures_BE, out.textFeatures_BE, false, true), out.logitScale),
      );
      const expected = group('out');
      expectClose(out.imageFeatures_BE.dataSync(), expected.image_features!.data, 1e-5, 'image features');
      expectClose(out.textFeatures_BE.dataSync(), expected.text_features!.data, 1e-5, 'text features');
      const gap = Math.max(
        ...logits.dataSync().map((x, i) => Math.abs(x - expected.logits_per_image!.data[i]!)),
      );
      expect(gap, 'largest gap of a logit').toBeLessThanOrEqual(1e-4);
      tf.dispose([out.imageFeatures_BE, out.textFeatures_BE, out.logitScale, logits]);
    }
    expect(tf.memory().numTensors, 'tensors left').toBe(before);
    tf.dispose([params, bytes, tokens, floats]);
  });

  it('whatever follows the end of the text, even nothing', () => {
    const params = initial();
    const [images, tokens] = batchAt(0);
    const ids = tokens.arraySync() as number[][];
    const short = 5;
    const rows = ids.filter((row) => row.indexOf(127) < short);
    expect(rows.length).toBeGreaterThan(0);
    const features = (text: number[][]): Float32Array =>
      tf.tidy(() => {
        const some = tf.slice(images, [0, 0, 0, 0], [text.length, -1, -1, -1]);
        const out = clipForward(params, golden.config, some, tf.tensor2d(text, undefined, 'int32'));
        return out.textFeatures_BE.dataSync() as Float32Array;
      });
    const cut = features(rows.map((row) => row.slice(0, short)));
    expectClose(cut, features(rows), 1e-6, 'features of cut text');
    tf.dispose([params, images, tokens]);
  });

  describe.each(modesOfName)('over five steps %s', (mode) => {
    type State = { params: Params; m: Params; v: Params };
    const eager = (state: State, images: tf.Tensor, tokens: tf.Tensor, step: tf.Tensor, lr: tf.Tensor) =>
      trainStep(golden, state, images, tokens, step, lr);
    const seen: Record<'loss' | 'lr' | 'logitScale' | 'gradNorm', number[]> = {
      loss: [],
      lr: [],
      logitScale: [],
      gradNorm: [],
    };
    let gradients: Record<string, Float32Array>;
    let params: Record<string, Float32Array>;
    let leaked: number;
    const values = (tensors: Params): Record<string, Float32Array> =>
      Object.fromEntries(Object.entries(tensors).map(([key, t]) => [key, t.dataSync() as Float32Array]));

    beforeAll(() => {
      const options = modes[mode];
      const compiled = options === undefined ? undefined : compile(eager, options);
      const zeros = (): Params =>
        Object.fromEntries(specs.map((spec) => [spec.name, tf.zeros([...spec.shape])]));
      const held = tf.memory().numTensors;
      let state: State = { params: initial(), m: zeros(), v: zeros() };
      for (let step = 0; step < golden.steps; step++) {
        const [images, tokens] = batchAt(step);
        const rate = learningRate({ kind: 'cosine', ...golden.optimizer }, step);
        const [stepTensor, rateTensor] = [tf.scalar(step), tf.scalar(rate)];
        const result = (compiled ?? eager)(state, images, tokens, stepTensor, rateTensor);
        tf.dispose([images, tokens, stepTensor, rateTensor, state]);
        seen.loss.push(result.loss.dataSync()[0]!);
        seen.lr.push(rate);
        seen.gradNorm.push(result.gradNorm.dataSync()[0]!);
        seen.logitScale.push(result.params.logit_scale!.dataSync()[0]!);
        if (step === 0) gradients = values(result.grads);
        state = { params: result.params, m: result.m, v: result.v };
        tf.dispose([result.grads, result.loss, result.gradNorm]);
      }
      params = values(state.params);
      tf.dispose(state);
      compiled?.dispose();
      leaked = tf.memory().numTensors - held;
    });

    it('in every gradient', () => {
      for (const [key, { data }] of Object.entries(group('grad'))) {
        expectRelative(gradients[key]!, data, 1e-3, `gradient of ${key}`);
      }
    });

    it('in loss, gradient norm, learning rate and clamped logit scale', () => {
      expectClose(seen.loss, golden.history.loss, 1e-5, 'loss');
      expectClose(seen.gradNorm, golden.history.gradNorm, 1e-4, 'gradient norm');
      expectClose(seen.lr, golden.history.lr, 1e-12, 'learning rate');
      expectClose(seen.logitScale, golden.history.logitScale, 1e-5, 'logit scale');
    });

    it('in every parameter after them', () => {
      for (const [key, { data }] of Object.entries(group('after'))) {
        let gap = 0;
        params[key]!.forEach((x, i) => {
          gap = Math.max(gap, Math.abs(x - data[i]!));
        });
        expect(gap, `largest gap in ${key}`).toBeLessThanOrEqual(1e-4);
      }
    });

    it('without leaving a tensor behind', () => {
      expect(leaked).toBe(0);
    });
  });

  it('as the task that `capstan train` runs, over five steps', async () => {
    const { lr: _, betas, warmupSteps: __, totalSteps: ___, ...rest } = golden.optimizer;
    const weights = clipParamsFromWeights(
      golden.config,
      group('init') as Record<string, WeightTensor>,
      `clip-${name}`,
    );
    const held = tf.memory().numTensors;
    const task = new ClipTask({
      config: golden.config,
      seed: 0,
      precision: 'fp32',
      optimizer: { beta1: betas[0], beta2: betas[1], ...rest },
      gradClipNorm: null,
      evalBatchSize: 8,
      weights,
    });
    const seen: Record<'loss' | 'logitScale' | 'gradNorm', number[]> = {
      loss: [],
      logitScale: [],
      gradNorm: [],
    };
    for (let step = 0; step < golden.steps; step++) {
      const rate = learningRate({ kind: 'cosine', ...golden.optimizer }, step);
      const { loss, gradNorm, extra } = await task.step(hostBatch(step), rate);
      seen.loss.push(loss);
      seen.gradNorm.push(gradNorm);
      seen.logitScale.push(Math.log(extra.logitScale as number));
    }
    expectClose(seen.loss, golden.history.loss, 1e-5, 'loss');
    expectClose(seen.gradNorm, golden.history.gradNorm, 1e-4, 'gradient norm');
    expectClose(seen.logitScale, golden.history.logitScale, 1e-5, 'logit scale');
    const after = task.modelTensors();
    expect([...after.keys()].sort()).toEqual(Object.keys(group('after')).sort());
    for (const [key, { data }] of Object.entries(group('after'))) {
      const found = after.get(key)?.data as Float32Array;
      const gap = found.reduce((most, x, i) => Math.max(most, Math.abs(x - data[i]!)), 0);
      expect(gap, `largest gap in ${key}`).toBeLessThanOrEqual(1e-4);
    }
    expect(task.optimizerTensors().get('step')?.data).toEqual(Int32Array.of(golden.steps));
    task.dispose();
    expect(tf.memory().numTensors, 'tensors left').toBe(held);
  });

  it('in bf16 as closely as that type allows', () => {
    const [bytes, tokens] = batchAt(0);
    const state = { params: initial(), m: initial(), v: initial() };
    const [step, lr] = [tf.scalar(0), tf.scalar(0)];
    const compiled = compile(
      () => {
        const { loss, grads } = trainStep(golden, state, bytes, tokens, step, lr);
        return { loss, grads };
      },
      { precision: 'bf16' },
    );
    const { loss, grads } = compiled();
    expectClose(loss.dataSync(), golden.history.loss.slice(0, 1), 1e-2, 'loss');
    // Eight significant bits per product: the direction of the whole gradient is kept.
    let [dot, ours, theirs] = [0, 0, 0];
    for (const [key, { data }] of Object.entries(group('grad'))) {
      grads[key]!.dataSync().forEach((x: number, i: number) => {
        dot += x * data[i]!;
        ours += x * x;
        theirs += data[i]! ** 2;
      });
    }
    expect(dot / Math.sqrt(ours * theirs)).toBeGreaterThan(0.999);
    tf.dispose([bytes, tokens, state, step, lr, loss, grads]);
    compiled.dispose();
  });
});
