/** A model small enough to compute by hand, so that the loop's tests are about the loop. */
import type { Batch, Loader, SavedLoaderState } from '../../../src/data/loader.js';
import { MixRecorder, type SavedMix } from '../../../src/data/mix-stats.js';
import type { EmbeddingModel } from '../../../src/models/embedding-model.js';
import { KeyedRandom } from '../../../src/rng.js';
import type { TensorMap } from '../../../src/train/checkpoint.js';
import type { StepMetrics, TrainTask } from '../../../src/train/task.js';

const BATCH = 4;
const BATCHES_PER_EPOCH = 5;

/** Least squares of one weight to the mean pixel, by gradient descent with momentum. */
export class ToyTask implements TrainTask {
  readonly model = { kind: 'toy', config: { size: 1 } };
  readonly steppedKeys: string[] = [];
  private w = Float32Array.of(0.5);
  private m = Float32Array.of(0);

  /** From the batch of this number on, the loss is not a number. */
  constructor(private readonly badAfter = Number.POSITIVE_INFINITY) {}

  async step(batch: Batch, lr: number): Promise<StepMetrics> {
    const target = batch.images.reduce((sum, value) => sum + value, 0) / batch.images.length / 255;
    const bad = this.steppedKeys.length >= this.badAfter * BATCH;
    this.steppedKeys.push(...batch.keys);
    const error = bad ? Number.NaN : (this.w[0] as number) - target;
    this.m[0] = 0.9 * (this.m[0] as number) + error;
    this.w[0] = (this.w[0] as number) - lr * (this.m[0] as number);
    return { loss: error * error, gradNorm: Math.abs(2 * error), extra: { logitScale: this.w[0] } };
  }

  modelTensors(): TensorMap {
    return new Map([['w', { shape: [1], data: this.w.slice() }]]);
  }

  optimizerTensors(): TensorMap {
    return new Map([['m', { shape: [1], data: this.m.slice() }]]);
  }

  restore(model: TensorMap, optimizer: TensorMap): void {
    this.w = Float32Array.from(model.get('w')?.data ?? []);
    this.m = Float32Array.from(optimizer.get('m')?.data ?? []);
  }

  nonFiniteParams(): string[] {
    return Number.isFinite(this.w[0]) ? [] : ['w'];
  }

  embedder(): EmbeddingModel {
    const unused = async (): Promise<Float32Array> => this.w.slice();
    return { embedDim: 1, imageSize: 1, contextLength: 1, encodeImages: unused, encodeTexts: unused };
  }

  dispose(): void {}
}

/** Batches of one-pixel images that are a function of seed and position only. */
export function toyLoader(seed: number, resumeFrom?: SavedLoaderState, mixFrom?: SavedMix): Loader {
  let at = resumeFrom ? resumeFrom.epoch * BATCHES_PER_EPOCH + resumeFrom.position : 0;
  const recorder = new MixRecorder(mixFrom);
  return {
    [Symbol.asyncIterator]: () => {
      throw new Error('the loop asks for each batch');
    },
    next: async () => {
      const random = new KeyedRandom(seed, 'batch', at);
      const epoch = Math.floor(at / BATCHES_PER_EPOCH);
      const indexInEpoch = at % BATCHES_PER_EPOCH;
      at++;
      const batch: Batch = {
        images: Uint8Array.from({ length: BATCH * 3 }, () => random.int(256)),
        imageSize: 1,
        tokens: new Int32Array(BATCH),
        contextLength: 1,
        keys: Array.from({ length: BATCH }, (_, i) => `e${epoch}-b${indexInEpoch}-${i}`),
        kinds: ['alt', 'alt', 'alt', 'ssc'],
        captions: ['a', 'b', 'c', 'd'],
        numTokens: Int32Array.of(2, 4, 6, 8),
        frame: { before: 1, after: 1 },
        truncated: 1,
        sources: [0, 0, 0, 0],
        fallbacks: 0,
        skipped: indexInEpoch === 2 ? [{ key: 'bad', reason: 'cut off' }] : [],
        noCaption: indexInEpoch === 1 ? ['silent', 'mute'] : [],
        epoch,
        indexInEpoch,
      };
      recorder.record(batch, epoch);
      return batch;
    },
    recycle: () => undefined,
    state: () => ({
      // As the real one: an epoch's end is not the next one's beginning.
      epoch: Math.floor(Math.max(0, at - 1) / BATCHES_PER_EPOCH),
      position: at === 0 ? 0 : ((at - 1) % BATCHES_PER_EPOCH) + 1,
      broken: 0,
      batches: at,
      carries: [],
      seed,
      fingerprint: 'toy',
    }),
    stats: () => recorder.stats(),
    mix: () => recorder.save(),
    close: async () => {},
  };
}
