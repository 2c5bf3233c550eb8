/** What the loader and evaluations need of a tokenizer. */

/** How many ids stand before and behind the own ids of each text. */
export interface TextFrame {
  readonly before: number;
  readonly after: number;
}

/** Token ids of a batch of texts. */
export interface TokenBatch {
  /** B * contextLength ids, row by row, each row what begins a text, its ids, what ends it, padding. */
  readonly tokens: Int32Array;
  /** Per text, how many ids it has with start and end, before truncation. */
  readonly numTokens: Int32Array;
  readonly frame: TextFrame;
  /** How many texts were longer than the context and lost their end. */
  readonly truncated: number;
}

/** Texts to rows of ids. */
export interface Tokenizer {
  /** Ids are below it. */
  readonly vocabSize: number;
  /** Id that ends each text; no other id is larger if it is left out, as in CLIP's. */
  readonly endToken?: number | undefined;
  /**
   * Rows of `contextLength` ids, padded behind the end of text. A longer text is cut, its end of text kept.
   *
   * @throws ConfigError unless contextLength is an integer with room for what begins and ends a text
   */
  encodeBatch(texts: readonly string[], contextLength: number): TokenBatch | Promise<TokenBatch>;
}
