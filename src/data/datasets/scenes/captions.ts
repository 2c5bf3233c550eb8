/** The captions of a scene: five short ones as people write, and a short, a descriptive and a dense synthetic one. */
import { KeyedRandom } from '../../../rng.js';
import type { Alt } from '../emoji/alt.js';
import { looks } from '../emoji/looks.js';
import { groundSentence } from '../ground.js';
import { capitalise, listOf, withArticle } from '../words.js';
import { relationWords } from './facts.js';
import { signWords } from './lettering.js';
import type { SceneGraph } from './scene.js';
import type { Thing } from './things.js';
import { type Mention, type Rates, type Told, type ToldGroup, tell } from './told.js';

/** A caption and what it asserts, in the order of its words. */
export interface ToldCaption {
  readonly text: string;
  readonly mentions: readonly Mention[];
}

/** The captions of one picture. */
export interface SceneCaptions {
  /** One sentence, 10 to 15 CLIP tokens. */
  readonly ssc: ToldCaption;
  /** 40 to 60. */
  readonly dsc: ToldCaption;
  /** More than 100. */
  readonly dense: ToldCaption;
  /** `dsc` with what the AltText adds. */
  readonly afc: string;
  /** Five, all of it true. */
  readonly human: readonly string[];
}

/** The captions of the scene. `things` are all there are, from which wrong names are taken. */
export function sceneCaptionsOf(
  seed: number,
  scene: SceneGraph,
  rates: Rates,
  things: readonly Thing[],
  alt: Alt,
): SceneCaptions {
  const toldFor = (kind: string, at: Rates): [Told, KeyedRandom] => {
    const random = new KeyedRandom(seed, scene.key, 'captions', kind);
    return [tell(scene, at, things, signWords, random), random];
  };
  const ssc = shortCaption(...toldFor('ssc', rates));
  const dsc = longCaption(scene, ...toldFor('dsc', rates), DSC_WORDS);
  const dense = longCaption(scene, ...toldFor('dsc+', rates), DENSE_WORDS);
  const first = scene.groups[0]?.thing.name as string;
  const added = alt.fact === undefined ? '' : ` The ${first} is ${alt.fact}.`;
  const human = humanCaptions(...toldFor('human', { omit: 0, invent: 0 }));
  return { ssc, dsc, dense, afc: `${dsc.text}${added}`, human };
}

const numbers = ['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven'];

/** 'a red apple', 'two apples' */
function nounPhrase({ thing, count, colour }: ToldGroup, coloured: boolean): string {
  const paint = coloured ? `${colour} ` : '';
  return count === 1 ? withArticle(`${paint}${thing.name}`) : `${numbers[count]} ${paint}${thing.plural}`;
}

const theName = ({ thing, count }: ToldGroup): string => `the ${count === 1 ? thing.name : thing.plural}`;
const be = ({ count }: ToldGroup): string => (count === 1 ? 'is' : 'are');

function groupMentions(group: ToldGroup, coloured: boolean): Mention[] {
  return [group.object, group.countMention, ...(coloured ? [group.colourMention] : [])];
}

/** Words and marks, near as many as CLIP's tokens. */
const wordsOf = (text: string): number => text.match(/\p{L}+|\p{N}|[^\s\p{L}\p{N}]+/gu)?.length ?? 0;

/** Marks a thing that is said again. */
function markRepeats(mentions: readonly Mention[]): Mention[] {
  const said = new Set<string>();
  return mentions.map((each) => {
    const what = JSON.stringify([each.type, each.object, each.value, each.other]);
    if (said.has(what)) return { ...each, repeat: true };
    said.add(what);
    return each;
  });
}

const SHORT_WORDS = [10, 14] as const;

/** One sentence: of all wordings, which differ in what they leave out, one that has the right length. */
function shortCaption(told: Told, random: KeyedRandom): ToldCaption {
  const wordings: ToldCaption[] = [];
  for (const size of [3, 2, 1]) {
    const groups = told.groups.slice(0, size);
    if (groups.length < size) continue;
    for (const coloured of [true, false]) {
      const list = listOf(groups.map((group) => nounPhrase(group, coloured)));
      const mentions = groups.flatMap((group) => groupMentions(group, coloured));
      const ground = `pale ${told.ground.colour}`;
      const word = ['cartoon', 'drawing', 'picture'][random.int(3)] as string;
      for (const text of [
        `${list} on ${withArticle(ground)} background.`,
        `a ${word} of ${list} on ${ground}.`,
      ]) {
        wordings.push({ text: capitalise(text), mentions: [...mentions, told.groundMention] });
      }
      for (const text of [
        `a ${word} of ${list}, drawn like an emoji.`,
        `a simple ${word} that shows ${list}.`,
      ]) {
        wordings.push({ text: capitalise(text), mentions });
      }
    }
  }
  for (const { a, b, relation, mention } of told.relations) {
    const text = `${nounPhrase(a, true)} ${relationWords[relation]} ${nounPhrase(b, true)}, as emoji.`;
    wordings.push({
      text: capitalise(text),
      mentions: [...groupMentions(a, true), ...groupMentions(b, true), mention],
    });
  }
  const miss = ({ text }: ToldCaption): number => {
    const words = wordsOf(text);
    return Math.max(SHORT_WORDS[0] - words, words - SHORT_WORDS[1], 0);
  };
  const least = Math.min(...wordings.map(miss));
  const fitting = wordings.filter((each) => miss(each) === least);
  const chosen = fitting[random.int(fitting.length)] as ToldCaption;
  return { ...chosen, mentions: markRepeats(chosen.mentions) };
}

/** Words of the descriptive and the dense caption: enough, and too many. */
const DSC_WORDS: readonly [number, number] = [42, 55];
const DENSE_WORDS: readonly [number, number] = [108, 160];

/** A sentence of a long caption, and how it ranks: those of low rank are taken first. */
interface Sentence extends ToldCaption {
  readonly rank: number;
}

/** The sentences that matter most, as many as the length allows, in the order in which one tells them. */
function longCaption(
  scene: SceneGraph,
  told: Told,
  random: KeyedRandom,
  [enough, most]: readonly [number, number],
): ToldCaption {
  const sentences = sentencesOf(scene, told, random);
  const chosen = new Set<Sentence>();
  let words = 0;
  for (const sentence of sentences.toSorted((a, b) => a.rank - b.rank)) {
    const length = wordsOf(sentence.text);
    if (words >= enough || words + length > most) continue;
    chosen.add(sentence);
    words += length;
  }
  const told_ = sentences.filter((sentence) => chosen.has(sentence));
  return {
    text: told_.map(({ text }) => text).join(' '),
    mentions: markRepeats(told_.flatMap(({ mentions }) => mentions)),
  };
}

const remark = (value: string): Mention => ({ type: 'other', value, true: true });

/** All that can be said, in order. */
function sentencesOf(scene: SceneGraph, told: Told, random: KeyedRandom): Sentence[] {
  const one = <T>(choices: readonly T[]): T => choices[random.int(choices.length)] as T;
  const { groups } = told;
  const list = listOf(groups.map((group) => nounPhrase(group, true)));
  const word = one(['drawing', 'cartoon', 'picture']);
  const opening = one([
    `This ${word} shows ${list}.`,
    `A simple ${word} with ${list}.`,
    `In this ${word} there ${groups[0] && be(groups[0])} ${list}.`,
  ]);
  const sentences: Sentence[] = [
    { rank: 0, text: opening, mentions: groups.flatMap((group) => groupMentions(group, true)) },
  ];
  for (const group of groups) {
    if (group.regionMention === undefined || group.region === undefined) continue;
    const where = group.region === 'middle' ? 'in the middle' : `at the ${group.region}`;
    const text = one([
      `The ${group.thing.name} is ${where} of the picture.`,
      `You can see the ${group.thing.name} ${where}.`,
    ]);
    sentences.push({ rank: 3, text, mentions: [group.object, group.regionMention] });
  }
  for (const [i, { a, b, relation, mention }] of told.relations.entries()) {
    const text = `${capitalise(theName(a))} is ${relationWords[relation]} ${theName(b)}.`;
    sentences.push({ rank: 2 + 3 * i, text, mentions: [a.object, b.object, mention] });
  }
  if (told.text !== undefined) {
    const text = one([`A white sign reads "${told.text}".`, `The word "${told.text}" is written on a sign.`]);
    sentences.push({ rank: 1, text, mentions: [told.textMention] });
  }
  sentences.push({ rank: 1, text: `${groundSentence(told.ground)}.`, mentions: [told.groundMention] });
  return [...sentences, ...remarksOf(scene, told, random)];
}

const amount = (count: number): string =>
  count === 0 ? 'nothing' : `${numbers[count]} ${count === 1 ? 'thing' : 'things'}`;

/** What is true of every scene, or is counted in this one: it fills a caption up, as captioners do. */
function remarksOf(scene: SceneGraph, told: Told, random: KeyedRandom): Sentence[] {
  const one = <T>(choices: readonly T[]): T => choices[random.int(choices.length)] as T;
  const say = (rank: number, what: string, text: string): Sentence => ({
    rank,
    text,
    mentions: [remark(what)],
  });
  const places = scene.groups.flatMap((group) => group.places);
  const cover = places.reduce((sum, { side }) => sum + side ** 2, 0) / 100;
  const share =
    cover < 22
      ? 'less than a quarter'
      : cover < 30
        ? 'about a quarter'
        : cover < 45
          ? 'more than a quarter'
          : 'nearly half or more';
  const left = places.filter(({ x }) => x < 50).length;
  const look = looks[scene.style.name] ?? 'simple shapes';
  return [
    say(
      6,
      'look',
      `The art is ${one(['simple and friendly', 'clean and plain', 'clear and cheerful'])}, with ${look}.`,
    ),
    ...(told.text === undefined
      ? [say(7, 'no text', one(['No writing can be seen.', 'There is no text in it.']))]
      : []),
    say(8, 'apart', 'Nothing covers anything else, so that all of it can be seen whole.'),
    say(
      9,
      'halves',
      `Counted by their centres, the left half of the picture holds ${amount(left)} and the right half holds ${amount(places.length - left)}.`,
    ),
    say(10, 'cover', `What is drawn takes up ${share} of the square, and the rest of it is empty ground.`),
    say(
      11,
      'flat',
      'There is no floor and no horizon, and no shadows fall, so that everything seems to float freely.',
    ),
    say(
      12,
      'pale',
      'Since the ground is pale, what stands on it is easy to make out even when the picture is small.',
    ),
    say(
      13,
      'emoji',
      `The manner is that of ${one(['emoji in a chat', 'stickers on a page', 'icons in an app'])}, without any detail of the world around.`,
    ),
  ];
}

/** Five captions as people write them: short, true, each with another choice of what to say. */
function humanCaptions(told: Told, random: KeyedRandom): string[] {
  const groups = random.shuffle([...told.groups]);
  const [first, second] = groups as [ToldGroup, ToldGroup?];
  const all = listOf(groups.map((group) => nounPhrase(group, false)));
  const coloured = listOf(groups.slice(0, 2).map((group) => nounPhrase(group, true)));
  const total = groups.reduce((sum, { count }) => sum + count, 0);
  const relation = told.relations[random.int(Math.max(1, told.relations.length))];
  const ground = told.ground.colour;
  const texts = [
    `${all} on a ${ground} background`.replace(/ a (?=[aeio])/, ' an '),
    capitalise(`${coloured}${groups.length > 2 ? ' with some other things' : ''}.`),
    relation === undefined
      ? `A picture with ${nounPhrase(first, true)}${second === undefined ? ' and nothing else' : ` and ${nounPhrase(second, false)}`}.`
      : `${capitalise(nounPhrase(relation.a, false))} ${relationWords[relation.relation]} ${nounPhrase(relation.b, false)}.`,
    told.text === undefined
      ? `${total === 1 ? 'a single emoji' : `${numbers[total]} emoji`}: ${all}`
      : `a sign that says ${told.text.toLowerCase()} and ${nounPhrase(first, false)}`,
    `Cartoon ${listOf(groups.map(({ thing, count }) => (count === 1 ? thing.name : thing.plural)))}, light ${ground} behind`,
  ];
  return texts;
}
