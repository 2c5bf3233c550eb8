/** tfjs's functional API. Everything else in capstan takes it from the engine, never from the package. */
export * from '@tensorflow/tfjs';
