/**
 * Tokenizers of Hugging Face's `tokenizer.json`, by the library `tokenizers` that their Python users have too: cleaning,
 * splitting, model and special tokens are the file's. Its own truncation and padding are not used but for the side that
 * is cut and the padding's id: a text's length is a matter of the model.
 */
import { readFile } from 'node:fs/promises';
import type { Tokenizer as NativeTokenizer } from 'tokenizers';
import { ConfigError, DataError } from '../../errors.js';
import type { TokenBatch, Tokenizer } from './token-batch.js';

/** What of the file this one reads by itself. */
interface Declared {
  readonly truncation?: { readonly direction?: string } | null;
  readonly padding?: { readonly pad_id?: number } | null;
  readonly added_tokens?: readonly {
    readonly id: number;
    readonly content: string;
    readonly special: boolean;
  }[];
}

/** A text of one token or more in any vocabulary that has letters. */
const SAMPLE_TEXT = 'a';

/** Texts to ids as a `tokenizer.json` says; make one with {@link JsonTokenizer.load}. */
export class JsonTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly endToken: number;
  /** How many tokens are added to each text. */
  readonly minContext: number;
  readonly #native: NativeTokenizer;
  readonly #padId: number;
  /** How many ids begin each text, and which end it. */
  readonly #numBefore: number;
  readonly #after: readonly number[];
  /** Whether the last of the ids at the end is not the file's. */
  readonly #addsEnd: boolean;
  readonly #cutsBeginning: boolean;

  private constructor(
    native: NativeTokenizer,
    { truncation, padding }: Declared,
    special: { readonly before: readonly number[]; readonly after: readonly number[] },
    endToken: number,
  ) {
    this.#native = native;
    this.vocabSize = Object.values(native.getVocab(true)).reduce((max, id) => Math.max(max, id), 0) + 1;
    this.endToken = endToken;
    this.#padId = padding?.pad_id ?? 0;
    this.#numBefore = special.before.length;
    this.#addsEnd = !special.after.includes(endToken);
    this.#after = this.#addsEnd ? [...special.after, endToken] : special.after;
    this.minContext = this.#numBefore + this.#after.length;
    this.#cutsBeginning = truncation?.direction === 'Left';
  }

  /**
   * Reads a `tokenizer.json`.
   *
   * @param endToken see `TokenizerOptions`
   * @throws DataError if it is none; ConfigError if it does not tell how a text ends, or `endToken` is none of its ids
   *   or begins texts too
   */
  static async load(path: string, endToken?: number): Promise<JsonTokenizer> {
    const text = await readFile(path, 'utf8');
    // Only now: few runs need it, and each thread would load it.
    const { Tokenizer: Native } = await import('tokenizers');
    let native: NativeTokenizer;
    let declared: Declared;
    try {
      declared = JSON.parse(text) as Declared;
      native = Native.fromString(text);
    } catch (cause) {
      throw new DataError(
        `${path} is no tokenizer.json that the library tokenizers reads: ${(cause as Error).message}. Save it anew ` +
          "with Python's tokenizers, or take another.",
        { cause },
      );
    }
    native.disableTruncation();
    native.disablePadding();
    const special = await specialTokens(native, path);
    const end = endToken ?? special.after[0];
    if (end === undefined) {
      const known = (declared.added_tokens ?? []).filter((token) => token.special);
      const which =
        known.map(({ id, content }) => `${id} for ${content}`).join(', ') || 'none is declared special';
      throw new ConfigError(
        `${path} adds no token behind a text, so that the end of a text cannot be found, where its embedding is taken. ` +
          `Set model.text.endToken to the id of the token that shall end it (${which}).`,
      );
    }
    if (native.idToToken(end) === null) {
      throw new ConfigError(
        `model.text.endToken is ${end}, which is no id of ${path}. Choose one of its special tokens.`,
      );
    }
    if (special.before.includes(end)) {
      throw new ConfigError(
        `${path} begins each text with token ${end} (${native.idToToken(end)}), which ends texts too, so that the end ` +
          'cannot be found. Set model.text.endToken to another token.',
      );
    }
    return new JsonTokenizer(native, declared, special, end);
  }

  /** See `Tokenizer`. */
  async encodeBatch(texts: readonly string[], contextLength: number): Promise<TokenBatch> {
    if (!Number.isInteger(contextLength) || contextLength < this.minContext) {
      throw new ConfigError(
        `contextLength must be an integer of at least ${this.minContext}, which this tokenizer adds to a text; found ${contextLength}.`,
      );
    }
    const tokens = new Int32Array(texts.length * contextLength).fill(this.#padId);
    const numTokens = new Int32Array(texts.length);
    let truncated = 0;
    const encoded = texts.length === 0 ? [] : await this.#native.encodeBatch([...texts]);
    for (const [row, encoding] of encoded.entries()) {
      const ids = encoding.getIds();
      if (this.#addsEnd) ids.push(this.endToken);
      numTokens[row] = ids.length;
      if (ids.length > contextLength) truncated++;
      tokens.set(this.#cut(ids, contextLength), row * contextLength);
    }
    return { tokens, numTokens, frame: { before: this.#numBefore, after: this.#after.length }, truncated };
  }

  #cut(ids: readonly number[], contextLength: number): readonly number[] {
    const surplus = ids.length - contextLength;
    if (surplus <= 0) return ids;
    const from = this.#cutsBeginning ? this.#numBefore : ids.length - this.#after.length - surplus;
    return [...ids.slice(0, from), ...ids.slice(from + surplus)];
  }
}

/** What the file adds before and behind a text. */
async function specialTokens(
  native: NativeTokenizer,
  path: string,
): Promise<{ before: readonly number[]; after: readonly number[] }> {
  const encoding = await native.encode(SAMPLE_TEXT);
  const ids = encoding.getIds();
  const isSpecial = encoding.getSpecialTokensMask();
  const first = isSpecial.indexOf(0);
  if (first < 0) {
    throw new DataError(
      `${path} has no token for the text '${SAMPLE_TEXT}'. Take a tokenizer that knows letters.`,
    );
  }
  return { before: ids.slice(0, first), after: ids.slice(isSpecial.lastIndexOf(0) + 1) };
}
