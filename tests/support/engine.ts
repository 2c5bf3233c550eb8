/** Starts the engine for a test file that imports tf from here. */
import { startEngine } from '../../src/engine/index.js';

await startEngine({ device: 'cpu' });

export { tf } from '../../src/engine/index.js';
