import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../../../src/errors.js';
import { checkClipConfig, clipPreset, clipPresets } from '../../../../src/models/clip/config.js';
import { clipForwardFlops, clipParamSpecs, countClipParams } from '../../../../src/models/clip/specs.js';

describe('clipPresets', () => {
  it.each([
    // Counted in open_clip 3.3.0.
    ['ViT-S-32-alt', 43_224_449],
    ['ViT-M-32-alt', 80_070_273],
    ['ViT-B-32', 151_277_313],
    ['ViT-B-32-quickgelu', 151_277_313],
    ['ViT-B-16-plus-240', 208_377_345],
    ['ViT-L-14-336', 427_944_193],
    ['ViT-H-14', 986_109_441],
    ['ViT-g-14', 1_366_678_273],
    ['ViT-bigG-14', 2_539_567_105],
    ['ViT-e-14', 4_581_086_465],
  ])('%s has %d parameters', (name, count) => {
    expect(countClipParams(clipPreset(name))).toBe(count);
  });

  it.each(Object.entries(clipPresets))('%s is a possible model', (_, config) => {
    expect(() => checkClipConfig(config)).not.toThrow();
  });

  it('counts the operations that open_clip publishes for ViT-B-32, B-16 and L-14', () => {
    // Its profile's figures, in units of 10⁹.
    for (const [name, expected] of [
      ['ViT-B-32', 14.78],
      ['ViT-B-16', 41.09],
      ['ViT-L-14', 175.33],
    ] as const) {
      expect(clipForwardFlops(clipPreset(name)) / 1e9 / expected).toBeCloseTo(1, 1);
    }
  });

  it('names the nearest preset for an unknown one', () => {
    expect(() => clipPreset('vit-b32')).toThrow(ConfigError);
    expect(() => clipPreset('vit-b32')).toThrow(/no CLIP preset "vit-b32"; did you mean 'ViT-B-32'\?/);
    expect(() => clipPreset('toString')).toThrow(ConfigError);
  });
});

describe('checkClipConfig', () => {
  const tiny = clipPreset('emoji-tiny');
  it.each([
    [{ ...tiny, embedDim: 0 }, /embedDim must be a whole number from 1, found 0/],
    [
      { ...tiny, vision: { ...tiny.vision, patchSize: 7 } },
      /imageSize must be a multiple of vision.patchSize/,
    ],
    [
      { ...tiny, vision: { ...tiny.vision, headWidth: 50 } },
      /vision.width must be a multiple of vision.headWidth/,
    ],
    [
      { ...tiny, text: { ...tiny.text, numHeads: 3 } },
      /text.width must be a multiple of text.numHeads, found 64 and 3/,
    ],
    [{ ...tiny, text: { ...tiny.text, mlpRatio: Number.NaN } }, /text.mlpRatio must be over 0/],
  ])('refuses what cannot be built: %#', (config, message) => {
    expect(() => checkClipConfig(config)).toThrow(ConfigError);
    expect(() => checkClipConfig(config)).toThrow(message);
  });
});

describe('clipParamSpecs', () => {
  it('is the contract of a checkpoint: names and shapes of a small model', () => {
    const specs = clipParamSpecs({
      embedDim: 4,
      vision: { imageSize: 8, patchSize: 4, width: 6, depth: 1, headWidth: 3, mlpRatio: 2.5 },
      text: { contextLength: 5, vocabSize: 11, width: 8, depth: 1, numHeads: 2, mlpRatio: 4 },
      quickGelu: false,
    });
    const block = (prefix: string, w: number, hidden: number): [string, number[]][] => [
      [`${prefix}.ln_1.weight`, [w]],
      [`${prefix}.ln_1.bias`, [w]],
      [`${prefix}.attn.in_proj_weight`, [3 * w, w]],
      [`${prefix}.attn.in_proj_bias`, [3 * w]],
      [`${prefix}.attn.out_proj.weight`, [w, w]],
      [`${prefix}.attn.out_proj.bias`, [w]],
      [`${prefix}.ln_2.weight`, [w]],
      [`${prefix}.ln_2.bias`, [w]],
      [`${prefix}.mlp.c_fc.weight`, [hidden, w]],
      [`${prefix}.mlp.c_fc.bias`, [hidden]],
      [`${prefix}.mlp.c_proj.weight`, [w, hidden]],
      [`${prefix}.mlp.c_proj.bias`, [w]],
    ];
    expect(specs.map(({ name, shape }) => [name, shape])).toEqual([
      ['visual.class_embedding', [6]],
      ['visual.positional_embedding', [5, 6]],
      ['visual.proj', [6, 4]],
      ['visual.conv1.weight', [6, 3, 4, 4]],
      ['visual.ln_pre.weight', [6]],
      ['visual.ln_pre.bias', [6]],
      ...block('visual.transformer.resblocks.0', 6, 15),
      ['visual.ln_post.weight', [6]],
      ['visual.ln_post.bias', [6]],
      ['positional_embedding', [5, 8]],
      ['text_projection', [8, 4]],
      ...block('transformer.resblocks.0', 8, 32),
      ['token_embedding.weight', [11, 8]],
      ['ln_final.weight', [8]],
      ['ln_final.bias', [8]],
      ['logit_scale', []],
    ]);
  });
});
