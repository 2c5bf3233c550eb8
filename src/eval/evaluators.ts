/**
 * Evaluations of a whole split: what `capstan eval` runs on a checkpoint and what training runs on the
 * model as it is. They hold the split; each call embeds it anew with the model it is given.
 */
import { DataError } from '../errors.js';
import type { EmbeddingModel } from '../models/embedding-model.js';
import { embedImages, embedTexts, type ReadPixels, type Tokenize } from './embed.js';
import { evaluateRetrieval, RECALL_KS, type RetrievalDirection, type RetrievalResult } from './retrieval.js';
import { takeRows } from './similarity.js';
import { mean } from './statistics.js';
import { buildClassEmbeddings, evaluateZeroShot, type ZeroShotResult } from './zero-shot.js';

/** A split of images, ready to embed. */
export interface EvalImages {
  /** Names of the images, in order. */
  readonly keys: readonly string[];
  readonly readPixels: ReadPixels;
  /** Whether an image's pixels, which were asked for, could not be read. Left out: none is broken. */
  readonly isBroken?: (image: number) => boolean;
  /** The split's broken rows, those that are not among the images included. */
  readonly skips?: { readonly count: number };
  /** Embeds all images in another way than from their pixels: from what is kept of them. */
  readonly embed?: (model: EmbeddingModel) => Promise<Float32Array>;
}

/** Embeddings of the images that could be read, and which these are. */
async function embedReadable(
  model: EmbeddingModel,
  { keys, readPixels, isBroken, embed }: EvalImages,
): Promise<{ embeddings: Float32Array; readable: number[] }> {
  const all = await (embed?.(model) ?? embedImages(model, keys.length, readPixels));
  const readable = [...keys.keys()].filter((image) => !isBroken?.(image));
  const rows = { values: all, count: keys.length, dim: model.embedDim };
  return { embeddings: readable.length === keys.length ? all : takeRows(rows, readable).values, readable };
}

/** A split for zero-shot classification. */
export interface ZeroShotTask extends EvalImages {
  /** Per image, the name of its class. */
  readonly labels: readonly string[];
  /** All classes that an image can be taken for. */
  readonly classNames: readonly string[];
  readonly templates: readonly string[];
  readonly tokenize: Tokenize;
}

/** A split for retrieval. */
export interface RetrievalTask extends EvalImages {
  /** Per image, its captions, one or more. */
  readonly captions: readonly (readonly string[])[];
  /** Per image, the gallery it is in; each gallery is searched by itself. One gallery if left out. */
  readonly galleries?: readonly string[];
  readonly tokenize: Tokenize;
}

/** Embeddings that a result was computed from, for showing examples. */
export interface Embeddings {
  readonly images: Float32Array;
  readonly texts: Float32Array;
}

/** The result of a split, over the images that could be read. */
export interface SplitZeroShotResult extends ZeroShotResult {
  /** Per image of the result, its index in the task. */
  readonly imageIndices: readonly number[];
}

/** Classifies a split. @throws DataError if an image's class is not among the classes. */
export async function runZeroShot(model: EmbeddingModel, task: ZeroShotTask): Promise<SplitZeroShotResult> {
  const indexOf = new Map(task.classNames.map((name, index) => [name, index]));
  const labels = task.labels.map((label, image) => {
    const index = indexOf.get(label);
    if (index !== undefined) return index;
    throw new DataError(
      `Image ${task.keys[image]}: its class '${label}' is not one of the ${indexOf.size} classes.`,
    );
  });
  const classEmbeddings = await buildClassEmbeddings(
    task.classNames,
    task.templates,
    model.embedDim,
    (texts) => embedTexts(model, texts, task.tokenize),
  );
  const { embeddings, readable } = await embedReadable(model, task);
  const result = evaluateZeroShot({
    imageEmbeddings: embeddings,
    classEmbeddings,
    embedDim: model.embedDim,
    labels: readable.map((image) => labels[image] as number),
    classNames: task.classNames,
  });
  return { ...result, imageIndices: readable };
}

/** One gallery's result, with what is needed to name its images and captions. */
export interface GalleryResult {
  readonly name: string;
  /** Per image of the gallery, its index in the task. */
  readonly imageIndices: readonly number[];
  /** Per caption of the gallery, its text. */
  readonly texts: readonly string[];
  /** Per caption of the gallery, its image as an index into the gallery. */
  readonly textImageIndex: readonly number[];
  readonly embeddings: Embeddings;
  readonly result: RetrievalResult;
}

/** Searches every gallery of a split in both directions. */
export async function runRetrieval(model: EmbeddingModel, task: RetrievalTask): Promise<GalleryResult[]> {
  const { embedDim } = model;
  const { embeddings: imageEmbeddings, readable } = await embedReadable(model, task);
  const allTexts = task.captions.flat();
  const textEmbeddings = await embedTexts(model, allTexts, task.tokenize);
  const firstText: number[] = [];
  task.captions.reduce((at, own, image) => {
    firstText[image] = at;
    return at + own.length;
  }, 0);

  const members = new Map<string, number[]>();
  readable.forEach((image, row) => {
    const name = task.galleries?.[image] ?? 'all';
    const gallery = members.get(name);
    if (gallery) gallery.push(row);
    else members.set(name, [row]);
  });
  if (members.size === 0) throw new DataError('Retrieval needs at least one image; the split is empty.');
  return [...members].map(([name, rows]) => {
    const imageIndices = rows.map((row) => readable[row] as number);
    const textImageIndex = imageIndices.flatMap((image, at) => (task.captions[image] ?? []).map(() => at));
    const textIndices = imageIndices.flatMap((image) =>
      (task.captions[image] ?? []).map((_, nth) => (firstText[image] as number) + nth),
    );
    const pick = (values: Float32Array, indices: readonly number[]) =>
      takeRows({ values, count: values.length / embedDim, dim: embedDim }, indices).values;
    const embeddings = {
      images: pick(imageEmbeddings, rows),
      texts: pick(textEmbeddings, textIndices),
    };
    return {
      name,
      imageIndices,
      texts: textIndices.map((text) => allTexts[text] as string),
      textImageIndex,
      embeddings,
      result: evaluateRetrieval({
        imageEmbeddings: embeddings.images,
        textEmbeddings: embeddings.texts,
        embedDim,
        textImageIndex,
        numImages: imageIndices.length,
      }),
    };
  });
}

/** Recall and chance of one direction, averaged over galleries, each gallery counting the same. */
export function meanRecall(
  galleries: readonly GalleryResult[],
  direction: 'textToImage' | 'imageToText',
): Pick<RetrievalDirection, 'recallAt' | 'chanceAt' | 'numQueries' | 'numCandidates'> {
  const parts = galleries.map(({ result }) => result[direction]);
  const average = (value: (part: RetrievalDirection) => number) => mean(parts.map(value));
  const byK = (field: 'recallAt' | 'chanceAt') =>
    Object.fromEntries(RECALL_KS.map((k) => [k, average((part) => part[field][k] as number)]));
  return {
    numQueries: parts.reduce((sum, { numQueries }) => sum + numQueries, 0),
    numCandidates: Math.round(average(({ numCandidates }) => numCandidates)),
    recallAt: byK('recallAt'),
    chanceAt: byK('chanceAt'),
  };
}

/**
 * Zero-shot classification while training. Its figures are `<name>/top1`, `/top5` and their chance levels
 * `/chanceTop1` and `/chanceTop5`, and `/skipped` besides if images could not be read.
 */
export class ZeroShotEvaluator {
  readonly name: string;
  readonly figures: readonly string[];
  readonly #task: ZeroShotTask;

  constructor(name: string, task: ZeroShotTask) {
    this.name = name;
    this.figures = ['top1', 'top5', 'chanceTop1', 'chanceTop5'].map((figure) => `${name}/${figure}`);
    this.#task = task;
  }

  async evaluate(model: EmbeddingModel): Promise<Record<string, number>> {
    const { top1, top5, chanceTop1, chanceTop5 } = await runZeroShot(model, this.#task);
    return {
      ...named(this.figures, [top1, top5, chanceTop1, chanceTop5]),
      ...skippedFigure(this.name, this.#task),
    };
  }
}

/** How many images the other figures leave out, if they do. */
function skippedFigure(name: string, { skips }: EvalImages): Record<string, number> {
  return skips !== undefined && skips.count > 0 ? { [`${name}/skipped`]: skips.count } : {};
}

const named = (names: readonly string[], values: readonly number[]): Record<string, number> =>
  Object.fromEntries(names.map((name, i) => [name, values[i] as number]));

/**
 * Retrieval while training, means over the galleries. Its figures are `<name>/textToImageR1` and so on for
 * both directions and each k, and their chance levels `/chanceTextToImageR1`; `/skipped` as with zero-shot.
 */
export class RetrievalEvaluator {
  readonly name: string;
  readonly figures: readonly string[];
  readonly #task: RetrievalTask;

  constructor(name: string, task: RetrievalTask) {
    this.name = name;
    this.figures = DIRECTIONS.flatMap((direction) => {
      const chance = `chance${direction.charAt(0).toUpperCase()}${direction.slice(1)}`;
      return RECALL_KS.flatMap((k) => [`${name}/${direction}R${k}`, `${name}/${chance}R${k}`]);
    });
    this.#task = task;
  }

  async evaluate(model: EmbeddingModel): Promise<Record<string, number>> {
    const galleries = await runRetrieval(model, this.#task);
    const values = DIRECTIONS.flatMap((direction) => {
      const { recallAt, chanceAt } = meanRecall(galleries, direction);
      return RECALL_KS.flatMap((k) => [recallAt[k] as number, chanceAt[k] as number]);
    });
    return { ...named(this.figures, values), ...skippedFigure(this.name, this.#task) };
  }
}

const DIRECTIONS = ['textToImage', 'imageToText'] as const;
