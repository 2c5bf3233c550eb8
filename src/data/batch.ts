/** What the loader hands out, and how it is put together. */
import type { PlannedCaption } from './caption-plan.js';
import type { Skip } from './mix-stats.js';
import type { CaptionLabel } from './mixing.js';
import type { Sample } from './sample-stream.js';
import type { TextFrame } from './text/token-batch.js';
import type { EncodedTexts } from './text-encoder.js';

/** B samples, of a data-parallel run those of one rank: images with a caption each. The arrays are the receiver's. */
export interface Batch {
  /** B * imageSize * imageSize * 3, N H W C, RGB; empty, and imageSize 0, if the loader hands out features. */
  readonly images: Uint8Array;
  readonly imageSize: number;
  /** B * features of a sample, if the loader hands out those of a store instead of images; else absent. */
  readonly features?: Float32Array;
  /** B * contextLength. */
  readonly tokens: Int32Array;
  readonly contextLength: number;
  readonly keys: string[];
  readonly kinds: CaptionLabel[];
  /** Number of each sample's source. */
  readonly sources: number[];
  /** The captions as stored, uncleaned. */
  readonly captions: string[];
  /** Tokens per caption before truncation, start and end of text included. */
  readonly numTokens: Int32Array;
  /** How many of them begin and end each caption, and are none of its own. */
  readonly frame: TextFrame;
  /** Captions that lost their end to the context length. */
  readonly truncated: number;
  /** Samples whose kind had no caption, so that another kind's stands in, or whose concatenation lacks one. */
  readonly fallbacks: number;
  /** Broken samples passed over since the batch before. */
  readonly skipped: Skip[];
  /** Keys of the samples passed over since the batch before because they have no caption of the mix. */
  readonly noCaption: string[];
  readonly epoch: number;
  /** Where the batch begins in the epoch's order, in samples, skipped ones included: what replays it. */
  readonly indexInEpoch: number;
}

/** What a batch is made of. */
export interface BatchParts {
  readonly imageSize: number;
  readonly contextLength: number;
  readonly samples: readonly Sample[];
  /** Of each sample. */
  readonly captions: readonly PlannedCaption[];
  readonly texts: EncodedTexts;
  readonly skipped: Skip[];
  readonly noCaption: string[];
  readonly epoch: number;
  readonly indexInEpoch: number;
}

/** Puts a batch together, the images in the given memory, which is as large as they are. */
export function buildBatch(
  { samples, captions, texts, ...rest }: BatchParts,
  memory?: Uint8Array<ArrayBuffer>,
): Batch {
  const { imageSize, contextLength, skipped, noCaption, epoch, indexInEpoch } = rest;
  const imageBytes = imageSize * imageSize * 3;
  const images = memory ?? new Uint8Array(samples.length * imageBytes);
  for (const [i, { pixels }] of samples.entries()) images.set(pixels, i * imageBytes);
  return {
    images,
    imageSize,
    ...featuresOf(samples),
    tokens: texts.tokens,
    contextLength,
    keys: samples.map(({ key }) => key),
    kinds: captions.map(({ kind }) => kind),
    sources: samples.map(({ source }) => source),
    captions: captions.map(({ text }) => text),
    numTokens: texts.numTokens,
    frame: texts.frame,
    truncated: texts.numTokens.reduce((n, length) => (length > contextLength ? n + 1 : n), 0),
    fallbacks: captions.reduce((n, { fallback }) => (fallback ? n + 1 : n), 0),
    skipped,
    noCaption,
    epoch,
    indexInEpoch,
  };
}

function featuresOf(samples: readonly Sample[]): Pick<Batch, 'features'> {
  const size = samples[0]?.features?.length;
  if (size === undefined) return {};
  const features = new Float32Array(samples.length * size);
  for (const [i, sample] of samples.entries()) features.set(sample.features as Float32Array, i * size);
  return { features };
}
