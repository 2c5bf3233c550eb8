/**
 * capstan: pre-train vision-language models on mixed image captions, and measure what the captions do to them.
 *
 * @module capstan
 */

// Configuration
export { dumpConfig, loadConfig } from './config/load.js';
export { type TrainConfig, trainConfigSchema } from './config/schema.js';
// Data
export type { CaptionOptions, ConcatOptions, Mixing } from './data/caption-plan.js';
export {
  type ConvertOptions,
  type ConvertProgress,
  type ConvertResult,
  convertDataset,
} from './data/convert/convert.js';
export { type TargetFormat, targetFormats } from './data/convert/formats.js';
export type { SkippedRow } from './data/convert/journal.js';
export { type BuildEmojiOptions, buildEmoji } from './data/datasets/emoji/build.js';
export { type Classes, emojiClasses } from './data/datasets/emoji-classes.js';
export { type OpenOptions, openSource } from './data/datasets/open.js';
export { type BuildOpenclipartOptions, buildOpenclipart } from './data/datasets/openclipart/build.js';
export { type BuildScenesOptions, buildScenes } from './data/datasets/scenes/build.js';
export { evalTransform, trainTransform } from './data/image/transforms.js';
export {
  type Batch,
  createLoader,
  type Loader,
  type LoaderOptions,
  type LoaderSource,
  type LoaderState,
  type MixStats,
  type MixSummary,
  type OrderOptions,
  type PlannedBatch,
  planBatches,
  type SavedLoaderState,
  type Skip,
} from './data/loader.js';
export {
  benchLoader,
  type LoaderBench,
  type LoaderBenchOptions,
  type LoaderBound,
  type StageTimes,
} from './data/loader-bench.js';
export {
  type KindPreview,
  type MixPreview,
  type MixPreviewOptions,
  previewMix,
  type SourcePreview,
} from './data/mix-preview.js';
export type { MixPoint, MixScheduleOptions } from './data/mix-schedule.js';
export type { Diversity, TokenLengths } from './data/mix-stats.js';
export type { CaptionLabel, CaptionMix, MissingCaption } from './data/mixing.js';
export {
  type Exchange,
  type FailedSlot,
  localRanks,
  type Ranks,
  type SlotReport,
} from './data/order/exchange.js';
export {
  type CaptionKind,
  captionKinds,
  FAULT,
  type Row,
  rowFault,
  type ShardFormat,
  shardFormats,
  type Value,
} from './data/schema.js';
export type { SchemaOptions } from './data/schemas/apply.js';
export type { ColumnMap, Target } from './data/schemas/column-map.js';
export { type ParquetCompression, parquetCompressions } from './data/sources/parquet-encoder.js';
export type { Source } from './data/sources/source.js';
export type { ListedFile } from './data/storage/list.js';
export type { S3Options, StorageOptions } from './data/storage/options.js';
export { Storage, type StorageStats } from './data/storage/storage.js';
export type { StoredFile } from './data/storage/stored-file.js';
export { ClipTokenizer, type TokenBatch } from './data/text/clip-tokenizer.js';
// Engine
export {
  type CompiledFunction,
  type CompileOptions,
  chromeTrace,
  compile,
  createVariable,
  type Device,
  type EngineInfo,
  type EngineOptions,
  engineInfo,
  type Fusion,
  foldIn,
  type OpTiming,
  type ProgramStats,
  type RandomKey,
  randomKey,
  randomNormal,
  randomUniform,
  remat,
  startEngine,
  tf,
  uint8Tensor,
  Variable,
  xplaneTrace,
} from './engine/index.js';
// Errors
export {
  AssetError,
  CapstanError,
  CheckpointError,
  ConfigError,
  DataError,
  EngineError,
  NumericError,
  ShapeError,
} from './errors.js';
// Evaluation
export { inLoopEvaluators } from './eval/in-loop.js';
export {
  buildClassEmbeddings,
  type Confusion,
  embedImages,
  embedTexts,
  evaluateRetrieval,
  evaluateZeroShot,
  loadTemplates,
  type ReadPixels,
  type RetrievalDirection,
  type RetrievalInput,
  type RetrievalResult,
  type Tokenize,
  type ZeroShotInput,
  type ZeroShotResult,
} from './eval/index.js';
// CLIP
export {
  type ClipConfig,
  type ClipEmbedder,
  type ClipEmbedderOptions,
  type ClipOutput,
  type ClipTextConfig,
  type ClipVisionConfig,
  checkClipConfig,
  clipForward,
  clipForwardFlops,
  clipParamSpecs,
  clipParamsFromWeights,
  clipPreset,
  clipPresets,
  clipWeights,
  countClipParams,
  createClipEmbedder,
  type EncoderOptions,
  encodeImage,
  encodeText,
  initClip,
  type WeightTensor,
} from './models/clip/index.js';
export type { EmbeddingModel } from './models/embedding-model.js';
export type { Params } from './models/nn/params.js';
export { KeyedRandom, type KeyPart } from './rng.js';
export { type HostTensor, readSafetensors, type SafetensorsFile } from './safetensors.js';
// Training
export type { RunState } from './train/checkpoint.js';
export type { Evaluator } from './train/evaluator.js';
export { type LoadClipOptions, type LoadedClip, loadClip } from './train/load-clip.js';
export type { ProgressStream } from './train/logging/progress.js';
export type { LoopResult } from './train/loop.js';
export { clipLoss } from './train/losses/clip-loss.js';
export {
  type AdamwInput,
  type AdamwOptions,
  type AdamwOutput,
  adamwStep,
  OPEN_CLIP_ADAMW,
} from './train/optim/adamw.js';
export { type LearningRateSchedule, learningRate } from './train/optim/schedule.js';
export { type OpShare, profileTraining, type StepProfile } from './train/profile.js';
export { type TrainOptions, type TrainResult, train } from './train/run.js';
export { resolveClipConfig } from './train/tasks/clip-config.js';
