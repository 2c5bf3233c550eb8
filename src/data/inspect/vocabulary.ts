/** How many different words captions have, as they get more. */
import { DistinctCounter } from '../distinct.js';
import type { VocabularyPoint, VocabularyReport } from './report.js';

/** 100, 200, 500, 1,000 and so on: where the curves of all kinds are compared. */
function* marks(): Generator<number> {
  for (let decade = 100; ; decade *= 10) for (const step of [1, 2, 5]) yield step * decade;
}

/** Counts the words of captions of one kind, in the order in which they are read. */
export class VocabularyCounter {
  readonly #words = new DistinctCounter();
  readonly #pairs = new DistinctCounter();
  readonly #byWords: VocabularyPoint[] = [];
  readonly #byCaptions: VocabularyPoint[] = [];
  readonly #wordMarks = marks();
  readonly #captionMarks = marks();
  #nextWords = this.#wordMarks.next().value as number;
  #nextCaptions = this.#captionMarks.next().value as number;
  #numWords = 0;
  #numPairs = 0;
  #numCaptions = 0;

  /** @param words hashes of the caption's words; pairs of its neighbouring ones, one fewer */
  add(words: Float64Array, pairs: Float64Array): void {
    for (let i = 0; i < words.length; i++) {
      this.#words.add(words[i] as number);
      this.#numWords++;
      if (i < pairs.length) {
        this.#pairs.add(pairs[i] as number);
        this.#numPairs++;
      }
      if (this.#numWords === this.#nextWords) {
        this.#byWords.push(this.#point());
        this.#nextWords = this.#wordMarks.next().value as number;
      }
    }
    this.#numCaptions++;
    if (this.#numCaptions === this.#nextCaptions) {
      this.#byCaptions.push(this.#point());
      this.#nextCaptions = this.#captionMarks.next().value as number;
    }
  }

  report(): VocabularyReport {
    const all = this.#point();
    const share = (count: number, of: number): number => (of === 0 ? 0 : Math.min(1, count / of));
    return {
      ...all,
      distinct1: share(all.vocabulary, this.#numWords),
      distinct2: share(this.#pairs.count(), this.#numPairs),
      exact: this.#words.exact && this.#pairs.exact,
      byWords: this.#byWords,
      byCaptions: this.#byCaptions,
    };
  }

  #point(): VocabularyPoint {
    return { captions: this.#numCaptions, words: this.#numWords, vocabulary: this.#words.count() };
  }
}
