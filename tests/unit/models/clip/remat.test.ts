import { describe, expect, it } from 'vitest';
import { compile, type ProgramStats } from '../../../../src/engine/index.js';
import type { ClipConfig } from '../../../../src/models/clip/config.js';
import { initClip } from '../../../../src/models/clip/init.js';
import { clipForward } from '../../../../src/models/clip/model.js';
import { clipParamSpecs } from '../../../../src/models/clip/specs.js';
import { clipLoss } from '../../../../src/train/losses/clip-loss.js';
import { tf } from '../../../support/engine.js';
import { expectClose, numbers } from '../../../support/gradients.js';

/** Deep enough that the blocks outweigh what lies outside of them. */
const config: ClipConfig = {
  embedDim: 8,
  vision: { imageSize: 16, patchSize: 4, width: 16, depth: 6, headWidth: 8, mlpRatio: 4 },
  text: { contextLength: 12, vocabSize: 30, width: 16, depth: 6, numHeads: 2, mlpRatio: 4 },
  quickGelu: false,
};
const BATCH = 8;
const specs = clipParamSpecs(config);

interface Result {
  /** The loss, then the gradient of each parameter. */
  readonly values: readonly Float32Array[];
  readonly stats: ProgramStats;
}

/** Loss and gradients, compiled; in which tower blocks are recomputed. */
function lossAndGradients(rematImage: boolean, rematText: boolean): Result {
  const initial = initClip(config, 5);
  const step = compile((images: tf.Tensor, tokens: tf.Tensor, ...values: tf.Tensor[]) => {
    const { value, grads } = tf.valueAndGrads((...own) => {
      const named = Object.fromEntries(specs.map(({ name }, i) => [name, own[i]!]));
      const image = clipForward(named, config, images, tokens, { remat: rematImage });
      const text = clipForward(named, config, images, tokens, { remat: rematText });
      return clipLoss(image.imageFeatures_BE, text.textFeatures_BE, image.logitScale) as tf.Scalar;
    })(values);
    return [value, ...grads];
  });
  const values: Float32Array[] = [];
  tf.tidy(() => {
    const images = tf.tensor(numbers(BATCH * 16 * 16 * 3, 'images'), [BATCH, 16, 16, 3]);
    const ids = Int32Array.from({ length: BATCH * 12 }, (_, i) => (i % 12 === 11 ? 29 : (i * 7) % 29));
    const params = specs.map(({ name, shape }) => tf.tensor(initial[name]!, [...shape]));
    for (const result of step(images, tf.tensor2d(ids, [BATCH, 12], 'int32'), ...params)) {
      values.push(result.dataSync() as Float32Array);
    }
  });
  const stats = step.stats()[0]!;
  step.dispose();
  return { values, stats };
}

describe('remat', () => {
  const plain = lossAndGradients(false, false);

  it.each([
    ['the image tower', true, false],
    ['the text tower', false, true],
    ['both towers', true, true],
  ])('in %s leaves loss and gradients as they are, computes more and keeps less', (_, image, text) => {
    const { values, stats } = lossAndGradients(image, text);
    const names = ['loss', ...specs.map(({ name }) => name)];
    expect(values).toHaveLength(names.length);
    for (const [i, name] of names.entries()) {
      const scale = Math.max(...plain.values[i]!.map(Math.abs));
      // The same operations, but in other clusters, where XLA sums in another order: 1e-5 is a hundred
      // roundings of float32, of a gradient's largest element.
      const normed = (x: Float32Array): Float32Array => x.map((v) => v / scale);
      expectClose(normed(values[i]!), normed(plain.values[i]!), 1e-5, name);
    }
    expect(stats.recordedOps).toBeGreaterThan(plain.stats.recordedOps);
    expect(stats.executedOps).toBeGreaterThan(plain.stats.executedOps);
    expect(stats.peakBytes).toBeLessThan(plain.stats.peakBytes);
  });

  it('in both towers keeps less than a third', () => {
    const { stats } = lossAndGradients(true, true);
    expect(stats.peakBytes).toBeLessThan(plain.stats.peakBytes / 3);
  });
});
