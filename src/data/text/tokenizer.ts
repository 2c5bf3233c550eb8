/** Which tokenizer texts go through, and its file. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { clipMergesPath } from '../../assets/index.js';
import { ConfigError } from '../../errors.js';
import { ClipTokenizer } from './clip-tokenizer.js';
import { JsonTokenizer } from './json-tokenizer.js';
import { SharedMerges } from './shared-merges.js';
import type { Tokenizer } from './token-batch.js';

/** Which tokenizer texts go through. */
export interface TokenizerOptions {
  /** `clip` for CLIP's own, else the path of a Hugging Face `tokenizer.json`. Default `clip`. */
  readonly tokenizer?: string | undefined;
  /**
   * Id of the token that ends each text of a `tokenizer.json`; it is added where the file does not say that one is.
   * Default: the first that the file adds behind a text.
   */
  readonly endToken?: number | undefined;
}

/** A tokenizer's file, which threads load their own tokenizer from. */
export interface TokenizerFile {
  readonly kind: 'clip' | 'json';
  readonly path: string;
  readonly endToken?: number | undefined;
  /** SHA-256 (hex) of a `tokenizer.json`: what the ids depend on, wherever the file lies. */
  readonly sha256?: string | undefined;
}

/** The name under which a configuration knows CLIP's own tokenizer. */
export const CLIP_TOKENIZER = 'clip';

/**
 * The file of a tokenizer. CLIP's merges are fetched on first use.
 *
 * @throws ConfigError if there is no such file or an end token is given for CLIP's, AssetError if the merges cannot be had
 */
export async function tokenizerFile({
  tokenizer = CLIP_TOKENIZER,
  endToken,
}: TokenizerOptions = {}): Promise<TokenizerFile> {
  if (tokenizer === CLIP_TOKENIZER) {
    if (endToken === undefined) return { kind: 'clip', path: await clipMergesPath() };
    throw new ConfigError(
      `endToken is ${endToken}, but CLIP's tokenizer has its own end of text. Leave it out, or name a tokenizer.json.`,
    );
  }
  try {
    const sha256 = createHash('sha256')
      .update(await readFile(tokenizer))
      .digest('hex');
    // Threads are the loader's, whose number the user sets. The library goes by what the main thread's environment says.
    process.env.TOKENIZERS_PARALLELISM ??= 'false';
    return { kind: 'json', path: tokenizer, endToken, sha256 };
  } catch (cause) {
    throw new ConfigError(
      `The tokenizer is '${tokenizer}', which cannot be read (${(cause as Error).message}). Expected 'clip' or the path ` +
        'of a Hugging Face tokenizer.json.',
      { cause },
    );
  }
}

/**
 * Loads a tokenizer.
 *
 * @param merges memory in which threads share CLIP's merges; others have their own
 * @throws ConfigError, DataError
 */
export async function loadTokenizer(
  { kind, path, endToken }: TokenizerFile,
  merges?: SharedArrayBuffer,
): Promise<Tokenizer> {
  if (kind === 'json') return await JsonTokenizer.load(path, endToken);
  return merges === undefined
    ? await ClipTokenizer.load(path)
    : new ClipTokenizer(new SharedMerges(path, merges));
}
