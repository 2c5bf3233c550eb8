/** CLIP pre-training: the compiled step and its state. */
import type { Batch } from '../../data/loader.js';
import {
  type CompiledFunction,
  compile,
  createVariable,
  type OpTiming,
  type ProgramStats,
  tf,
  uint8Tensor,
  type Variable,
} from '../../engine/index.js';
import { CheckpointError } from '../../errors.js';
import {
  type ClipConfig,
  type ClipEmbedder,
  clipForward,
  clipParamSpecs,
  clipParamsFromWeights,
  createClipEmbedder,
  initClip,
} from '../../models/clip/index.js';
import type { EmbeddingModel } from '../../models/embedding-model.js';
import type { Params } from '../../models/nn/params.js';
import type { HostTensor } from '../../safetensors.js';
import type { TensorMap } from '../checkpoint.js';
import { clipLoss } from '../losses/clip-loss.js';
import { type AdamwOptions, adamwStep, clampLogitScale } from '../optim/adamw.js';
import { clipByGlobalNorm, globalNorm } from '../optim/grad-norm.js';
import type { StepMetrics, TrainTask } from '../task.js';

export interface ClipTaskOptions {
  readonly config: ClipConfig;
  readonly seed: number;
  readonly precision: 'fp32' | 'bf16';
  /** Recompute the blocks in the backward pass. */
  readonly remat?: boolean;
  readonly optimizer: AdamwOptions;
  /** Gradients are scaled down to this norm; null for no clipping, as open_clip. */
  readonly gradClipNorm: number | null;
  /** Images embedded at a time in evaluations. */
  readonly evalBatchSize: number;
  /** Weights to start from instead of the seed's, by open_clip's names. */
  readonly weights?: Readonly<Record<string, Float32Array>>;
}

type VariableMap = Readonly<Record<string, Variable>>;

/** A CLIP with its AdamW moments, all held by the device and updated in place. */
export class ClipTask implements TrainTask {
  readonly model: { readonly kind: 'clip'; readonly config: ClipConfig };
  private readonly params: VariableMap;
  private readonly m: VariableMap;
  private readonly v: VariableMap;
  private readonly steps: Variable;
  private readonly compiled: CompiledFunction<[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor>;
  private embedding: ClipEmbedder | undefined;

  /** The engine must run. */
  constructor(private readonly options: ClipTaskOptions) {
    const { config, seed, precision } = options;
    this.model = { kind: 'clip', config };
    const specs = clipParamSpecs(config);
    const initial = options.weights ?? initClip(config, seed);
    const variables = (prefix: string, values: (name: string, size: number) => Float32Array): VariableMap =>
      Object.fromEntries(
        specs.map(({ name, shape }) => {
          const size = shape.reduce((product, d) => product * d, 1);
          return [name, createVariable(`${prefix}${name}`, values(name, size), shape)];
        }),
      );
    this.params = variables('', (name) => initial[name] as Float32Array);
    this.m = variables('m.', (_, size) => new Float32Array(size));
    this.v = variables('v.', (_, size) => new Float32Array(size));
    this.steps = createVariable('step', Int32Array.of(0), []);
    this.compiled = compile((images, tokens, lr) => this.recordStep(images, tokens, lr), {
      name: 'clipTrainStep',
      precision,
    });
  }

  /** Forward, backward and update of one batch. Returns [loss, gradient norm, logit scale]. */
  private recordStep(images_BHWC: tf.Tensor, tokens_BL: tf.Tensor, lr: tf.Tensor): tf.Tensor {
    const { config, gradClipNorm, optimizer, remat = false } = this.options;
    const names = Object.keys(this.params);
    const params = readAll(this.params);
    const lossOf = (...values: tf.Tensor[]): tf.Scalar => {
      const own: Params = Object.fromEntries(names.map((name, i) => [name, values[i] as tf.Tensor]));
      const out = clipForward(own, config, images_BHWC, tokens_BL, { remat });
      return clipLoss(out.imageFeatures_BE, out.textFeatures_BE, out.logitScale) as tf.Scalar;
    };
    const { value: loss, grads: list } = tf.valueAndGrads(lossOf)(
      names.map((name) => params[name] as tf.Tensor),
    );
    const grads: Params = Object.fromEntries(names.map((name, i) => [name, list[i] as tf.Tensor]));
    const norm = globalNorm(grads);
    const step = this.steps.read();
    const next = adamwStep(
      {
        params,
        grads: gradClipNorm === null ? grads : clipByGlobalNorm(grads, norm, gradClipNorm),
        m: readAll(this.m),
        v: readAll(this.v),
        step,
        lr,
      },
      optimizer,
    );
    const clamped = clampLogitScale(next.params);
    for (const name of names) {
      this.params[name]?.assign(clamped[name] as tf.Tensor);
      this.m[name]?.assign(next.m[name] as tf.Tensor);
      this.v[name]?.assign(next.v[name] as tf.Tensor);
    }
    this.steps.assign(tf.add(step, tf.scalar(1, 'int32')));
    const scale = tf.exp(clamped.logit_scale as tf.Tensor);
    return tf.stack([tf.reshape(loss, []), tf.reshape(norm, []), tf.reshape(scale, [])]);
  }

  async step(batch: Batch, lr: number): Promise<StepMetrics> {
    const inputs = stepInputs(batch, lr);
    try {
      const packed = await this.compiled.async(...inputs);
      const [loss, gradNorm, logitScale] = (await packed.data()) as Float32Array;
      packed.dispose();
      return {
        loss: loss as number,
        gradNorm: gradNorm as number,
        extra: { logitScale: logitScale as number },
      };
    } finally {
      tf.dispose(inputs);
    }
  }

  /** One step, operation by operation, and what each took. */
  profile(batch: Batch, lr: number): readonly OpTiming[] {
    const inputs = stepInputs(batch, lr);
    try {
      const { result, timings } = this.compiled.profile(...inputs);
      result.dispose();
      return timings;
    } finally {
      tf.dispose(inputs);
    }
  }

  /** What the compiled step consists of; empty before the first step. */
  stats(): readonly ProgramStats[] {
    return this.compiled.stats();
  }

  modelTensors(): TensorMap {
    return hostTensors(this.params, '');
  }

  optimizerTensors(): TensorMap {
    const step: [string, HostTensor] = ['step', { shape: [], data: this.steps.data() }];
    return new Map([step, ...hostTensors(this.m, 'm.'), ...hostTensors(this.v, 'v.')]);
  }

  restore(model: TensorMap, optimizer: TensorMap, source: string): void {
    const weights = (map: TensorMap, prefix: string): Record<string, Float32Array> =>
      clipParamsFromWeights(
        this.model.config,
        Object.fromEntries(
          [...map].flatMap(([name, { shape, data }]) =>
            name.startsWith(prefix) && data instanceof Float32Array
              ? [[name.slice(prefix.length), { shape, data }]]
              : [],
          ),
        ),
        source,
      );
    const step = optimizer.get('step');
    if (!(step?.data instanceof Int32Array) || step.data.length !== 1) {
      throw new CheckpointError(`${source}: the optimizer's tensors lack the int32 scalar 'step'.`);
    }
    const all = [
      [this.params, weights(model, '')],
      [this.m, weights(optimizer, 'm.')],
      [this.v, weights(optimizer, 'v.')],
    ] as const;
    for (const [variables, values] of all) {
      for (const [name, data] of Object.entries(values)) variables[name]?.load(data);
    }
    this.steps.load(step.data);
  }

  nonFiniteParams(): string[] {
    return Object.entries(this.params)
      .filter(([, variable]) => !(variable.data() as Float32Array).every(Number.isFinite))
      .map(([name]) => name);
  }

  embedder(): EmbeddingModel {
    const { config, evalBatchSize, precision } = this.options;
    this.embedding ??= createClipEmbedder(config, () => readAll(this.params), {
      batchSize: evalBatchSize,
      precision,
    });
    return this.embedding;
  }

  dispose(): void {
    this.compiled.dispose();
    this.embedding?.dispose();
    for (const map of [this.params, this.m, this.v]) {
      for (const variable of Object.values(map)) variable.dispose();
    }
    this.steps.dispose();
  }
}

function stepInputs(batch: Batch, lr: number): [tf.Tensor, tf.Tensor, tf.Tensor] {
  const { images, tokens, imageSize, contextLength } = batch;
  const count = batch.keys.length;
  return [
    uint8Tensor(images, [count, imageSize, imageSize, 3]),
    tf.tensor2d(tokens, [count, contextLength], 'int32'),
    tf.scalar(lr),
  ];
}

function readAll(variables: VariableMap): Params {
  return Object.fromEntries(Object.entries(variables).map(([name, variable]) => [name, variable.read()]));
}

function hostTensors(variables: VariableMap, prefix: string): Map<string, HostTensor> {
  return new Map(
    Object.entries(variables).map(([name, variable]) => [
      `${prefix}${name}`,
      { shape: variable.shape, data: variable.data() },
    ]),
  );
}
