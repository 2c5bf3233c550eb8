import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ShapeError } from '../../../../src/errors.js';
import type { ClipConfig } from '../../../../src/models/clip/config.js';
import { CLIP_MEAN, CLIP_STD, encodeImage } from '../../../../src/models/clip/image-encoder.js';
import { initClip } from '../../../../src/models/clip/init.js';
import { clipForward } from '../../../../src/models/clip/model.js';
import { clipParamSpecs } from '../../../../src/models/clip/specs.js';
import { encodeText } from '../../../../src/models/clip/text-encoder.js';
import type { Params } from '../../../../src/models/nn/params.js';
import { tf } from '../../../support/engine.js';
import { expectClose } from '../../../support/gradients.js';

const config: ClipConfig = {
  embedDim: 4,
  vision: { imageSize: 8, patchSize: 4, width: 6, depth: 2, headWidth: 3, mlpRatio: 4 },
  text: { contextLength: 5, vocabSize: 11, width: 8, depth: 2, numHeads: 2, mlpRatio: 4 },
  quickGelu: false,
};

let params: Params;
beforeAll(() => {
  const values = initClip(config, 3);
  params = Object.fromEntries(
    clipParamSpecs(config).map(({ name, shape }) => [name, tf.tensor(values[name]!, [...shape])]),
  );
});
afterAll(() => tf.dispose(params));

const refuses = (run: () => unknown, message: RegExp): void => {
  expect(run).toThrow(ShapeError);
  expect(run).toThrow(message);
};

describe('CLIP', () => {
  it('takes bytes and normalised images alike', () => {
    const bytes = Int32Array.from({ length: 2 * 8 * 8 * 3 }, (_, i) => (i * 37) % 256);
    const floats = Float32Array.from(bytes, (x, i) => (x / 255 - CLIP_MEAN[i % 3]!) / CLIP_STD[i % 3]!);
    const features = tf.tidy(() =>
      [tf.tensor(bytes, [2, 8, 8, 3], 'int32'), tf.tensor(floats, [2, 8, 8, 3])].map((images) =>
        encodeImage(params, config, images).dataSync(),
      ),
    );
    expectClose(features[0]!, features[1]!, 1e-5, 'features of bytes');
  });

  it('pools a text at the first end-of-text token that is configured', () => {
    const pooled = (endToken: number | undefined, tokens: number[]): Float32Array =>
      tf.tidy(() => {
        const text = { ...config.text, ...(endToken === undefined ? {} : { endToken }) };
        const tokens_BL = tf.tensor2d(tokens, [1, tokens.length], 'int32');
        return encodeText(params, { ...config, text }, tokens_BL).dataSync() as Float32Array;
      });
    // What follows it has no influence, be it larger, equal or padding.
    expectClose(pooled(2, [1, 4, 2, 9, 2]), pooled(2, [1, 4, 2]), 1e-6, 'cut');
    expectClose(pooled(10, [1, 4, 10, 0, 0]), pooled(undefined, [1, 4, 10, 0, 0]), 1e-6, 'largest');
    expect(pooled(2, [1, 4, 2])).not.toEqual(pooled(undefined, [1, 4, 2])); // 4 is the largest
  });

  it('does not mix the samples of a batch', () => {
    tf.tidy(() => {
      const images = tf.cast(tf.randomUniform([3, 8, 8, 3], 0, 256, 'float32', 7), 'int32');
      const tokens = tf.tensor2d([1, 9, 10, 0, 0, 2, 10, 0, 0, 0, 3, 4, 5, 6, 10], [3, 5], 'int32');
      const all = clipForward(params, config, images, tokens);
      const one = clipForward(
        params,
        config,
        tf.slice(images, [1, 0, 0, 0], [1, -1, -1, -1]),
        tf.slice(tokens, [1, 0], [1, -1]),
      );
      const row = (x: tf.Tensor): Float32Array => tf.slice(x, [1, 0], [1, -1]).dataSync() as Float32Array;
      expectClose(one.imageFeatures_BE.dataSync(), row(all.imageFeatures_BE), 1e-6, 'image');
      expectClose(one.textFeatures_BE.dataSync(), row(all.textFeatures_BE), 1e-6, 'text');
      expect(one.logitScale.dataSync()[0]).toBeCloseTo(1 / 0.07, 4);
    });
  });

  it('names what does not fit', () => {
    tf.tidy(() => {
      refuses(
        () => encodeImage(params, config, tf.zeros([2, 3, 8, 8])),
        /\[batch, 8, 8, 3\], found \[2, 3, 8, 8\]/,
      );
      refuses(() => encodeImage(params, config, tf.zeros([2, 8, 8, 3], 'bool')), /found bool/);
      refuses(
        () => encodeText(params, config, tf.zeros([2, 6], 'int32')),
        /\[batch, 1 to 5\], found int32 \[2, 6\]/,
      );
      refuses(() => encodeText(params, config, tf.zeros([2, 5])), /found float32 \[2, 5\]/);
      const { 'visual.proj': _, ...rest } = params;
      refuses(() => encodeImage(rest, config, tf.zeros([2, 8, 8, 3])), /"visual.proj", which is not among/);
    });
  });
});
