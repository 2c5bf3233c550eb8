import { KeyedRandom } from '../../rng.js';
import { type InitRule, sizeOf } from '../nn/params.js';
import { type ClipConfig, checkClipConfig } from './config.js';
import { clipParamSpecs } from './specs.js';

function draw(rule: InitRule, size: number, random: KeyedRandom): Float32Array {
  const values = new Float32Array(size);
  switch (rule.kind) {
    case 'constant':
      return values.fill(rule.value);
    case 'normal':
      for (let i = 0; i < size; i++) values[i] = rule.std * random.normal();
      return values;
    case 'uniform':
      for (let i = 0; i < size; i++) values[i] = rule.bound * (2 * random.uniform() - 1);
      return values;
  }
}

/**
 * Initial parameters with open_clip's distributions. Each is drawn from a stream keyed by the seed and
 * its own name, so neither the order nor another part of the model changes it.
 *
 * @returns values by name, laid out as {@link clipParamSpecs} says
 * @throws ConfigError if the configuration is not a possible model
 */
export function initClip(config: ClipConfig, seed: number): Record<string, Float32Array> {
  checkClipConfig(config);
  return Object.fromEntries(
    clipParamSpecs(config).map(({ name, shape, init }) => [
      name,
      draw(init, sizeOf(shape), new KeyedRandom('clip-init', seed, name)),
    ]),
  );
}
