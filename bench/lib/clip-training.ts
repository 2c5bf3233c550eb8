/** A CLIP training on given weights and batches, one step at a call: the trainer's own step. */
import { readFileSync } from 'node:fs';
import type { Batch } from '../../src/data/loader.js';
import { tf, uint8Tensor } from '../../src/engine/index.js';
import { clipParamsFromWeights, type WeightTensor } from '../../src/models/clip/index.js';
import { readSafetensors } from '../../src/safetensors.js';
import { learningRate } from '../../src/train/optim/schedule.js';
import { ClipTask } from '../../src/train/tasks/clip.js';
import type { TrainingSetup } from './protocol.js';
import { TfjsClip } from './tfjs-clip.js';

export interface ClipTraining {
  /** Trains on the next batch. @returns its loss, before the update */
  step(): Promise<number>;
}

/** Sets a training up on the running engine. */
export async function startTraining(setup: TrainingSetup): Promise<ClipTraining> {
  const { config, precision, optimizer, weightsFile } = setup;
  const { tensors } = await readSafetensors(weightsFile);
  const weights = Object.fromEntries(tensors) as Record<string, WeightTensor>;
  const batchAt = readBatches(setup);
  let done = 0;
  if (setup.mode === 'tfjs') {
    const clip = new TfjsClip(config, weights, optimizer);
    return {
      async step(): Promise<number> {
        const { images, tokens, keys } = batchAt(done);
        return clip.step(images, tokens, keys.length, learningRate({ kind: 'cosine', ...optimizer }, done++));
      },
    };
  }
  const task = new ClipTask({
    config,
    precision,
    optimizer,
    seed: 0,
    gradClipNorm: null,
    evalBatchSize: 1,
    weights: clipParamsFromWeights(config, weights, weightsFile),
  });
  return {
    async step(): Promise<number> {
      const batch = batchAt(done);
      const lr = learningRate({ kind: 'cosine', ...optimizer }, done);
      done++;
      return setup.mode === 'compiled' ? (await task.step(batch, lr)).loss : eagerStep(task, batch, lr);
    },
  };
}

/** The function that the trainer compiles, called as it is: each operation runs when tfjs comes to it. */
function eagerStep(task: ClipTask, batch: Batch, lr: number): number {
  const { images, tokens, imageSize, contextLength } = batch;
  const count = batch.keys.length;
  return tf.tidy(() => {
    const images_BHWC = uint8Tensor(images, [count, imageSize, imageSize, 3]);
    const tokens_BL = tf.tensor2d(tokens, [count, contextLength], 'int32');
    // biome-ignore lint/complexity/useLiteralKeys: only brackets reach a private member
    return task['recordStep'](images_BHWC, tokens_BL, tf.scalar(lr)).dataSync()[0]!;
  });
}

function readBatches({ config, batches }: TrainingSetup): (step: number) => Batch {
  const { count, batchSize } = batches;
  const { imageSize } = config.vision;
  const { contextLength } = config.text;
  const pixels = new Uint8Array(readFileSync(batches.imagesFile));
  const ids = new Int32Array(new Uint8Array(readFileSync(batches.tokensFile)).buffer);
  const part = <T extends Uint8Array | Int32Array>(all: T, index: number): T => {
    const size = all.length / count;
    return all.subarray(index * size, (index + 1) * size) as T;
  };
  const perSample = <T>(value: T): T[] => new Array<T>(batchSize).fill(value);
  return (step) => ({
    images: part(pixels, step % count),
    tokens: part(ids, step % count),
    imageSize,
    contextLength,
    keys: perSample('sample'),
    kinds: perSample('alt'),
    captions: perSample(''),
    numTokens: new Int32Array(batchSize),
    frame: { before: 1, after: 1 },
    truncated: 0,
    sources: perSample(0),
    fallbacks: 0,
    skipped: [],
    noCaption: [],
    epoch: 0,
    indexInEpoch: 0,
  });
}
