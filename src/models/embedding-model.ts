/**
 * What an evaluation needs of a model: two encoders into one space. Plain arrays in and out, so that
 * an evaluation handles no tensors and any model or precomputed table may stand behind it.
 */
export interface EmbeddingModel {
  /** Width of an embedding. */
  readonly embedDim: number;
  /** Side of the square images, pixels. */
  readonly imageSize: number;
  /** Tokens per text. */
  readonly contextLength: number;
  /**
   * @param images bytes, `count` images of imageSize x imageSize x 3, row by row, colour fastest
   * @returns `count` rows of `embedDim` numbers, each row of length 1
   */
  encodeImages(images: Uint8Array, count: number): Promise<Float32Array>;
  /**
   * @param tokens `count` rows of `contextLength` ids
   * @returns `count` rows of `embedDim` numbers, each row of length 1
   */
  encodeTexts(tokens: Int32Array, count: number): Promise<Float32Array>;
}
