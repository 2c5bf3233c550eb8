import { describe, expect, it } from 'vitest';
import { createVariable } from '../../../../src/engine/index.js';
import { ShapeError } from '../../../../src/errors.js';
import {
  type ClipConfig,
  clipForward,
  clipParamSpecs,
  createClipEmbedder,
  initClip,
} from '../../../../src/models/clip/index.js';
import { tf } from '../../../support/engine.js';
import { expectClose } from '../../../support/gradients.js';

const config: ClipConfig = {
  embedDim: 4,
  vision: { imageSize: 8, patchSize: 4, width: 6, depth: 1, headWidth: 3, mlpRatio: 4 },
  text: { contextLength: 5, vocabSize: 11, width: 8, depth: 1, numHeads: 2, mlpRatio: 4 },
  quickGelu: false,
};

describe('createClipEmbedder', () => {
  const values = initClip(config, 5);
  const variables = Object.fromEntries(
    clipParamSpecs(config).map(({ name, shape }) => [name, createVariable(name, values[name]!, [...shape])]),
  );
  const readParams = () => Object.fromEntries(Object.entries(variables).map(([name, v]) => [name, v.read()]));
  const images = Uint8Array.from({ length: 5 * 192 }, (_, i) => (i * i) % 251);
  const tokens = Int32Array.from({ length: 25 }, (_, i) => (i % 5 === 4 ? 10 : (i * 3) % 9));
  const eager = () =>
    tf.tidy(() => {
      const out = clipForward(
        readParams(),
        config,
        tf.tensor(Int32Array.from(images), [5, 8, 8, 3], 'int32'),
        tf.tensor2d(tokens, [5, 5], 'int32'),
      );
      return [out.imageFeatures_BE.dataSync(), out.textFeatures_BE.dataSync()] as const;
    });

  it('embeds any number of samples in batches of one shape, following the variables', async () => {
    const model = createClipEmbedder(config, readParams, { batchSize: 2 });
    const held = tf.memory().numTensors;
    for (const shift of [0, 0.3]) {
      const projection = variables['visual.proj']!;
      projection.load(projection.data().map((x) => x + shift) as Float32Array);
      const [expectedImages, expectedTexts] = eager();
      expectClose(await model.encodeImages(images, 5), expectedImages, 1e-5, 'images');
      expectClose(await model.encodeTexts(tokens, 5), expectedTexts, 1e-5, 'texts');
    }
    expect(await model.encodeTexts(new Int32Array(0), 0)).toEqual(new Float32Array(0));
    expect(tf.memory().numTensors, 'tensors left').toBe(held);
    model.dispose();
  });

  it('refuses an array of another size', async () => {
    const model = createClipEmbedder(config, readParams, { batchSize: 2 });
    await expect(model.encodeImages(images, 4)).rejects.toThrow(ShapeError);
    await expect(model.encodeTexts(tokens, 6)).rejects.toThrow(/6 texts of 5 values are 30 values, found 25/);
    model.dispose();
  });
});
