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
export type { Resolve } from './data/download/addresses.js';
export type { DedupeKind, DownloadFormat, Encoding, ResizeMode } from './data/download/choices.js';
export { downloadImages } from './data/download/download-images.js';
export type {
  DownloadImagesOptions,
  FetchOptions,
  ResultOptions,
} from './data/download/options.js';
export type { DownloadProgress } from './data/download/progress.js';
export type { DownloadReport } from './data/download/report.js';
export {
  type CachedFeatures,
  type CacheFeaturesOptions,
  type CacheProgress,
  cacheFeatures,
} from './data/features/cache-features.js';
export type { FeatureDtype } from './data/features/half.js';
export type { ImageInput, TextInput } from './data/features/inputs.js';
export {
  type LabelledFeatures,
  type ReadFeaturesOptions,
  readFeatures,
} from './data/features/read-features.js';
export type { MissingFeature } from './data/features/shard.js';
export type { FeatureSpec, MadeOf } from './data/features/spec.js';
export {
  type FeatureBatch,
  type FeatureRow,
  type FeatureStore,
  openFeatures,
} from './data/features/store.js';
export {
  type FeatureInput,
  type WriteFeaturesOptions,
  writeFeatures,
} from './data/features/write-features.js';
export { evalTransform, trainTransform } from './data/image/transforms.js';
export type { EntityExtractor } from './data/inspect/extractors.js';
export { type InspectOptions, inspectData } from './data/inspect/inspect.js';
export type { DataReport } from './data/inspect/report.js';
export {
  type Batch,
  createLoader,
  type FeatureLoaderOptions,
  type FeatureOptions,
  type Loader,
  type LoaderHooks,
  type LoaderOptions,
  type LoaderSource,
  type LoaderState,
  type MixStats,
  type MixSummary,
  type OrderOptions,
  type PlannedBatch,
  planBatches,
  type SavedLoaderState,
  type SavedMix,
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
export type { Source, SourceContent } from './data/sources/source.js';
export type { ListedFile } from './data/storage/list.js';
export type { S3Options, StorageOptions } from './data/storage/options.js';
export { Storage, type StorageStats } from './data/storage/storage.js';
export type { StoredFile } from './data/storage/stored-file.js';
export { ClipTokenizer } from './data/text/clip-tokenizer.js';
export { JsonTokenizer } from './data/text/json-tokenizer.js';
export type { TextFrame, TokenBatch, Tokenizer } from './data/text/token-batch.js';
export type { TokenizerOptions } from './data/text/tokenizer.js';
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
export { resolveClipConfig, resolveModel } from './train/tasks/clip-config.js';
