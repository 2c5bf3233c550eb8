export * as tf from '../../src/engine/tf.js';
