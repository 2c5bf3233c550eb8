/**
 * Image-text retrieval as CLIP papers report it: a query is a hit at k if any of its right answers is
 * among the k best candidates. Equal to CLIP_benchmark's zeroshot_retrieval (its
 * `image_retrieval_recall` is text to image, its `text_retrieval_recall` image to text) wherever
 * scores differ. Of equal scores the candidate with the lower index ranks first, which torch.topk
 * leaves open; a collapsed model, all of whose scores are equal, therefore scores about chance.
 *
 * Legend: I images, T texts, D embedDim.
 */
import { DataError } from '../errors.js';
import { asRows, dot, scoreBlocks } from './similarity.js';
import { clusterBootstrap, type Interval, quantile, recallChance } from './statistics.js';

/** The k of R@k that are always reported. */
export const RECALL_KS = [1, 5, 10] as const;

/** Embeddings of a gallery and of its captions. */
export interface RetrievalInput {
  /** [I, D], L2-normalised. */
  readonly imageEmbeddings: Float32Array;
  /** [T, D], L2-normalised. */
  readonly textEmbeddings: Float32Array;
  readonly embedDim: number;
  /** [T], the image that each text describes, as an index below I. */
  readonly textImageIndex: ArrayLike<number>;
  /** I. */
  readonly numImages: number;
}

/** Recall of one direction. */
export interface RetrievalDirection {
  readonly numQueries: number;
  readonly numCandidates: number;
  /** R@k by k, in [0, 1]. */
  readonly recallAt: Record<number, number>;
  /** What random order would reach, by k. */
  readonly chanceAt: Record<number, number>;
  /** 95 % bootstrap interval of R@1; images are resampled with all their captions. */
  readonly recallAt1Interval: Interval;
  readonly medianRank: number;
  /** Per query, the rank of its best right answer, from 1. */
  readonly ranks: Int32Array;
}

/** Both directions. */
export interface RetrievalResult {
  readonly numImages: number;
  readonly numTexts: number;
  readonly textToImage: RetrievalDirection;
  readonly imageToText: RetrievalDirection;
}

/**
 * Ranks every text for every image and every image for every text, in blocks.
 *
 * @throws DataError if an image has no text, or a text names an image outside the gallery.
 * @throws ShapeError or NumericError if the embeddings are not I x D and T x D finite numbers.
 */
export function evaluateRetrieval(input: RetrievalInput): RetrievalResult {
  const { embedDim, numImages, textImageIndex } = input;
  const numTexts = textImageIndex.length;
  const images = asRows(input.imageEmbeddings, numImages, embedDim, 'Image embeddings');
  const texts = asRows(input.textEmbeddings, numTexts, embedDim, 'Text embeddings');
  const textsOfImage = groupTexts(textImageIndex, numImages);

  const textRanks = new Int32Array(numTexts).fill(1);
  const imageRanks = new Int32Array(numImages).fill(1);
  const textBest = Float64Array.from({ length: numTexts }, (_, t) =>
    dot(texts, t, images, textImageIndex[t] as number),
  );
  const imageBest = bestTexts(textsOfImage, textBest);

  // One pass serves both directions: a rank is 1 plus the number of candidates ahead of the best right one.
  for (const { a0, a1, b0, b1, scores } of scoreBlocks(texts, images)) {
    const width = b1 - b0;
    for (let t = a0; t < a1; t++) {
      const ownScore = textBest[t] as number;
      const ownImage = textImageIndex[t] as number;
      let ahead = 0;
      for (let i = b0; i < b1; i++) {
        const score = scores[(t - a0) * width + i - b0] as number;
        if (score > ownScore || (score === ownScore && i < ownImage)) ahead++;
        const imageScore = imageBest.scores[i] as number;
        if (score > imageScore || (score === imageScore && t < (imageBest.indices[i] as number))) {
          imageRanks[i] = (imageRanks[i] as number) + 1;
        }
      }
      textRanks[t] = (textRanks[t] as number) + ahead;
    }
  }

  return {
    numImages,
    numTexts,
    textToImage: summarise(textRanks, numImages, () => 1, textsOfImage),
    imageToText: summarise(
      imageRanks,
      numTexts,
      (image) => (textsOfImage[image] as number[]).length,
      textsOfImage.map((_, image) => [image]),
    ),
  };
}

function groupTexts(textImageIndex: ArrayLike<number>, numImages: number): number[][] {
  const textsOfImage: number[][] = Array.from({ length: numImages }, () => []);
  for (let text = 0; text < textImageIndex.length; text++) {
    const image = textImageIndex[text] as number;
    const own = textsOfImage[image];
    if (own === undefined) {
      throw new DataError(`Text ${text} describes image ${image}, but the gallery has ${numImages} images.`);
    }
    own.push(text);
  }
  const bare = textsOfImage.findIndex((own) => own.length === 0);
  if (numImages === 0) throw new DataError('Retrieval needs at least one image; the gallery is empty.');
  if (bare >= 0)
    throw new DataError(`Image ${bare} of the gallery has no text; retrieval needs one or more for each.`);
  return textsOfImage;
}

/** Per image, its best text: the highest score, and of equals the lowest index. */
function bestTexts(
  textsOfImage: number[][],
  ownScores: Float64Array,
): { scores: Float64Array; indices: Int32Array } {
  const scores = new Float64Array(textsOfImage.length).fill(Number.NEGATIVE_INFINITY);
  const indices = new Int32Array(textsOfImage.length);
  textsOfImage.forEach((own, image) => {
    for (const text of own) {
      const score = ownScores[text] as number;
      if (score > (scores[image] as number)) {
        scores[image] = score;
        indices[image] = text;
      }
    }
  });
  return { scores, indices };
}

function summarise(
  ranks: Int32Array,
  numCandidates: number,
  numPositives: (query: number) => number,
  clusters: readonly (readonly number[])[],
): RetrievalDirection {
  const recallAt: Record<number, number> = {};
  const chanceAt: Record<number, number> = {};
  for (const k of RECALL_KS) {
    let hits = 0;
    let chance = 0;
    ranks.forEach((rank, query) => {
      if (rank <= k) hits++;
      chance += recallChance(numCandidates, numPositives(query), k);
    });
    recallAt[k] = hits / ranks.length;
    chanceAt[k] = chance / ranks.length;
  }
  const hitsOf = (cluster: readonly number[]) => cluster.filter((query) => ranks[query] === 1).length;
  return {
    numQueries: ranks.length,
    numCandidates,
    recallAt,
    chanceAt,
    recallAt1Interval: clusterBootstrap(
      clusters.map(hitsOf),
      clusters.map((cluster) => cluster.length),
      0,
    ),
    medianRank: quantile(Int32Array.from(ranks).sort(), 0.5),
    ranks,
  };
}
