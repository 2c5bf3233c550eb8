/**
 * AltText as the web has it, made by keyed rules from real metadata: names, tags, short codes, vendors' file
 * names, other languages; some of it empty, some about something else. The rates are in docs/data.md.
 */
import { KeyedRandom } from '../../../rng.js';
import { capitalise } from '../words.js';
import { type Concept, otherLanguages } from './concepts.js';
import type { Style } from './styles.js';

/** Where an AltText comes from. */
export type AltKind =
  | 'empty'
  | 'off-topic'
  | 'other-language'
  | 'file-name'
  | 'short-code'
  | 'tags'
  | 'name'
  | 'listing';

/** The share of each kind, adding up to one. */
export const altShares: Readonly<Record<AltKind, number>> = {
  empty: 0.03,
  'off-topic': 0.08,
  'other-language': 0.12,
  'file-name': 0.12,
  'short-code': 0.1,
  tags: 0.15,
  name: 0.22,
  listing: 0.18,
};

/** An AltText, its language and how it came about. */
export interface Alt {
  readonly text: string;
  /** ISO 639: 'en', 'de'; 'zxx' where nothing is said in a language (empty text, file names). */
  readonly language: string;
  readonly kind: AltKind;
  /** What a reader learns about the picture from it; undefined if nothing. */
  readonly fact: string | undefined;
}

/** The AltText of the picture with that key. `all` are the concepts that an off-topic text may be about. */
export function altOf(
  seed: number,
  key: string,
  concept: Concept,
  style: Style,
  all: readonly Concept[],
): Alt {
  const random = new KeyedRandom(seed, key, 'alt');
  let draw = random.uniform();
  const kinds = Object.entries(altShares) as [AltKind, number][];
  const kind = (kinds.find(([, share]) => {
    draw -= share;
    return draw < 0;
  }) ?? ['name'])[0] as AltKind;
  const name = `named ${concept.phrase}`;
  switch (kind) {
    case 'empty':
      return { text: '', language: 'zxx', kind, fact: undefined };
    case 'off-topic': {
      const others = all.filter((other) => other.subgroup !== concept.subgroup);
      const other = others[random.int(others.length)] as Concept;
      const text =
        random.uniform() < 0.5 ? nameText(other, style, random) : listingText(other, style, random);
      return { text, language: 'en', kind, fact: undefined };
    }
    case 'other-language': {
      const known = otherLanguages.filter((language) => concept.names.has(language));
      const language = known[random.int(known.length)] as string;
      const text = `${random.uniform() < 0.3 ? `${concept.emoji} ` : ''}${concept.names.get(language) as string}`;
      return { text, language, kind, fact: name };
    }
    case 'file-name': {
      const text = fileName(concept, style, random);
      const told = text.includes(slugOf(concept, '-')) || text.includes(slugOf(concept, '_'));
      const fact = told ? name : text.includes(style.name) ? `drawn by ${style.title}` : undefined;
      return { text, language: 'zxx', kind, fact };
    }
    case 'short-code': {
      const code = pick(concept.shortcodes, random) ?? concept.phrase.replaceAll(' ', '_');
      return {
        text: `:${code}:`,
        language: 'en',
        kind,
        fact: `called ${code.replaceAll(/[_-]+/g, ' ').trim()}`,
      };
    }
    case 'tags': {
      const tags = random.shuffle([...concept.tags]).slice(0, 3 + random.int(4));
      const text = tags.length === 0 ? concept.label : tags.join(random.uniform() < 0.7 ? ', ' : ' ');
      return {
        text,
        language: 'en',
        kind,
        fact: tags.length === 0 ? name : `tagged ${tags.slice(0, 4).join(', ')}`,
      };
    }
    case 'name':
      return { text: nameText(concept, style, random), language: 'en', kind, fact: name };
    case 'listing': {
      const fact = `named ${concept.phrase}, by ${style.title}`;
      return { text: listingText(concept, style, random), language: 'en', kind, fact };
    }
  }
}

function pick<T>(choices: readonly T[], random: KeyedRandom): T | undefined {
  return choices.length === 0 ? undefined : choices[random.int(choices.length)];
}

function nameText({ label, phrase, emoji }: Concept, { title }: Style, random: KeyedRandom): string {
  const texts = [
    label,
    capitalise(phrase),
    `${emoji} ${capitalise(phrase)}`,
    `${phrase} emoji`,
    `${phrase} - ${title}`,
    label.toUpperCase(),
  ];
  return pick(texts, random) as string;
}

/** As on the pages of catalogues and shops. */
function listingText(concept: Concept, { title }: Style, random: KeyedRandom): string {
  const name = capitalise(concept.phrase);
  const tag = pick(concept.tags, random) ?? concept.subgroup;
  const texts = [
    `${name} Emoji (${title}) | Copy and Paste`,
    `${name} on ${title}`,
    `${title} ${concept.phrase} icon, free SVG and PNG download`,
    `${name} emoji meaning ${tag}`,
    `${concept.emoji} ${name} — ${capitalise(concept.group)}`,
    `${name} sticker, ${tag} clip art ${1 + random.int(999)}`,
    `Buy ${concept.phrase} ${tag} sticker online`,
  ];
  return pick(texts, random) as string;
}

const slugOf = ({ phrase }: Concept, joint: string): string =>
  phrase.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, joint);

function fileName(concept: Concept, { name }: Style, random: KeyedRandom): string {
  const { hexcode, shortcodes } = concept;
  const slug = slugOf(concept, random.uniform() < 0.5 ? '-' : '_');
  const size = [32, 64, 72, 128, 512][random.int(5)] as number;
  const texts = [
    `${name}-v1 emoji_u${hexcode.replaceAll('-', '_')}.svg`,
    `${hexcode}.png`,
    `${name}_${slug}_${size}x${size}.png`,
    `${slug}.svg`,
    `${hexcode.toUpperCase()}-${size}.webp`,
    `${pick(shortcodes, random) ?? slug}@2x.png`,
    `IMG_${1000 + random.int(9000)}.JPG`,
  ];
  return pick(texts, random) as string;
}
