/**
 * What a captioner that knows kinds but not names says for each subgroup, and the share of things that it
 * does name: a stand-in for the captioners of the web, whose captions describe well and name little.
 */
import { uniform } from '../../../rng.js';
import type { Concept } from './concepts.js';

const nouns: Readonly<Record<string, string>> = {
  'face smiling': 'smiling face',
  'face affection': 'loving face',
  'face tongue': 'face with its tongue out',
  'face hand': 'face with a hand',
  'face neutral skeptical': 'doubtful face',
  'face sleepy': 'sleepy face',
  'face unwell': 'sick face',
  'face hat': 'face with a hat',
  'face glasses': 'face with glasses',
  'face concerned': 'worried face',
  'face negative': 'angry face',
  'face costume': 'masked face',
  'cat face': 'cat face',
  'monkey face': 'monkey face',
  heart: 'heart',
  emotion: 'comic sign',
  'hand fingers open': 'open hand',
  'hand fingers partial': 'hand making a sign',
  'hand single finger': 'pointing hand',
  'hand fingers closed': 'fist',
  hands: 'pair of hands',
  'hand prop': 'hand with a thing',
  'body parts': 'part of the body',
  person: 'person',
  'person gesture': 'person making a gesture',
  'person role': 'person at work',
  'person fantasy': 'fantasy figure',
  'person activity': 'person in motion',
  'person sport': 'person doing sport',
  'person resting': 'person at rest',
  family: 'group of people',
  'person symbol': 'outline of people',
  'animal mammal': 'animal',
  'animal bird': 'bird',
  'animal amphibian': 'small animal',
  'animal reptile': 'reptile',
  'animal marine': 'sea animal',
  'animal bug': 'small bug',
  'plant flower': 'flower',
  'plant other': 'plant',
  'food fruit': 'fruit',
  'food vegetable': 'vegetable',
  'food prepared': 'dish of food',
  'food asian': 'dish of food',
  'food marine': 'shellfish',
  'food sweet': 'sweet dessert',
  drink: 'drink',
  dishware: 'piece of tableware',
  'place map': 'map',
  'place geographic': 'landscape',
  'place building': 'building',
  'place religious': 'place of worship',
  'place other': 'place outdoors',
  'transport ground': 'vehicle',
  'transport water': 'boat',
  'transport air': 'aircraft',
  hotel: 'travel item',
  time: 'clock',
  'sky weather': 'sky with weather',
  event: 'festive thing',
  'award medal': 'award',
  sport: 'sports item',
  game: 'game piece',
  'arts crafts': 'craft item',
  clothing: 'piece of clothing',
  sound: 'sound device',
  music: 'music sign',
  'musical instrument': 'musical instrument',
  phone: 'phone',
  computer: 'electronic device',
  'light video': 'light or camera',
  'book paper': 'paper item',
  money: 'money item',
  mail: 'mail item',
  writing: 'writing tool',
  office: 'office item',
  lock: 'lock or key',
  tool: 'tool',
  science: 'science instrument',
  medical: 'medical item',
  household: 'household item',
  'other object': 'object',
  'transport sign': 'public sign',
  warning: 'warning sign',
  arrow: 'arrow',
  religion: 'religious symbol',
  zodiac: 'zodiac sign',
  'av symbol': 'player button',
  gender: 'gender symbol',
  math: 'math sign',
  punctuation: 'punctuation mark',
  currency: 'currency sign',
  'other symbol': 'symbol',
  keycap: 'key with a sign',
  alphanum: 'button with writing',
  geometric: 'plain shape',
  flag: 'flag',
  'country flag': 'flag',
  'subdivision flag': 'flag',
};

/** The share of concepts that the rule-based captioner names; flags it never names. */
export const namedShare = 0.8;

/** The kind of thing, as one says it without knowing more. */
export function kindOf({ subgroup }: Concept): string {
  return nouns[subgroup] ?? 'object';
}

/** What the thing is called in synthetic captions: its name, or its kind. The same in all styles. */
export function nounOf(seed: number, concept: Concept): string {
  const named = concept.group !== 'flags' && uniform(seed, concept.hexcode, 'named') < namedShare;
  // The head of the name, without what follows it: 'grinning face' of 'grinning face with big eyes'.
  return named ? (concept.phrase.split(/ (?:with|showing|of|in|\()/)[0] as string) : kindOf(concept);
}
