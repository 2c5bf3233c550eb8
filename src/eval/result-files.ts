/**
 * The files that an evaluation leaves in a run folder: eval/<name>.json with scores, confusions and
 * examples, and the examples' pictures under eval/images. `capstan report` reads them.
 */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { hash64, KeyedRandom } from '../rng.js';
import type { GalleryResult, ZeroShotTask } from './evaluators.js';
import { meanRecall } from './evaluators.js';
import type { RetrievalDirection } from './retrieval.js';
import { asRows, takeRows, topK } from './similarity.js';
import type { ZeroShotResult } from './zero-shot.js';

/** What was evaluated on what. */
export interface EvalContext {
  /** Step of the checkpoint. */
  readonly step: number;
  readonly checkpoint: string;
  readonly data: string;
  readonly split: string;
}

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

/** A file name for an image: its key may hold any character. */
function imageName(key: string): string {
  const safe = key.replace(/[^A-Za-z0-9._-]+/g, '_').slice(0, 60);
  return `images/${safe}-${hash64(key).toString(16).padStart(16, '0').slice(0, 8)}.webp`;
}

/** Up to `count` of `n` indices, spread over all of them, the same ones every time. */
function chooseExamples(n: number, count: number, key: string): number[] {
  const order = new KeyedRandom('eval-examples', key).shuffle(Array.from({ length: n }, (_, i) => i));
  return order.slice(0, count).sort((a, b) => a - b);
}

/** Collects the images that examples name. */
function imageNamer(pictures: Pictures): { images: Map<string, number>; name: (image: number) => string } {
  const images = new Map<string, number>();
  return {
    images,
    name: (image) => {
      const name = imageName(pictures.keys[image] as string);
      images.set(name, image);
      return name;
    },
  };
}

/** The file of a zero-shot result: eval/zero-shot-<classes>-<split>.json. */
export function zeroShotFile(
  context: EvalContext,
  classes: string,
  templates: string,
  task: ZeroShotTask,
  result: ZeroShotResult,
  pictures: Pictures,
): EvalFile {
  const { predictions, confusions, ...metrics } = result;
  const { images, name } = imageNamer(pictures);
  const examples = chooseExamples(predictions.length, NUM_EXAMPLES, context.split).map((image) => ({
    key: task.keys[image],
    image: name(image),
    label: task.labels[image],
    predictions: predictions[image]?.indices.map((c, rank) => ({
      name: task.classNames[c],
      logit: predictions[image]?.scores[rank],
      correct: task.classNames[c] === task.labels[image],
    })),
  }));
  const { length: numTemplates } = task.templates;
  return {
    json: { task: 'zero-shot', ...context, classes, templates, numTemplates, metrics, confusions, examples },
    images,
  };
}

const withoutRanks = ({ ranks: _, ...numbers }: RetrievalDirection) => numbers;

/** The file of a retrieval result: eval/retrieval-<split>.json. */
export function retrievalFile(
  context: EvalContext,
  embedDim: number,
  galleries: readonly GalleryResult[],
  pictures: Pictures,
): EvalFile {
  const { images, name } = imageNamer(pictures);
  const perGallery = Math.ceil(NUM_EXAMPLES / galleries.length);
  const examples = galleries.map((gallery) => exampleQueries(gallery, embedDim, perGallery, pictures, name));
  const json = {
    task: 'retrieval',
    ...context,
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

async function replaceFile(path: string, content: Uint8Array | string): Promise<void> {
  const part = `${path}.${process.pid}.part`;
  await writeFile(part, content);
  await rename(part, path);
}
