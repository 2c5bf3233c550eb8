export type { EmbeddingCache } from './cached-embeddings.js';
export type { ReadPixels, Tokenize } from './embed.js';
export { embedImages, embedTexts } from './embed.js';
export {
  type GalleryResult,
  RetrievalEvaluator,
  type RetrievalTask,
  runRetrieval,
  runZeroShot,
  ZeroShotEvaluator,
  type ZeroShotTask,
} from './evaluators.js';
export {
  type EvalContext,
  type EvalFile,
  type Pictures,
  retrievalFile,
  writeEvalFile,
  zeroShotFile,
} from './result-files.js';
export {
  evaluateRetrieval,
  type RetrievalDirection,
  type RetrievalInput,
  type RetrievalResult,
} from './retrieval.js';
export {
  classesOf,
  type EvalOutcome,
  type EvalRunOptions,
  evalRetrieval,
  evalZeroShot,
  type ScoreLine,
} from './run.js';
export { type SkipPolicy, Skips } from './skips.js';
export { type EvalRow, EvalSplit, type SplitPolicy } from './split.js';
export { loadTemplates } from './templates.js';
export {
  buildClassEmbeddings,
  type Confusion,
  evaluateZeroShot,
  type ZeroShotInput,
  type ZeroShotResult,
} from './zero-shot.js';
