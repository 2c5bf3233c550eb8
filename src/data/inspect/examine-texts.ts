/** What is measured of captions one by one, off the main thread. */
import { textHash } from '../distinct.js';
import type { ClipTokenizer } from '../text/clip-tokenizer.js';
import { entitiesOf } from './entities.js';
import type { EntityExtractor } from './extractors.js';
import { captionHash, pairHash, wordsOf } from './words.js';

/** Captions to measure. */
export interface TextJob {
  readonly kind: 'texts';
  readonly texts: readonly string[];
}

/** What was measured of n captions; lists of all of them stand one after the other. */
export interface TextFindings {
  readonly kind: 'texts';
  /** Code points, per caption. */
  readonly characters: Uint32Array<ArrayBuffer>;
  /** CLIP tokens without start and end of text, per caption; undefined without a tokenizer. */
  readonly tokens: Uint32Array<ArrayBuffer> | undefined;
  /** Hash of each caption, by which equal ones are found. */
  readonly hashes: Float64Array<ArrayBuffer>;
  /** Words per caption; their hashes; and the hashes of pairs of them, one fewer per caption that has words. */
  readonly numWords: Uint32Array<ArrayBuffer>;
  readonly words: Float64Array<ArrayBuffer>;
  readonly pairs: Float64Array<ArrayBuffer>;
  /** Distinct entities per caption, and their hashes. */
  readonly numEntities: Uint32Array<ArrayBuffer>;
  readonly entities: Float64Array<ArrayBuffer>;
  /** Entities that this thread sees for the first time, with their hashes. */
  readonly names: readonly (readonly [hash: number, name: string])[];
}

/** Entities that a thread remembers having named; beyond it names are told again. */
const MAX_KNOWN = 200_000;

/** Measures captions; the tokenizer is undefined where it could not be had. */
export class TextExaminer {
  readonly #known = new Set<number>();

  constructor(
    private readonly tokenizer: ClipTokenizer | undefined,
    private readonly extractor: EntityExtractor,
  ) {}

  examine({ texts }: TextJob): TextFindings {
    const words: number[] = [];
    const pairs: number[] = [];
    const entities: number[] = [];
    const names: [number, string][] = [];
    const numWords = new Uint32Array(texts.length);
    const numEntities = new Uint32Array(texts.length);
    for (const [i, text] of texts.entries()) {
      const own = wordsOf(text).map(textHash);
      numWords[i] = own.length;
      for (const [at, hash] of own.entries()) {
        words.push(hash);
        if (at > 0) pairs.push(pairHash(own[at - 1] as number, hash));
      }
      const found = entitiesOf(text, this.extractor);
      numEntities[i] = found.length;
      for (const name of found) {
        const hash = textHash(name);
        entities.push(hash);
        if (this.#known.has(hash)) continue;
        if (this.#known.size < MAX_KNOWN) this.#known.add(hash);
        names.push([hash, name]);
      }
    }
    const { tokenizer } = this;
    return {
      kind: 'texts',
      characters: Uint32Array.from(texts, numCodePoints),
      tokens:
        tokenizer === undefined
          ? undefined
          : Uint32Array.from(texts, (text) => tokenizer.encode(text).length),
      hashes: Float64Array.from(texts, captionHash),
      numWords,
      words: Float64Array.from(words),
      pairs: Float64Array.from(pairs),
      numEntities,
      entities: Float64Array.from(entities),
      names,
    };
  }
}

function numCodePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
