/**
 * The files that an evaluation leaves in a run folder: eval/<name>.json with scores, confusions and
 * examples, and the examples' pictures under eval/images. `capstan report` reads them.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import type { Skip } from '../data/mix-stats.js';
import { replaceFile } from '../replace-file.js';
import { hash64, KeyedRandom } from '../rng.js';
import type { GalleryResult, SplitZeroShotResult, ZeroShotTask } from './evaluators.js';
import { meanRecall } from './evaluators.js';
import type { RetrievalDirection } from './retrieval.js';
import { asRows, takeRows, topK } from './similarity.js';

/** What was evaluated on what. */
export interface EvalContext {
  /** Step of the checkpoint. */
  readonly step: number;
  readonly checkpoint: string;
  readonly data: string;
  /** SHA-256 (hex) of the data set's shards, see `Source`. */
  readonly dataFingerprint: string;
  readonly split: string;
}

/** The images of a split that its scores leave out. */
export interface SkippedImages {
  readonly count: number;
  /** The first ones. */
  first(): readonly Skip[];
}

const skippedJson = (skips: SkippedImages) => ({ numSkipped: skips.count, skipped: skips.first() });

/** A set's images as they are stored, for pictures. */
export interface Pictures {
  readonly keys: readonly string[];
  /** What a picture shows, in a word or two. */
  readonly titles: readonly string[];
  /** The encoded file of an image. */
  encoded(image: number): Uint8Array | Promise<Uint8Array>;
}

/** An evaluation's JSON and the images that it refers to, by their names under eval/. */
export interface EvalFile {
  readonly json: Record<string, unknown>;
  readonly images: ReadonlyMap<string, number>;
}

const NUM_EXAMPLES = 12;
const NUM_RETRIEVED = 5;
const THUMBNAIL = 168; // shown at 84 px, sharp on dense screens too

/** A file name for an image: its key may hold any character, and be another image's in another data set. */
function imageName(key: string, dataFingerprint: string): string {
  const safe = key.replace(/[^A-Za-z0-9._-]+/g, '_').slice(0, 60);
  return `images/${safe}-${hash64(dataFingerprint, key).toString(16).padStart(16, '0').slice(0, 8)}.webp`;
}

/** Up to `count` of `n` indices, spread over all of them, the same ones every time. */
function chooseExamples(n: number, count: number, key: string): number[] {
  const order = new KeyedRandom('eval-examples', key).shuffle(Array.from({ length: n }, (_, i) => i));
  return order.slice(0, count).sort((a, b) => a - b);
}

/** Collects the images that examples name. */
function imageNamer(
  pictures: Pictures,
  { dataFingerprint }: EvalContext,
): { images: Map<string, number>; name: (image: number) => string } {
  const images = new Map<string, number>();
  return {
    images,
    name: (image) => {
      const name = imageName(pictures.keys[image] as string, dataFingerprint);
      images.set(name, image);
      return name;
    },
  };
}

/** The file of a zero-shot result. */
export function zeroShotFile(
  context: EvalContext,
  classes: string,
  templates: string,
  task: ZeroShotTask,
  result: SplitZeroShotResult,
  skips: SkippedImages,
  pictures: Pictures,
): EvalFile {
  const { predictions, confusions, imageIndices, ...metrics } = result;
  const { images, name } = imageNamer(pictures, context);
  const examples = chooseExamples(predictions.length, NUM_EXAMPLES, context.split).map((at) => {
    const image = imageIndices[at] as number;
    return {
      key: task.keys[image],
      image: name(image),
      label: task.labels[image],
      predictions: predictions[at]?.indices.map((c, rank) => ({
        name: task.classNames[c],
        logit: predictions[at]?.scores[rank],
        correct: task.classNames[c] === task.labels[image],
      })),
    };
  });
  const { length: numTemplates } = task.templates;
  const what = { task: 'zero-shot', ...context, ...skippedJson(skips), classes, templates, numTemplates };
  return { json: { ...what, metrics, confusions, examples }, images };
}

const withoutRanks = ({ ranks: _, ...numbers }: RetrievalDirection) => numbers;

/** The file of a retrieval result. */
export function retrievalFile(
  context: EvalContext,
  embedDim: number,
  galleries: readonly GalleryResult[],
  skips: SkippedImages,
  pictures: Pictures,
): EvalFile {
  const { images, name } = imageNamer(pictures, context);
  const perGallery = Math.ceil(NUM_EXAMPLES / galleries.length);
  const examples = galleries.map((gallery) => exampleQueries(gallery, embedDim, perGallery, pictures, name));
  const json = {
    task: 'retrieval',
    ...context,
    ...skippedJson(skips),
    metrics: {
      textToImage: meanRecall(galleries, 'textToImage'),
      imageToText: meanRecall(galleries, 'imageToText'),
    },
    galleries: galleries.map(({ name: galleryName, result }) => ({
      name: galleryName,
      numImages: result.numImages,
      numTexts: result.numTexts,
      textToImage: withoutRanks(result.textToImage),
      imageToText: withoutRanks(result.imageToText),
    })),
    examples: {
      textToImage: examples.flatMap(({ textToImage }) => textToImage),
      imageToText: examples.flatMap(({ imageToText }) => imageToText),
    },
  };
  return { json, images };
}

/** Text and image queries of one gallery, with what is ranked first for each. */
function exampleQueries(
  gallery: GalleryResult,
  embedDim: number,
  count: number,
  pictures: Pictures,
  imageFile: (image: number) => string,
) {
  const { name, imageIndices, texts, textImageIndex, embeddings } = gallery;
  const imageRows = asRows(embeddings.images, imageIndices.length, embedDim, 'Image embeddings');
  const textRows = asRows(embeddings.texts, texts.length, embedDim, 'Text embeddings');
  const textQueries = chooseExamples(texts.length, count, `text ${name}`);
  const imageQueries = chooseExamples(imageIndices.length, count, `image ${name}`);
  const textToImage = topK(takeRows(textRows, textQueries), imageRows, NUM_RETRIEVED).map((ranking, at) => {
    const text = textQueries[at] as number;
    return {
      query: texts[text],
      gallery: name,
      results: ranking.indices.map((image, rank) => ({
        image: imageFile(imageIndices[image] as number),
        label: pictures.titles[imageIndices[image] as number],
        score: ranking.scores[rank],
        correct: textImageIndex[text] === image,
      })),
    };
  });
  const imageToText = topK(takeRows(imageRows, imageQueries), textRows, NUM_RETRIEVED).map((ranking, at) => {
    const image = imageQueries[at] as number;
    return {
      image: imageFile(imageIndices[image] as number),
      label: pictures.titles[imageIndices[image] as number],
      gallery: name,
      results: ranking.indices.map((text, rank) => ({
        text: texts[text],
        score: ranking.scores[rank],
        correct: textImageIndex[text] === image,
      })),
    };
  });
  return { textToImage, imageToText };
}

/** Writes an evaluation's pictures and then its JSON, each whole or not at all. Returns the JSON's path. */
export async function writeEvalFile(
  evalDir: string,
  name: string,
  file: EvalFile,
  pictures: Pictures,
): Promise<string> {
  await mkdir(join(evalDir, 'images'), { recursive: true });
  for (const [imagePath, image] of file.images) {
    const thumbnail = sharp(await pictures.encoded(image)).resize(THUMBNAIL, THUMBNAIL, { fit: 'cover' });
    await replaceFile(
      join(evalDir, imagePath),
      await thumbnail.flatten({ background: '#fff' }).webp().toBuffer(),
    );
  }
  const path = join(evalDir, `${name}.json`);
  await replaceFile(path, `${JSON.stringify(file.json, null, 2)}\n`);
  return path;
}

/**
 * What a result that is about to be replaced is of, if not of the same checkpoint and data; undefined if nothing is
 * lost that could not be had again.
 */
export async function replacedResult(
  evalDir: string,
  name: string,
  { step, dataFingerprint }: EvalContext,
): Promise<string | undefined> {
  const text = await readFile(join(evalDir, `${name}.json`), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const old = JSON.parse(text) as Partial<EvalContext>;
    if (old.step !== step) return `step ${old.step}`;
    return old.dataFingerprint === dataFingerprint ? undefined : 'other content of the data set';
  } catch {
    return 'something that is not JSON';
  }
}
