/** The ways in which entities are found in captions. */

/**
 * How entities are found: `nouns` are nouns and proper names as wink-nlp's English tagger sees them, each by its lemma;
 * `words` are all words but those of English words that name nothing, such as articles, and single characters.
 */
export const entityExtractors = ['nouns', 'words'] as const;

/** How entities are found. */
export type EntityExtractor = (typeof entityExtractors)[number];
