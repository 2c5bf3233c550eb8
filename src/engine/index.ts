/** The engine: the only part of capstan that knows TensorFlow. */
export * as tf from './tf.js';
export { compile, type CompiledFunction, type CompileOptions, type Fusion, type ProgramStats, uint8Tensor } from './compile.js';
export { backward } from './gradient.js';
export { type Device, engineInfo, type EngineInfo, type EngineOptions, startEngine } from './start.js';
export { createVariable, Variable } from './variables.js';
