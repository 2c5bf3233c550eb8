/**
 * Zero-shot classification: a class is the mean over templates of its L2-normalised text embeddings,
 * normalised again, and an image goes to the class with the largest logit 100 x·w (Radford et al.
 * 2021, section 3.1.4; open_clip's build_zero_shot_classifier). Of equal logits the lower class index
 * ranks first.
 *
 * Legend: B images, C classes, P templates, D embedDim.
 */
import { ConfigError, DataError, NumericError } from '../errors.js';
import { asRows, type Ranking, topK } from './similarity.js';
import { type Interval, recallChance, wilsonInterval } from './statistics.js';
import { formatTemplate } from './templates.js';

/** open_clip's scale of zero-shot logits. It does not change the order of classes. */
export const LOGIT_SCALE = 100;

/** Embeds texts, in order, as L2-normalised rows [texts.length, D]. */
export type EmbedTexts = (texts: readonly string[]) => Promise<Float32Array>;

/**
 * One embedding per class, [C, D] row by row, L2-normalised.
 *
 * @throws ConfigError without classes or templates, or if a template has no placeholder.
 * @throws NumericError if a class's embeddings cancel out.
 */
export async function buildClassEmbeddings(
  classNames: readonly string[],
  templates: readonly string[],
  embedDim: number,
  embedTexts: EmbedTexts,
): Promise<Float32Array> {
  if (classNames.length === 0)
    throw new ConfigError('Zero-shot classification needs at least one class name.');
  if (templates.length === 0)
    throw new ConfigError('Zero-shot classification needs at least one prompt template.');
  const prompts = classNames.flatMap((name) => templates.map((template) => formatTemplate(template, name)));
  const embedded = asRows(await embedTexts(prompts), prompts.length, embedDim, 'Prompt embeddings');
  const classes = new Float32Array(classNames.length * embedDim);
  classNames.forEach((name, c) => {
    const sum = new Float64Array(embedDim);
    for (let row = c * templates.length; row < (c + 1) * templates.length; row++) {
      for (let d = 0; d < embedDim; d++) {
        sum[d] = (sum[d] as number) + (embedded.values[row * embedDim + d] as number);
      }
    }
    // The mean and the sum have the same direction.
    const norm = Math.hypot(...sum);
    if (!(norm > 0))
      throw new NumericError(`The prompt embeddings of class '${name}' sum to zero; it has no direction.`);
    for (let d = 0; d < embedDim; d++) classes[c * embedDim + d] = (sum[d] as number) / norm;
  });
  return classes;
}

/** Embeddings of labelled images and of the classes. */
export interface ZeroShotInput {
  /** [B, D], L2-normalised. */
  readonly imageEmbeddings: Float32Array;
  /** [C, D], L2-normalised. */
  readonly classEmbeddings: Float32Array;
  readonly embedDim: number;
  /** [B], the true class of each image, as an index below C. */
  readonly labels: ArrayLike<number>;
  readonly classNames: readonly string[];
}

/** How often one class was taken for another. */
export interface Confusion {
  readonly actual: string;
  readonly predicted: string;
  readonly count: number;
  /** count over the number of images of the actual class. */
  readonly share: number;
}

/** Accuracy over all images. */
export interface ZeroShotResult {
  readonly numImages: number;
  readonly numClasses: number;
  readonly top1: number;
  /** Wilson's 95 % interval of top-1. */
  readonly top1Interval: Interval;
  readonly top5: number;
  /** Top-1 averaged over the classes that have images: every class counts the same. */
  readonly meanPerClassRecall: number;
  readonly chanceTop1: number;
  readonly chanceTop5: number;
  /** The most frequent confusions, most frequent first, then in class order. */
  readonly confusions: Confusion[];
  /** Per image, its five best classes and their logits. */
  readonly predictions: Ranking[];
}

/**
 * Classifies every image and compares with its label.
 *
 * @throws DataError without images, or if a label is no class index.
 * @throws ShapeError or NumericError if the embeddings are not B x D and C x D finite numbers.
 */
export function evaluateZeroShot(input: ZeroShotInput, maxConfusions = 20): ZeroShotResult {
  const { embedDim, labels, classNames } = input;
  const numClasses = classNames.length;
  if (labels.length === 0)
    throw new DataError('Zero-shot classification needs at least one image; the split is empty.');
  const images = asRows(input.imageEmbeddings, labels.length, embedDim, 'Image embeddings');
  const classes = asRows(input.classEmbeddings, numClasses, embedDim, 'Class embeddings');

  const predictions = topK(images, classes, 5).map(({ indices, scores }) => ({
    indices,
    scores: scores.map((score) => LOGIT_SCALE * score),
  }));
  const imagesOf = new Int32Array(numClasses);
  const hitsOf = new Int32Array(numClasses);
  const confused = new Map<number, number>();
  let hits5 = 0;
  predictions.forEach(({ indices }, image) => {
    const label = labels[image] as number;
    if (!(Number.isInteger(label) && label >= 0 && label < numClasses)) {
      throw new DataError(
        `Image ${image} has label ${label}, which is no index of the ${numClasses} classes.`,
      );
    }
    const predicted = indices[0] as number;
    imagesOf[label] = (imagesOf[label] as number) + 1;
    if (indices.includes(label)) hits5++;
    if (predicted === label) hitsOf[label] = (hitsOf[label] as number) + 1;
    else {
      const pair = label * numClasses + predicted;
      confused.set(pair, (confused.get(pair) ?? 0) + 1);
    }
  });

  const hits = hitsOf.reduce((sum, count) => sum + count, 0);
  let recallSum = 0;
  let numPresent = 0;
  imagesOf.forEach((count, c) => {
    if (count === 0) return;
    recallSum += (hitsOf[c] as number) / count;
    numPresent++;
  });
  return {
    numImages: labels.length,
    numClasses,
    top1: hits / labels.length,
    top1Interval: wilsonInterval(hits, labels.length),
    top5: hits5 / labels.length,
    meanPerClassRecall: recallSum / numPresent,
    chanceTop1: recallChance(numClasses, 1, 1),
    chanceTop5: recallChance(numClasses, 1, 5),
    confusions: [...confused]
      .sort(([pairA, countA], [pairB, countB]) => countB - countA || pairA - pairB)
      .slice(0, maxConfusions)
      .map(([pair, count]) => {
        const actual = Math.floor(pair / numClasses);
        return {
          actual: classNames[actual] as string,
          predicted: classNames[pair % numClasses] as string,
          count,
          share: count / (imagesOf[actual] as number),
        };
      }),
    predictions,
  };
}
