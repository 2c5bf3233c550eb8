/** A CLIP small enough to be compiled in a test, with more than one block in each tower. */
import type { Batch } from '../../src/data/loader.js';
import type { ClipConfig } from '../../src/models/clip/index.js';
import { OPEN_CLIP_ADAMW } from '../../src/train/optim/adamw.js';
import { ClipTask, type ClipTaskOptions } from '../../src/train/tasks/clip.js';

export const tinyClip: ClipConfig = {
  embedDim: 8,
  vision: { imageSize: 8, patchSize: 4, width: 16, depth: 2, headWidth: 8, mlpRatio: 2 },
  text: { contextLength: 6, vocabSize: 20, width: 16, depth: 2, numHeads: 2, mlpRatio: 2 },
  quickGelu: false,
};

/** What a training step of {@link tinyClip} reads of a batch. */
export const tinyBatch = {
  images: new Uint8Array(4 * 8 * 8 * 3),
  imageSize: 8,
  tokens: new Int32Array(4 * 6).fill(19),
  contextLength: 6,
  keys: ['a', 'b', 'c', 'd'],
} as Partial<Batch> as Batch;

/** Its training; the caller disposes of it. */
export function tinyTask(options: Partial<ClipTaskOptions>): ClipTask {
  return new ClipTask({
    config: tinyClip,
    seed: 1,
    precision: 'fp32',
    optimizer: OPEN_CLIP_ADAMW,
    gradClipNorm: 1,
    evalBatchSize: 4,
    ...options,
  });
}
