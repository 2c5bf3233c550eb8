/** What captions name: the nouns of English, or the content words of any language. */
import model from 'wink-eng-lite-web-model';
import winkNLP, { type ItemToken, type WinkMethods } from 'wink-nlp';
import type { EntityExtractor } from './extractors.js';
import { wordsOf } from './words.js';

/** English words that name nothing. */
export const STOP_WORDS: ReadonlySet<string> = new Set(
  (
    'a about above after again against all also am an and any are as at be because been before being below between both ' +
    'but by can could did do does doing down during each few for from further had has have having he her here hers him ' +
    'his how i if in into is it its itself just me more most my no nor not now of off on once only or other our ours out ' +
    'over own same she should so some such than that the their theirs them then there these they this those through to ' +
    'too under until up upon very was we were what when where which while who whom why will with within without would ' +
    'you your yours'
  ).split(' '),
);

/** Something with a letter in it, and no address or file. */
const NAME = /\p{L}/u;

/** Characters of a text in which entities are looked for, far more than captions have. */
const MAX_CHARACTERS = 10_000;

// The cut may leave the first half of a pair.
const HALF_PAIR = /\p{Cs}$/u;

// The tagger's time grows with the square of a word's length: longer ones come to it in pieces.
const LONG_WORD = /\S{500}/gu;

/** What of a text is looked at, in compatibility forms: no text and no word may stall a thread. */
function lookedAt(text: string): string {
  const start = text.length > MAX_CHARACTERS ? text.slice(0, MAX_CHARACTERS).replace(HALF_PAIR, '') : text;
  return start.normalize('NFKC').replace(LONG_WORD, '$& ');
}

let tagger: WinkMethods | undefined;

/**
 * The distinct entities of a text in lower case, in the order in which they first come. Those of its first 10,000
 * characters; a word of over 500 counts as several.
 */
export function entitiesOf(text: string, extractor: EntityExtractor): string[] {
  const start = lookedAt(text);
  if (extractor === 'words') {
    const names = wordsOf(start).filter(
      (word) => word.length > 1 && NAME.test(word) && !STOP_WORDS.has(word),
    );
    return [...new Set(names)];
  }
  tagger ??= winkNLP(model, ['pos']);
  const { its, readDoc } = tagger;
  const found = new Set<string>();
  readDoc(start)
    .tokens()
    .each((token: ItemToken) => {
      const kind = token.out(its.pos);
      if (kind !== 'NOUN' && kind !== 'PROPN') return;
      // Its types say that a lemma is got otherwise than a tag; it is got alike.
      const name = token.out(its.lemma as unknown as typeof its.pos).toLowerCase();
      if (name.length > 1 && NAME.test(name)) found.add(name);
    });
  return [...found];
}
