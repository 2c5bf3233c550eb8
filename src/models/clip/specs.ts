import { type BlockInit, blockSpecs, normSpecs, paramSpec } from '../nn/block.js';
import { type InitRule, type ParamSpec, sizeOf } from '../nn/params.js';
import type { ClipConfig, ClipTextConfig, ClipVisionConfig } from './config.js';

/** What the learned temperature starts from: logits are the cosine similarities over 0.07. */
const INITIAL_TEMPERATURE = 0.07;

const normal = (std: number): InitRule => ({ kind: 'normal', std });
/** PyTorch's default for linear and convolution weights: Kaiming uniform with slope √5. */
const kaiming = (fanIn: number): InitRule => ({ kind: 'uniform', bound: fanIn ** -0.5 });

function mlpWidth({ width, mlpRatio }: ClipVisionConfig | ClipTextConfig): number {
  return Math.trunc(width * mlpRatio);
}

function visionSpecs(vision: ClipVisionConfig, embedDim: number): ParamSpec[] {
  const { width, patchSize } = vision;
  const hidden = mlpWidth(vision);
  const numTokens = (vision.imageSize / patchSize) ** 2 + 1;
  const scaled = normal(width ** -0.5);
  const blocks: BlockInit = {
    inProj: { kind: 'uniform', bound: Math.sqrt(6 / (width + 3 * width)) }, // Xavier
    outProj: kaiming(width),
    fc: kaiming(width),
    fcProj: kaiming(hidden),
  };
  return [
    paramSpec('visual.class_embedding', [width], scaled),
    paramSpec('visual.positional_embedding', [numTokens, width], scaled),
    paramSpec('visual.proj', [width, embedDim], scaled),
    paramSpec('visual.conv1.weight', [width, 3, patchSize, patchSize], kaiming(3 * patchSize ** 2)),
    ...normSpecs('visual.ln_pre', width),
    ...Array.from({ length: vision.depth }, (_, i) =>
      blockSpecs(`visual.transformer.resblocks.${i}`, width, hidden, blocks),
    ).flat(),
    ...normSpecs('visual.ln_post', width),
  ];
}

function textSpecs(text: ClipTextConfig, embedDim: number): ParamSpec[] {
  const { width, depth } = text;
  const residual = normal(width ** -0.5 * (2 * depth) ** -0.5);
  const blocks: BlockInit = {
    inProj: normal(width ** -0.5),
    outProj: residual,
    fc: normal((2 * width) ** -0.5),
    fcProj: residual,
  };
  return [
    paramSpec('positional_embedding', [text.contextLength, width], normal(0.01)),
    paramSpec('text_projection', [width, embedDim], normal(width ** -0.5)),
    ...Array.from({ length: depth }, (_, i) =>
      blockSpecs(`transformer.resblocks.${i}`, width, mlpWidth(text), blocks),
    ).flat(),
    paramSpec('token_embedding.weight', [text.vocabSize, width], normal(0.02)),
    ...normSpecs('ln_final', width),
  ];
}

/**
 * Every parameter of a CLIP: name and shape as in open_clip's state dict, decay and initial
 * distribution as in its training script and `init_parameters`. This is the checkpoint's contract.
 */
export function clipParamSpecs(config: ClipConfig): ParamSpec[] {
  return [
    ...visionSpecs(config.vision, config.embedDim),
    ...textSpecs(config.text, config.embedDim),
    paramSpec('logit_scale', [], { kind: 'constant', value: Math.log(1 / INITIAL_TEMPERATURE) }),
  ];
}

/** How many numbers the parameters hold. */
export function countClipParams(config: ClipConfig): number {
  return clipParamSpecs(config).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}

/**
 * Floating-point operations of one image and one full-length caption through the towers as they are
 * usually counted: two per multiply-add of the matrix products, every token through every block. A
 * training step is counted as three times this. The actual work is a little less, because the last
 * block is computed for the pooled token only.
 */
export function clipForwardFlops(config: ClipConfig): number {
  const { vision, text, embedDim } = config;
  const tower = (
    tokens: number,
    { width, depth }: { width: number; depth: number },
    hidden: number,
  ): number =>
    depth * (tokens * (4 * width ** 2 + 2 * width * hidden) + 2 * tokens ** 2 * width) + width * embedDim;
  const patches = (vision.imageSize / vision.patchSize) ** 2;
  const multiplyAdds =
    patches * 3 * vision.patchSize ** 2 * vision.width +
    tower(patches + 1, vision, mlpWidth(vision)) +
    tower(text.contextLength, text, mlpWidth(text));
  return 2 * multiplyAdds;
}
