/** The concepts that emoji stand for: names, tags and groups of emojibase-data, and the names in other languages. */
import { readPackage } from '../packages.js';

/** The languages other than English in which AltText may be written: emojibase-data's, one variety each. */
export const otherLanguages: readonly string[] =
  'bn da de es et fi fr hi hu it ja ko lt ms nb nl pl pt ru sv th uk vi zh'.split(' ');

/** What one emoji stands for. */
export interface Concept {
  /** Code points in lower-case hexadecimal joined by dashes, without the presentation selector: '1f600'. */
  readonly hexcode: string;
  readonly emoji: string;
  /** English name: 'grinning face', 'flag: France'. Unique. */
  readonly label: string;
  /** The name as it stands in a sentence: 'flag of France'. */
  readonly phrase: string;
  readonly tags: readonly string[];
  /** 'smileys & emotion' */
  readonly group: string;
  /** 'face smiling' */
  readonly subgroup: string;
  /** Names used in chats and code, without colons: 'grinning'. */
  readonly shortcodes: readonly string[];
  /** Names by language code. */
  readonly names: ReadonlyMap<string, string>;
}

interface Entry {
  readonly hexcode: string;
  readonly label: string;
  readonly emoji: string;
  readonly tags?: readonly string[];
  readonly group?: number;
  readonly subgroup?: number;
}

/** Code points as keys of maps: lower case, without the presentation selector U+FE0F. */
export function plainHexcode(hexcode: string): string {
  return hexcode.toLowerCase().replaceAll('-fe0f', '');
}

/** 'flag: France' as it stands in a sentence. */
function phraseOf(label: string): string {
  const [head, rest] = label.split(/: (.*)/s) as [string, string | undefined];
  if (rest === undefined) return label;
  if (head === 'flag' || head === 'family' || head === 'kiss' || head === 'couple with heart') {
    return `${head} of ${rest.replace(/, ([^,]*)$/, ' and $1')}`;
  }
  if (head === 'keycap') return `keycap ${rest}`;
  if (/hair$/.test(rest)) return `${head} with ${rest}`;
  if (rest === 'beard') return `${head} with a beard`;
  return rest === 'bald' ? `bald ${head}` : `${head} ${rest}`;
}

/**
 * Every concept of emojibase-data that has a group, in its order; skin tones and hair styles, which are
 * parts of others, and the letters that flags are spelt with are left out.
 */
export function loadConcepts(): Concept[] {
  const entries = readPackage<Entry[]>('emojibase-data/en/data.json');
  const messages = readPackage<{ groups: { message: string; order: number }[] }>(
    'emojibase-data/en/messages.json',
  );
  const { subgroups } = readPackage<{ subgroups: Record<string, string> }>('emojibase-data/meta/groups.json');
  const groupNames = new Map(messages.groups.map(({ order, message }) => [order, message]));
  const shortcodes = ['emojibase', 'github', 'joypixels', 'iamcal'].map((set) =>
    readPackage<Record<string, string | string[]>>(`emojibase-data/en/shortcodes/${set}.json`),
  );
  const names = new Map<string, Map<string, string>>();
  for (const language of otherLanguages) {
    for (const { hexcode, label } of readPackage<Entry[]>(`emojibase-data/${language}/data.json`)) {
      const byLanguage = names.get(hexcode) ?? new Map<string, string>();
      names.set(hexcode, byLanguage.set(language, label));
    }
  }
  const concepts: Concept[] = [];
  for (const { hexcode, label, emoji, tags = [], group, subgroup } of entries) {
    const groupName = group === undefined ? undefined : groupNames.get(group);
    if (groupName === undefined || groupName === 'components') continue;
    concepts.push({
      hexcode: plainHexcode(hexcode),
      emoji,
      label,
      phrase: phraseOf(label),
      tags,
      group: groupName,
      subgroup: (subgroups[String(subgroup)] as string).replaceAll('-', ' '),
      shortcodes: [...new Set(shortcodes.flatMap((set) => set[hexcode] ?? []))],
      names: names.get(hexcode) ?? new Map(),
    });
  }
  return concepts;
}
