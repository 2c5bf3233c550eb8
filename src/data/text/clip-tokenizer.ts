/**
 * CLIP's byte-pair tokenizer, id for id as open_clip 3.3.0's `SimpleTokenizer` (`open_clip/tokenizer.py`)
 * with its default cleaning: ftfy, HTML references twice, whitespace collapsed, lower case.
 *
 * Ids: 0 to 255 a byte, 256 to 511 a byte that ends a word, then one for each merge, then the start and
 * the end of text. Padding is 0, which is also the id of "!".
 */
import { clipMergesPath } from '../../assets/index.js';
import { ConfigError } from '../../errors.js';
import { type MergeLookup, mergePairs } from './bpe.js';
import { CLIP_VOCAB_SIZE, idsOfBytes, parseMerges, readMerges } from './clip-merges.js';
import { fixText } from './ftfy.js';
import type { TokenBatch, Tokenizer } from './token-batch.js';
import { unescapeHtml } from './unescape-html.js';
import { collapseWhitespace } from './whitespace.js';

export { CLIP_VOCAB_SIZE } from './clip-merges.js';

/** Id of the start-of-text token. */
export const START_OF_TEXT = 49_406;
/** Id of the end-of-text token, the largest, so that argmax over the ids finds it. */
export const END_OF_TEXT = 49_407;
/** Context length of the published CLIP models. */
export const CLIP_CONTEXT_LENGTH = 77;

// Words that keep their ids once found; beyond it (web text has no end of new words) they are redone.
const MAX_CACHED_WORDS = 262_144;
// Code units of such a word: longer ones are no words that come again, and so many of them would fill the memory.
const MAX_CACHED_LENGTH = 128;

/** `fixText`, HTML references decoded twice, whitespace collapsed, lower case: what the tokenizer reads. */
export function cleanCaption(text: string): string {
  return collapseWhitespace(unescapeHtml(unescapeHtml(fixText(text)))).toLowerCase();
}

// The reference ignores case, by which, after lower-casing, the long s alone still gains: it stands for
// an s in the literals. For the same reason U+0345, which folds to a letter, is in no class there.
const WORD =
  /<[sſ]tart_of_text>|<end_of_text>|'[sſ]|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|(?:(?!\u0345)[^\p{L}\p{N} ])+/gu;

/** Tokenizer of CLIP captions; make one with {@link ClipTokenizer.load}. */
export class ClipTokenizer implements Tokenizer {
  readonly vocabSize = CLIP_VOCAB_SIZE;
  readonly #idOfByte = idsOfBytes();
  readonly #merges: MergeLookup;
  readonly #cache = new Map<string, Uint16Array>([
    ['<start_of_text>', Uint16Array.of(START_OF_TEXT)],
    ['<end_of_text>', Uint16Array.of(END_OF_TEXT)],
  ]);
  /** The last word that was too long for the cache: a file may hold one caption a thousand times in a few bytes. */
  #longWord: { readonly word: string; readonly ids: Uint16Array } | undefined;

  /**
   * @param merges the merges file, decompressed: a header line, then a merge a line, best first; or its merges.
   * @throws DataError if it is not CLIP's merges file.
   */
  constructor(merges: string | MergeLookup) {
    this.#merges = typeof merges === 'string' ? parseMerges(Buffer.from(merges)) : merges;
  }

  /**
   * Reads the merges file (gzip), by default the pinned asset, which is fetched on first use.
   *
   * @param signal aborting it ends the fetch
   * @throws AssetError if the asset cannot be had; the signal's reason when aborted; DataError if the file is not CLIP's.
   */
  static async load(mergesPath?: string, signal?: AbortSignal): Promise<ClipTokenizer> {
    return new ClipTokenizer(readMerges(mergesPath ?? (await clipMergesPath({ signal }))));
  }

  /** The ids of a text, cleaned first, without start and end of text. */
  encode(text: string): number[] {
    const ids: number[] = [];
    for (const word of cleanCaption(text).match(WORD) ?? []) {
      for (const id of this.#wordIds(word)) ids.push(id);
    }
    return ids;
  }

  /**
   * Rows of `contextLength` ids: start, the text, end, zeros. A longer text is cut and its last id
   * replaced by the end of text.
   *
   * @throws ConfigError unless contextLength is an integer of at least 2.
   */
  encodeBatch(texts: readonly string[], contextLength: number = CLIP_CONTEXT_LENGTH): TokenBatch {
    if (!Number.isInteger(contextLength) || contextLength < 2) {
      throw new ConfigError(`contextLength must be an integer of at least 2, found ${contextLength}.`);
    }
    const tokens = new Int32Array(texts.length * contextLength);
    const numTokens = new Int32Array(texts.length);
    let truncated = 0;
    texts.forEach((text, row) => {
      const start = row * contextLength;
      const end = start + contextLength;
      let at = start;
      tokens[at++] = START_OF_TEXT;
      let count = 2;
      for (const word of cleanCaption(text).match(WORD) ?? []) {
        const ids = this.#wordIds(word);
        count += ids.length;
        for (let i = 0; i < ids.length && at < end; i++) tokens[at++] = ids[i] as number;
      }
      tokens[Math.min(at, end - 1)] = END_OF_TEXT;
      numTokens[row] = count;
      if (count > contextLength) truncated++;
    });
    return { tokens, numTokens, frame: { before: 1, after: 1 }, truncated };
  }

  #wordIds(word: string): Uint16Array {
    const cached = this.#cache.get(word);
    if (cached !== undefined) return cached;
    if (this.#longWord?.word === word) return this.#longWord.ids;
    const bytes = Uint16Array.from(Buffer.from(word, 'utf8'), (byte) => this.#idOfByte[byte] as number);
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) + 256; // the one that ends the word
    const ids = mergePairs(bytes, this.#merges);
    if (word.length > MAX_CACHED_LENGTH) this.#longWord = { word, ids };
    else if (this.#cache.size < MAX_CACHED_WORDS) this.#cache.set(word, ids);
    return ids;
  }
}
