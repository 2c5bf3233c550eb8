import { CheckpointError } from '../../errors.js';
import { sizeOf } from '../nn/params.js';
import type { ClipConfig } from './config.js';
import { clipParamSpecs } from './specs.js';

/** A tensor of a weight file. */
export interface WeightTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

const list = (names: string[]): string =>
  names.slice(0, 5).join(', ') + (names.length > 5 ? ` and ${names.length - 5} more` : '');

/**
 * Checks that weights are those of this model, all of them and nothing else. Names and layouts are
 * open_clip's own, so a file of open_clip's state dict passes unchanged.
 *
 * @param source what the weights come from, for the message
 * @throws CheckpointError naming the tensors that are missing, unknown, or of another shape
 */
export function clipParamsFromWeights(
  config: ClipConfig,
  weights: Readonly<Record<string, WeightTensor>>,
  source: string,
): Record<string, Float32Array> {
  const specs = clipParamSpecs(config);
  const known = new Set(specs.map(({ name }) => name));
  const missing = specs.filter(({ name }) => !Object.hasOwn(weights, name)).map(({ name }) => name);
  const unknown = Object.keys(weights).filter((name) => !known.has(name));
  if (missing.length > 0 || unknown.length > 0) {
    const problems = [
      ...(missing.length > 0 ? [`it lacks ${list(missing)}`] : []),
      ...(unknown.length > 0 ? [`it has ${list(unknown)}, which the model does not know`] : []),
    ];
    throw new CheckpointError(
      `${source} is not of this CLIP model: ${problems.join('; ')}. Use the configuration it was trained with.`,
    );
  }
  return Object.fromEntries(
    specs.map(({ name, shape }) => {
      const found = weights[name]!;
      if (found.shape.join() !== shape.join() || found.data.length !== sizeOf(shape)) {
        throw new CheckpointError(
          `${source} is not of this CLIP model: ${name} has shape [${found.shape.join(', ')}] ` +
            `(${found.data.length} values), expected [${shape.join(', ')}]. ` +
            'Use the configuration it was trained with.',
        );
      }
      return [name, found.data];
    }),
  );
}

/** The inverse: parameters as a weight file's tensors. @throws CheckpointError if one is missing or has another size */
export function clipWeights(
  config: ClipConfig,
  params: Readonly<Record<string, Float32Array>>,
): Record<string, WeightTensor> {
  const weights = Object.fromEntries(
    clipParamSpecs(config)
      .filter(({ name }) => Object.hasOwn(params, name))
      .map(({ name, shape }) => [name, { shape, data: params[name]! }]),
  );
  clipParamsFromWeights(config, weights, 'The parameter record');
  return weights;
}
