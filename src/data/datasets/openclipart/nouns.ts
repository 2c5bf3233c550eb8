/** What a drawing shows, in a word or two, as far as its folder and title honestly tell. */
import { readPackage } from '../packages.js';
import type { ClipMetadata } from './metadata.js';

/** What the things in a folder are, folders by path; the longest that fits counts. */
const kinds: Readonly<Record<string, string>> = {
  animals: 'animal',
  'animals/birds': 'bird',
  'animals/bugs': 'bug',
  'animals/dinosaurs': 'dinosaur',
  'animals/fantasy': 'fantasy animal',
  'animals/fish': 'sea animal',
  'animals/mammals/bears': 'bear',
  'animals/mammals/big_cats': 'big cat',
  'animals/mammals/dogs': 'dog',
  'animals/mammals/horses': 'horse',
  'animals/mammals/housecats': 'cat',
  buildings: 'building',
  'buildings/furniture': 'piece of furniture',
  'buildings/homes': 'house',
  buttons: 'button',
  computer: 'computer symbol',
  'computer/buttons': 'button',
  'computer/hardware': 'piece of computer hardware',
  'computer/icons': 'computer icon',
  containers: 'container',
  decorations: 'decoration',
  education: 'school item',
  'education/books': 'book',
  electronics: 'electronic part',
  'electronics/battery': 'battery',
  'electronics/bulb': 'light bulb',
  food: 'piece of food',
  'food/beverages': 'drink',
  'food/desserts': 'sweet dessert',
  'food/fruit': 'fruit',
  'food/vegetables': 'vegetable',
  geography: 'map',
  'geography/astronomy': 'thing in space',
  logos: 'logo',
  office: 'office item',
  'office/telephone': 'telephone',
  people: 'person',
  'people/bodypart': 'part of the body',
  'people/clothing': 'piece of clothing',
  'people/clothing/hats': 'hat',
  'people/smilies': 'smiley face',
  'people/stickmen': 'stick figure',
  plants: 'plant',
  'plants/flowers': 'flower',
  'plants/trees': 'tree',
  recreation: 'leisure item',
  'recreation/games': 'game piece',
  'recreation/games/cards': 'playing card',
  'recreation/games/chess': 'chess piece',
  'recreation/holiday': 'holiday decoration',
  'recreation/music': 'music item',
  'recreation/party': 'party item',
  'recreation/religion': 'religious symbol',
  'recreation/sports': 'sports item',
  'recreation/toys': 'toy',
  science: 'science item',
  shapes: 'shape',
  'shapes/arrows': 'arrow',
  'shapes/callouts': 'speech bubble',
  'shapes/jigsaw': 'jigsaw piece',
  'shapes/stars': 'star shape',
  signs_and_symbols: 'symbol',
  'signs_and_symbols/awards': 'award',
  'signs_and_symbols/clocks': 'clock',
  'signs_and_symbols/flags': 'flag',
  'signs_and_symbols/flags/semaphore': 'figure with flags',
  'signs_and_symbols/map_symbols': 'map symbol',
  'signs_and_symbols/weather': 'weather symbol',
  'special/gradients': 'colour gradient',
  'special/patterns': 'pattern',
  tools: 'tool',
  'tools/weapons': 'weapon',
  transportation: 'vehicle',
  'transportation/aiga-symbols': 'public sign',
  'transportation/boating': 'boat',
  'transportation/roadsigns': 'road sign',
};

/** What a drawing shows whose folder does not tell. */
export const UNKNOWN_KIND = 'object';

/** The kind of thing that the drawing's folder is for. */
export function kindOf(key: string): string {
  for (let folder = key; folder.includes('/'); ) {
    folder = folder.slice(0, folder.lastIndexOf('/'));
    const kind = kinds[folder];
    if (kind !== undefined) return kind;
  }
  return UNKNOWN_KIND;
}

let english: ReadonlySet<string> | undefined;

/** Words of the English names and tags of emoji: common words of English, for things that one can draw. */
function englishWords(): ReadonlySet<string> {
  if (english !== undefined) return english;
  const entries = readPackage<{ label: string; tags?: string[] }[]>('emojibase-data/en/data.json').filter(
    ({ label }) => !label.startsWith('flag: '),
  );
  const words = entries
    .flatMap(({ label, tags = [] }) => [label, ...tags])
    .flatMap((text) => text.toLowerCase().split(/[^a-z]+/));
  english = new Set(words.filter((word) => word.length > 2));
  return english;
}

/** Words of titles that say nothing about what is drawn. */
const empty = new Set([
  'icon',
  'icons',
  'symbol',
  'symbols',
  'sign',
  'clip',
  'art',
  'clipart',
  'collection',
  'theme',
  'flat',
  'part',
  'simple',
  'illustration',
  'drawing',
  'image',
  'picture',
  'shape',
  'shapes',
  'from',
  'the',
  'and',
  'for',
  'new',
  'old',
  'black',
  'white',
  'grey',
  'brown',
  'red',
  'orange',
  'yellow',
  'green',
  'blue',
  'purple',
  'pink',
  'map',
]);

/** The words of a text as a reader sees them: no digits, no marks, 'Clipart by Ann - red_car_02' as 'red car'. */
export function plainWords(text: string): string[] {
  const subject = text.replace(/^clip\s*art by [^-]* - /i, '').replace(/\.(?:svg|png|jpe?g)\b/gi, ' ');
  return subject.split(/[^\p{L}]+/u).filter((word) => word !== '');
}

/**
 * What synthetic captions call the drawing: its title where that is one to three common English words, else the kind
 * of its folder. Titles in other languages, names of people, places and programs stay in the AltText alone. Colours
 * are left out of a name: what colours it has is measured.
 */
export function nounOf(key: string, { title }: ClipMetadata): string {
  const words = plainWords(title)
    .map((word) => word.toLowerCase())
    .filter((word) => !empty.has(word));
  const known = englishWords();
  const named = words.length > 0 && words.length <= 3 && words.every((word) => known.has(word));
  return named ? words.join(' ') : kindOf(key);
}
