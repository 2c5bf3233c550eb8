/** AltText of clip art: what people wrote into the file or called it, one of it drawn by a keyed rule. */
import { KeyedRandom } from '../../../rng.js';
import type { ClipMetadata } from './metadata.js';
import { plainWords } from './nouns.js';

/** Where an AltText comes from. */
export type ClipAltKind = 'title' | 'description' | 'keywords' | 'file-name';

/** The share of each kind among drawings that have them all; of the others, what is there shares in proportion. */
export const clipAltShares: Readonly<Record<ClipAltKind, number>> = {
  title: 0.4,
  description: 0.25,
  keywords: 0.2,
  'file-name': 0.15,
};

/** An AltText, where it comes from, and what a reader learns from it, if anything. */
export interface ClipAlt {
  readonly text: string;
  readonly kind: ClipAltKind;
  readonly fact: string | undefined;
}

/** What a converter's faulty script left where a text should be. */
const isResidue = (text: string): boolean => /^(?:hash(?:\(0x[0-9a-f]+\))?|0x[0-9a-f]+|\d+)$/i.test(text);

/** What people wrote, by kind; nothing where a field is empty or a script's residue. The file name is always there. */
export function writtenTexts(key: string, metadata: ClipMetadata): Partial<Record<ClipAltKind, string>> {
  const { title, description } = metadata;
  const keywords = metadata.keywords.filter((word) => !isResidue(word));
  return {
    ...(title === '' || isResidue(title) ? {} : { title }),
    ...(description === '' || isResidue(description) ? {} : { description }),
    ...(keywords.length === 0 ? {} : { keywords: keywords.join(', ') }),
    'file-name': `${key.slice(key.lastIndexOf('/') + 1)}.svg`,
  };
}

/** The AltText of the drawing with that key. */
export function clipAltOf(seed: number, key: string, metadata: ClipMetadata): ClipAlt {
  const texts = Object.entries(writtenTexts(key, metadata)) as [ClipAltKind, string][];
  const total = texts.reduce((sum, [kind]) => sum + clipAltShares[kind], 0);
  let draw = total * new KeyedRandom(seed, key, 'alt').uniform();
  const [kind, text] = (texts.find(([each]) => {
    draw -= clipAltShares[each];
    return draw < 0;
  }) ?? texts.at(-1)) as [ClipAltKind, string];
  return { text, kind, fact: factOf(kind, text) };
}

/** Longest fact, in characters: a fused caption stays a caption. */
const MAX_FACT = 160;

function factOf(kind: ClipAltKind, text: string): string | undefined {
  const short = text.length <= MAX_FACT ? text : `${text.slice(0, text.lastIndexOf(' ', MAX_FACT))} …`;
  switch (kind) {
    case 'title':
      return `Its title is "${short}".`;
    case 'description':
      return `Its author describes it so: "${short}".`;
    case 'keywords':
      return `It is tagged ${short}.`;
    case 'file-name': {
      const words = plainWords(text).join(' ');
      return words === '' ? undefined : `Its file is called ${words}.`;
    }
  }
}
