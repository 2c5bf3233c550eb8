/** What is said, and written down, of a step whose numbers are NaN or infinite. */
import { join } from 'node:path';
import type { Batch } from '../data/loader.js';
import { NumericError } from '../errors.js';
import { replaceFile } from '../replace-file.js';

/** A step that went wrong. */
export interface FailedStep {
  readonly step: number;
  readonly loss: number;
  readonly gradNorm: number;
  /** Parameters that are not finite after it. */
  readonly params: readonly string[];
  readonly batch: Batch;
  /** The last checkpoint of this start, if there is one. */
  readonly checkpoint: string | undefined;
}

const NUM_NAMED = 5;

/**
 * Writes `nan-step-N.json` into the run's folder, with all that the step was made of.
 *
 * @returns the error to throw, which names the file; if it cannot be written, it says so instead
 */
export async function nonFinite(directory: string, failed: FailedStep): Promise<NumericError> {
  const { step, loss, gradNorm, params, batch, checkpoint } = failed;
  const named =
    params.length === 0
      ? 'no parameter'
      : `${params.slice(0, NUM_NAMED).join(', ')}${params.length > NUM_NAMED ? ` and ${params.length - NUM_NAMED} more` : ''}`;
  const path = join(directory, `nan-step-${step}.json`);
  const written = await replaceFile(path, `${JSON.stringify(recordOf(failed), null, 2)}\n`).then(
    () => `All ${batch.keys.length} samples, with their captions, are in ${path}.`,
    (error: Error) => `${path}, with the samples, cannot be written: ${error.message}.`,
  );
  return new NumericError(
    `Step ${step}: the loss is ${loss} and the gradient norm ${gradNorm}. Not finite after it: ${named}. ` +
      `Batch: ${batch.keys.slice(0, NUM_NAMED).join(', ')}${batch.keys.length > NUM_NAMED ? ', …' : ''} ${written} ` +
      `${checkpoint === undefined ? 'Checkpoints from before this start, if there are any, are' : `The last good checkpoint is ${checkpoint}, which is`} kept. ` +
      'Lower train.lr, lengthen train.warmupSteps, set train.gradClipNorm: 1, or use train.precision: fp32.',
  );
}

/** JSON has no NaN: numbers are texts. */
function recordOf({ step, loss, gradNorm, params, batch }: FailedStep): object {
  const { epoch, indexInEpoch, keys, sources, kinds, captions } = batch;
  return {
    step,
    loss: String(loss),
    gradNorm: String(gradNorm),
    nonFiniteParameters: params,
    epoch,
    indexInEpoch,
    samples: keys.map((key, i) => ({ key, source: sources[i], kind: kinds[i], caption: captions[i] })),
  };
}
