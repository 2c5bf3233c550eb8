/** CLIP: configuration, parameters, forward pass, embeddings. */
export {
  type ClipConfig,
  type ClipTextConfig,
  type ClipVisionConfig,
  checkClipConfig,
  clipPreset,
  clipPresets,
  type EncoderOptions,
} from './config.js';
export { type ClipEmbedder, type ClipEmbedderOptions, createClipEmbedder } from './embedder.js';
export { CLIP_MEAN, CLIP_STD, encodeImage } from './image-encoder.js';
export { initClip } from './init.js';
export { type ClipOutput, clipForward } from './model.js';
export { clipForwardFlops, clipParamSpecs, countClipParams } from './specs.js';
export { encodeText } from './text-encoder.js';
export { clipParamsFromWeights, clipWeights, type WeightTensor } from './weights.js';
