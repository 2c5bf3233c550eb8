/** What the loader hands out, and how it is put together. */
import type { Skip } from './mix-stats.js';
import type { Sample } from './sample-stream.js';
import type { CaptionKind } from './schema.js';

/** B samples: images with a caption each. The arrays are the receiver's. */
export interface Batch {
  /** B * imageSize * imageSize * 3, N H W C, RGB. */
  readonly images: Uint8Array;
  readonly imageSize: number;
  /** B * contextLength. */
  readonly tokens: Int32Array;
  readonly contextLength: number;
  readonly keys: string[];
  readonly kinds: CaptionKind[];
  /** The captions as stored, uncleaned. */
  readonly captions: string[];
  /** Tokens per caption before truncation, start and end of text included. */
  readonly numTokens: Int32Array;
  /** Captions that lost their end to the context length. */
  readonly truncated: number;
  /** Broken samples passed over since the batch before. */
  readonly skipped: Skip[];
  /** Keys of the samples passed over since the batch before because they have no caption of the mix. */
  readonly noCaption: string[];
  readonly epoch: number;
  /** Where the batch begins in the epoch's order, in samples, skipped ones included. */
  readonly indexInEpoch: number;
}

/** Sizes of a full batch. */
export interface BatchShape {
  readonly batchSize: number;
  readonly imageSize: number;
  readonly contextLength: number;
}

/** Fills one batch, sample by sample. */
export class BatchBuilder {
  readonly #shape: BatchShape;
  readonly #images: Uint8Array;
  readonly #tokens: Int32Array;
  readonly #numTokens: Int32Array;
  readonly #keys: string[] = [];
  readonly #kinds: CaptionKind[] = [];
  readonly #captions: string[] = [];
  #truncated = 0;
  #fallbacks = 0;
  #first = 0;

  constructor(shape: BatchShape) {
    const { batchSize, imageSize, contextLength } = shape;
    this.#shape = shape;
    this.#images = new Uint8Array(batchSize * imageSize * imageSize * 3);
    this.#tokens = new Int32Array(batchSize * contextLength);
    this.#numTokens = new Int32Array(batchSize);
  }

  get count(): number {
    return this.#keys.length;
  }

  /** @param position of the sample in the epoch's order. */
  add({ key, caption, pixels, tokens, numTokens }: Sample, position: number): void {
    const row = this.count;
    if (row === 0) this.#first = position;
    this.#images.set(pixels, row * pixels.length);
    this.#tokens.set(tokens, row * tokens.length);
    this.#numTokens[row] = numTokens;
    this.#keys.push(key);
    if (caption !== undefined) {
      this.#kinds.push(caption.kind);
      this.#captions.push(caption.text);
      if (caption.fallback) this.#fallbacks++;
    }
    if (numTokens > this.#shape.contextLength) this.#truncated++;
  }

  /** The batch of what was added. The builder is spent. */
  finish(epoch: number, skipped: Skip[], noCaption: string[]): { batch: Batch; fallbacks: number } {
    const { imageSize, contextLength } = this.#shape;
    const batch: Batch = {
      images: this.#images.subarray(0, this.count * imageSize * imageSize * 3),
      imageSize,
      tokens: this.#tokens.subarray(0, this.count * contextLength),
      contextLength,
      keys: this.#keys,
      kinds: this.#kinds,
      captions: this.#captions,
      numTokens: this.#numTokens.subarray(0, this.count),
      truncated: this.#truncated,
      skipped,
      noCaption,
      epoch,
      indexInEpoch: this.#first,
    };
    return { batch, fallbacks: this.#fallbacks };
  }
}
