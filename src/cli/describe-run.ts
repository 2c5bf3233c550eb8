/** What `--dry-run` prints. */
import { formatBytes } from '../assets/index.js';
import { dataSources, type TrainConfig } from '../config/schema.js';
import { CaptionPlan } from '../data/caption-plan.js';
import { checkCacheBytes } from '../data/decoded-cache.js';
import type { CaptionMix } from '../data/mixing.js';
import { captionKinds } from '../data/schema.js';
import type { Source } from '../data/sources/source.js';
import type { Storage } from '../data/storage/storage.js';
import { type EvalPlan, planEvaluations } from '../eval/in-loop.js';
import { clipForwardFlops, clipParamSpecs, countClipParams } from '../models/clip/index.js';
import { totalSteps } from '../train/run.js';
import { resolveModel } from '../train/tasks/clip-config.js';
import { openTrainingData, orderOptions, type TrainingData } from '../train/training-data.js';
import { count } from './numbers.js';

/** Floating-point operations in decimal units, with three digits. */
function flops(value: number): string {
  const units = ['', 'k', 'M', 'G', 'T', 'P', 'E'];
  const step = value > 0 ? Math.min(units.length - 1, Math.floor(Math.log10(value) / 3)) : 0;
  return `${Number((value / 1000 ** step).toPrecision(3))} ${units[step]}FLOP`;
}

/** Checks the captions against the data, and describes them. @throws ConfigError */
function describeCaptions(config: TrainConfig, data: TrainingData): string {
  const { concat, mixSchedule, mixing } = config.data;
  const options = orderOptions(config, data);
  const sources = data.sources.map(({ path, columns }, i) => ({
    path,
    columns,
    captions: options.sources?.[i]?.captions,
  }));
  new CaptionPlan(options, sources, config.train.seed);
  if (concat !== undefined) return `${concat.order.join(' + ')} as one text`;
  const shares = (mix: CaptionMix): string =>
    captionKinds
      .flatMap((kind) => (mix[kind] === undefined ? [] : [`${kind} ${(100 * mix[kind]).toFixed(1)}%`]))
      .join(', ');
  const later = mixSchedule?.points.map(
    ({ step, captions }) => `; at step ${count(step)} ${shares(captions)}`,
  );
  return `${shares(config.data.captions)}${later?.join('') ?? ''}${mixing === 'sample' ? '' : `, by ${mixing}`}`;
}

function describeEvaluations({ split, zeroShot, retrieval }: EvalPlan): string {
  return [
    `${count(split.keys.length)} images`,
    ...zeroShot.map(({ name, classNames }) => `zero-shot by ${name} (${count(classNames.length)} classes)`),
    ...(retrieval ? [`retrieval (${count(retrieval.captions.flat().length)} captions)`] : []),
  ].join(', ');
}

/**
 * Checks a configuration against its model and data, those of its evaluations included, and describes the run.
 * Nothing is computed or written.
 *
 * @param inform told of broken rows of the split to evaluate on
 * @param storage reads the data; by default one as configured
 * @throws ConfigError, DataError
 */
export async function describeRun(
  config: TrainConfig,
  inform: (message: string) => void = () => {},
  storage?: Storage,
): Promise<string> {
  const model = await resolveModel(config.model);
  const data = await openTrainingData(config, storage);
  try {
    const captions = describeCaptions(config, data);
    const { batchSize } = config.train;
    const cacheBytes = config.data.cacheMiB * 2 ** 20;
    checkCacheBytes(cacheBytes);
    const evaluations = await planEvaluations(config, inform, storage);
    const steps = totalSteps(config, data.numRows);
    const params = countClipParams(model);
    const { vision, text } = model;
    const tokens = (vision.imageSize / vision.patchSize) ** 2 + 1;
    // Backward costs twice the forward pass.
    const flopsPerSample = 3 * clipForwardFlops(model);
    const tower = (depth: number, length: number, width: number, heads: number): number => {
      // Kept for the backward pass in float32: norms' inputs, qkv, attention weights, hidden layer.
      const block = 4 * (length * width * 14 + heads * length * length * 2);
      return config.train.remat ? depth * 4 * length * width + block : depth * block;
    };
    const activations =
      batchSize *
      (tower(vision.depth, tokens, vision.width, vision.width / vision.headWidth) +
        tower(text.depth, text.contextLength, text.width, text.numHeads));
    const rows: [string, string][] = [
      [
        'model',
        `${config.model.preset}: ${count(params)} parameters in ${clipParamSpecs(model).length} tensors`,
      ],
      [
        'image tower',
        `[${batchSize}, ${vision.imageSize}, ${vision.imageSize}, 3] → ${tokens} tokens × ${vision.width}, depth ${vision.depth} → [${batchSize}, ${model.embedDim}]`,
      ],
      [
        'text tower',
        `[${batchSize}, ${text.contextLength}] → ${text.contextLength} tokens × ${text.width}, depth ${text.depth} → [${batchSize}, ${model.embedDim}]`,
      ],
      [
        'memory',
        `${formatBytes(params * 16)} parameters, gradients and moments; about ${formatBytes(activations)} activations` +
          (cacheBytes > 0 ? `; up to ${formatBytes(cacheBytes)} decoded images` : ''),
      ],
      [
        'compute',
        `${flops(flopsPerSample)} a sample, ${flops(flopsPerSample * batchSize)} a step, ${flops(flopsPerSample * batchSize * steps)} in all`,
      ],
      ...dataSources(config.data).map(({ path, split, weight }, i): [string, string] => [
        'data',
        `${path}, split ${split}${schemaNote(data.sources[i] as Source)}: ${count((data.sources[i] as Source).numRows)} samples` +
          (weight === undefined ? '' : `, weight ${weight}`),
      ]),
      ['captions', captions],
      [
        'run',
        `${count(steps)} steps of ${batchSize} = ${count(steps * batchSize)} samples, ${((steps * batchSize) / data.numRows).toFixed(2)} epochs, ${config.train.precision}`,
      ],
      ...(evaluations
        ? [[`eval on ${config.eval.split}`, describeEvaluations(evaluations)] satisfies [string, string]]
        : []),
      ['folder', `${config.run.dir}/${config.run.name}`],
    ];
    const width = Math.max(...rows.map(([name]) => name.length));
    return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
  } finally {
    await data.close();
  }
}

/** As which schema's columns the data is read, if it is not capstan's own. */
const schemaNote = ({ schema }: Source): string => (schema === undefined ? '' : `, schema ${schema}`);
