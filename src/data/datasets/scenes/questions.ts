/** Questions about scenes with exact answers, and prompts to draw scenes by. */
import { KeyedRandom } from '../../../rng.js';
import { withArticle } from '../words.js';
import { inverse, onlyPlace, type Relation, regionOf, relationsOf, relationWords } from './facts.js';
import { paints } from './recolour.js';
import type { SceneGraph } from './scene.js';
import { drawThing, type Thing } from './things.js';

/** A question whose answer is a word or a number. */
export interface Question {
  readonly question_id: string;
  readonly key: string;
  readonly split: string;
  readonly type: 'colour' | 'position' | 'relation' | 'ground' | 'text' | 'count';
  readonly question: string;
  readonly answer: string;
}

/** Questions about colours, places, relations, the ground and the writing. */
export function vqaOf(seed: number, scene: SceneGraph): Question[] {
  const random = new KeyedRandom(seed, scene.key, 'vqa');
  const asked: Omit<Question, 'question_id' | 'key' | 'split'>[] = [];
  for (const group of scene.groups) {
    const { name, plural } = group.thing;
    const place = onlyPlace(group);
    const subject = place === undefined ? `are the ${plural}` : `is the ${name}`;
    asked.push({ type: 'colour', question: `What colour ${subject} mostly?`, answer: group.colour });
    if (place !== undefined) {
      asked.push({
        type: 'position',
        question: `In which part of the picture is the ${name}?`,
        answer: regionOf(place),
      });
    }
  }
  for (const { a, b, relation } of relationsOf(scene)) {
    const truthful = random.uniform() < 0.5;
    const told: Relation = truthful ? relation : inverse[relation];
    asked.push({
      type: 'relation',
      question: `Is the ${a.thing.name} ${relationWords[told]} the ${b.thing.name}?`,
      answer: truthful ? 'yes' : 'no',
    });
  }
  if (scene.ground.colour === scene.ground.otherColour) {
    asked.push({ type: 'ground', question: 'What colour is the background?', answer: scene.ground.colour });
  }
  if (scene.sign !== undefined) {
    asked.push({ type: 'text', question: 'What is written on the sign?', answer: scene.sign.text });
  }
  return number(scene, 'vqa', asked);
}

/** How many of each thing there are, and of one that is not there. */
export function countingOf(seed: number, scene: SceneGraph, things: readonly Thing[]): Question[] {
  const random = new KeyedRandom(seed, scene.key, 'counting');
  const absent = drawThing(absentFrom(scene, things), random);
  const asked = [
    ...scene.groups.map(({ thing, places }) => [thing, places.length] as const),
    [absent, 0] as const,
  ].map(([thing, count]) => ({
    type: 'count' as const,
    question: `How many ${thing.plural} are there?`,
    answer: String(count),
  }));
  return number(scene, 'counting', asked);
}

function number(
  scene: SceneGraph,
  kind: string,
  asked: readonly Omit<Question, 'question_id' | 'key' | 'split'>[],
): Question[] {
  return asked.map((each, i) => ({
    question_id: `${scene.key}/${kind}/${i}`,
    key: scene.key,
    split: scene.split,
    ...each,
  }));
}

/** Where the things that are not there come from, as POPE has it. */
export const popeKinds = ['random', 'popular', 'adversarial'] as const;

/** A yes-or-no question in POPE's format. */
export interface PopeQuestion {
  readonly question_id: string;
  readonly image: string;
  readonly text: string;
  readonly label: 'yes' | 'no';
}

/**
 * For each thing that is there one question, and one for a thing that is not: any (random), one of those drawn most
 * often over all scenes (popular), or one of the theme of a thing that is there, the most frequent first, since
 * themes go together (adversarial). Li et al. 2023, "Evaluating Object Hallucination in Large Vision-Language Models".
 */
export function popeOf(
  seed: number,
  scene: SceneGraph,
  things: readonly Thing[],
  kind: (typeof popeKinds)[number],
): PopeQuestion[] {
  const random = new KeyedRandom(seed, scene.key, 'pope', kind);
  const absent = random.shuffle([...absentFrom(scene, things)]);
  if (kind !== 'random') absent.sort((a, b) => b.weight - a.weight);
  const themes = new Set(scene.groups.map(({ thing }) => thing.theme));
  if (kind === 'adversarial')
    absent.sort((a, b) => Number(themes.has(b.theme)) - Number(themes.has(a.theme)));
  const asked = scene.groups.flatMap(({ thing }, i): [Thing, 'yes' | 'no'][] => [
    [thing, 'yes'],
    [absent[i] as Thing, 'no'],
  ]);
  return asked.map(([thing, label], i) => ({
    question_id: `${scene.key}/${kind}/${i}`,
    image: scene.key,
    text: `Is there ${withArticle(thing.name)} in the image?`,
    label,
  }));
}

const absentFrom = ({ groups }: SceneGraph, things: readonly Thing[]): Thing[] =>
  things.filter(({ name }) => !groups.some(({ thing }) => thing.name === name));

/** A prompt in GenEval's format. */
export interface Prompt {
  readonly tag: string;
  readonly include: readonly {
    readonly class: string;
    readonly count: number;
    readonly color?: string;
    readonly position?: readonly [string, number];
  }[];
  readonly exclude?: readonly { readonly class: string; readonly count: number }[];
  readonly prompt: string;
}

/** Prompts of each of GenEval's six tags (Ghosh et al. 2023), over the things and colours of scenes. */
export function promptsOf(seed: number, things: readonly Thing[], each: number): Prompt[] {
  const numbers = ['', '', 'two', 'three', 'four'];
  const colours = Object.keys(paints);
  const make = (tag: string, index: number): Prompt => {
    const random = new KeyedRandom(seed, tag, index, 'prompt');
    const one = <T>(choices: readonly T[]): T => choices[random.int(choices.length)] as T;
    const first = drawThing(things, random);
    const second = drawThing(
      things.filter(({ name }) => name !== first.name),
      random,
    );
    const [a, b] = [
      { class: first.name, count: 1 },
      { class: second.name, count: 1 },
    ];
    const paintable = things.filter(({ anyColour }) => anyColour);
    const painted = drawThing(paintable, random);
    const other = drawThing(
      paintable.filter(({ name }) => name !== painted.name),
      random,
    );
    const [colour, otherColour] = random.shuffle([...colours]) as [string, string];
    switch (tag) {
      case 'single_object':
        return { tag, include: [a], prompt: `a picture of ${withArticle(first.name)}` };
      case 'two_object':
        return {
          tag,
          include: [a, b],
          prompt: `a picture of ${withArticle(first.name)} and ${withArticle(second.name)}`,
        };
      case 'counting': {
        const count = 2 + random.int(3);
        return {
          tag,
          include: [{ class: first.name, count }],
          exclude: [{ class: first.name, count: count + 1 }],
          prompt: `a picture of ${numbers[count]} ${first.plural}`,
        };
      }
      case 'colors':
        return {
          tag,
          include: [{ class: painted.name, count: 1, color: colour }],
          prompt: `a picture of ${withArticle(`${colour} ${painted.name}`)}`,
        };
      case 'position': {
        const relation = one(Object.keys(inverse) as Relation[]);
        return {
          tag,
          include: [b, { ...a, position: [relation, 0] }],
          prompt: `a picture of ${withArticle(first.name)} ${relationWords[relation]} ${withArticle(second.name)}`,
        };
      }
      default:
        return {
          tag: 'color_attr',
          include: [
            { class: painted.name, count: 1, color: colour },
            { class: other.name, count: 1, color: otherColour },
          ],
          prompt: `a picture of ${withArticle(`${colour} ${painted.name}`)} and ${withArticle(`${otherColour} ${other.name}`)}`,
        };
    }
  };
  return ['single_object', 'two_object', 'counting', 'colors', 'position', 'color_attr'].flatMap((tag) =>
    Array.from({ length: each }, (_, index) => make(tag, index)),
  );
}
