/** The engine: the only part of capstan that knows TensorFlow. */

export {
  type CompiledFunction,
  type CompileOptions,
  compile,
  type Fusion,
  type ProgramStats,
  uint8Tensor,
} from './compile.js';
export { describeEngine } from './describe-engine.js';
export { backward } from './gradient.js';
export { chromeTrace, type OpTiming, opLabel, xplaneTrace } from './profile.js';
export { foldIn, type RandomKey, randomKey, randomNormal, randomUniform } from './random.js';
export { remat } from './remat.js';
export { type Device, type EngineInfo, type EngineOptions, engineInfo, startEngine } from './start.js';
export * as tf from './tf.js';
export { createVariable, Variable } from './variables.js';
