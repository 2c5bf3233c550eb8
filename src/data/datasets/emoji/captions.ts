/**
 * Synthetic captions by rules over what a picture shows: the thing's name or kind, its colours and, but in the
 * short caption, its ground and place. They stand in for a captioner's until one has been trained, and rows say so
 * (`caption_source`).
 */
import { KeyedRandom } from '../../../rng.js';
import { groundSentence } from '../ground.js';
import { capitalise, listOf, withArticle } from '../words.js';
import type { Alt } from './alt.js';
import type { Concept } from './concepts.js';
import { looks } from './looks.js';
import { kindOf, nounOf } from './nouns.js';
import type { Scene } from './scene.js';
import type { Style } from './styles.js';

/** The captions of one picture; tokens are CLIP's. */
export interface Captions {
  /** One sentence, mostly of 10 to 15 tokens. */
  readonly ssc: string;
  /** 40 to 60 tokens. */
  readonly dsc: string;
  /** More than 100 tokens. */
  readonly dense: string;
  /** `dsc` with what the AltText adds. */
  readonly afc: string;
  /** Five for retrieval: the label, and sentences with tags. */
  readonly retrieval: readonly string[];
}

function placeOf({ centre: [x, y] }: Scene): string {
  const across = x < 47.5 ? 'left' : x > 52.5 ? 'right' : '';
  const down = y < 47.5 ? 'upper' : y > 52.5 ? 'lower' : '';
  if (across === '' && down === '') return 'right in the middle of the square picture';
  if (down === '') return `a little to the ${across} of the middle`;
  return across === '' ? `in the ${down} part of the picture` : `toward the ${down} ${across} of the picture`;
}

function tiltOf({ tilt }: Scene): string {
  if (Math.abs(tilt) < 3) return 'stands upright without any tilt';
  return `is tilted ${Math.abs(tilt) < 8 ? 'slightly' : 'clearly'} to the ${tilt < 0 ? 'left' : 'right'}`;
}

const sizeOf = ({ side }: Scene): string =>
  side < 64 ? 'rather small' : side < 72 ? 'of medium size' : 'large';

/** The captions of the picture with that key. `colours` are the drawing's, the largest first. */
export function captionsOf(
  seed: number,
  key: string,
  concept: Concept,
  style: Style,
  colours: readonly string[],
  scene: Scene,
  alt: Alt,
): Captions {
  const random = new KeyedRandom(seed, key, 'captions');
  const one = <T>(choices: readonly T[]): T => choices[random.int(choices.length)] as T;
  const noun = nounOf(seed, concept);
  const thing = withArticle(noun);
  const main = colours[0] ?? 'black';
  const others = listOf(colours.length === 0 ? [main] : colours.slice(0, 2));
  const drawingWord = one(['drawing', 'cartoon', 'picture', 'illustration']);

  const ssc = shortCaption(
    random.int(3),
    drawingWord,
    main,
    [noun, kindOf(concept)],
    random.shuffle([...concept.tags]),
  );

  const opening = one([
    `This ${drawingWord} shows ${thing} drawn mainly in ${others}.`,
    `A simple ${drawingWord} of ${thing}, coloured mainly in ${others}.`,
    `The ${drawingWord} is of ${thing}, coloured ${others}.`,
  ]);
  const placing = `It is ${sizeOf(scene)}, sits ${placeOf(scene)} and ${tiltOf(scene)}.`;
  const dsc = `${opening} ${placing} ${groundSentence(scene)}.`;

  const more = colours.slice(2, 5);
  const detail = [
    more.length === 0
      ? `No other colour than ${others} stands out in the drawing itself.`
      : `Smaller parts of it are ${listOf(more)}, set off against the ${main} that covers most of the shape.`,
    `The art is ${one(['simple and friendly', 'clean and plain', 'clear and cheerful'])}, with ${looks[style.name] ?? 'simple shapes'}, like ${one(['an emoji in a chat', 'a sticker', 'an icon in an app'])}.`,
    `${one(['Around it there is', 'On all sides there is'])} ${scene.side > 70 ? 'only a narrow margin' : 'a wide empty margin'}, and nothing else at all appears anywhere in the square picture.`,
    `${one(['As a whole', 'Taken together'])}, the image reads as ${withArticle(concept.group === 'flags' ? 'flag' : 'single small sign')} about ${concept.group.replace('&', 'and')}, easy to recognise at a glance.`,
  ];
  const dense = [dsc, ...detail].join(' ');

  const added =
    alt.fact === undefined ? '' : ` ${one(['It is', 'The thing shown is', 'This one is'])} ${alt.fact}.`;
  return { ssc, dsc, dense, afc: `${dsc}${added}`, retrieval: retrievalOf(concept, random) };
}

/**
 * One sentence, in the fullest of its wordings that has at most 13 words and marks, near as many tokens. It says
 * what the thing is and is for and its colour, not the ground: a caption that tells pictures apart by their ground
 * teaches a model nothing about the thing.
 */
function shortCaption(
  form: number,
  drawingWord: string,
  colour: string,
  nouns: readonly string[],
  tags: readonly string[],
): string {
  const [first = 'a sign', second = first] = tags;
  const subjects = first === second ? [first] : [`${first} and ${second}`, first];
  let text = '';
  for (const noun of nouns) {
    for (const subject of subjects) {
      const forms = [
        `${withArticle(drawingWord)} of ${withArticle(noun)} in ${colour}, for ${subject}.`,
        `${withArticle(colour)} ${noun} drawn as a cartoon, about ${subject}.`,
        `${withArticle(noun)} in ${colour}, ${withArticle(drawingWord)} about ${subject}.`,
      ];
      text = capitalise(forms[form] as string);
      if ((text.match(/\p{L}+|\p{N}|[^\s\p{L}\p{N}]+/gu)?.length ?? 0) <= 13) return text;
    }
  }
  return text;
}

function retrievalOf({ phrase, tags, group, subgroup }: Concept, random: KeyedRandom): string[] {
  const thing = withArticle(phrase);
  const words = random.shuffle([...tags]);
  const tag = (index: number): string => words[index % Math.max(1, words.length)] ?? subgroup;
  return [
    phrase,
    `an emoji of ${thing}, for ${tag(0)}`,
    `${thing} that stands for ${tag(1)} and ${tag(2)}`,
    `${tag(3)}: a drawing of ${thing}`,
    `a picture about ${group.replace('&', 'and')} that shows ${thing}`,
  ];
}
