import { describe, expect, it } from 'vitest';
import { CheckpointError } from '../../../../src/errors.js';
import type { ClipConfig } from '../../../../src/models/clip/config.js';
import { initClip } from '../../../../src/models/clip/init.js';
import { clipParamsFromWeights, clipWeights } from '../../../../src/models/clip/weights.js';

const config: ClipConfig = {
  embedDim: 4,
  vision: { imageSize: 8, patchSize: 4, width: 6, depth: 1, headWidth: 3, mlpRatio: 4 },
  text: { contextLength: 5, vocabSize: 11, width: 8, depth: 1, numHeads: 2, mlpRatio: 4 },
  quickGelu: false,
};

describe('weights', () => {
  const params = initClip(config, 3);
  const weights = clipWeights(config, params);
  const read = (changed: typeof weights) => () => clipParamsFromWeights(config, changed, 'model.safetensors');

  it('make the round trip', () => {
    expect(read(weights)()).toEqual(params);
    expect(weights['visual.conv1.weight']!.shape).toEqual([6, 3, 4, 4]);
  });

  it('name what is missing and what is not known', () => {
    const { logit_scale: scale, ...rest } = weights;
    const message =
      'model.safetensors is not of this CLIP model: it lacks logit_scale; it has logit_bias, ' +
      'which the model does not know. Use the configuration it was trained with.';
    expect(read({ ...rest, logit_bias: scale! })).toThrow(new CheckpointError(message));
  });

  it('name a tensor of another shape', () => {
    const wrong = { shape: [8, 5], data: new Float32Array(40) };
    expect(read({ ...weights, text_projection: wrong })).toThrow(
      /text_projection has shape \[8, 5\] \(40 values\), expected \[8, 4\]/,
    );
    const short = { shape: [8, 4], data: new Float32Array(31) };
    expect(read({ ...weights, text_projection: short })).toThrow(CheckpointError);
  });

  it('list only the first of many', () => {
    expect(read({})).toThrow(/it lacks (\S+, ){4}\S+ and \d+ more\./);
  });

  it('are not made of incomplete parameters', () => {
    const { logit_scale: _, ...rest } = params;
    expect(() => clipWeights(config, rest)).toThrow(/lacks logit_scale/);
  });
});
