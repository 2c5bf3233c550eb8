/** The engine: the only part of capstan that knows TensorFlow. */
export * as tf from './tf.js';
export { compile, type CompiledFunction, type CompileOptions, type Fusion, type ProgramStats, uint8Tensor } from './compile.js';
export { backward } from './gradient.js';
export { type Device, engineInfo, type EngineInfo, type EngineOptions, startEngine } from './start.js';
export { createVariable, Variable } from './variables.js';
export { foldIn, randomKey, type RandomKey, randomNormal, randomUniform } from './random.js';
export { remat } from './remat.js';
export { chromeTrace, type OpTiming } from './profile.js';
