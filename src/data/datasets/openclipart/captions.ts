/**
 * Synthetic captions of clip art by rules, as far as the title, the folder and the pixels honestly allow: what is
 * drawn, its colours, its outline, how it fills its place, the ground. There is no dense caption: nothing is known
 * to fill a hundred tokens with.
 */
import { KeyedRandom } from '../../../rng.js';
import { groundSentence } from '../ground.js';
import { capitalise, listOf, withArticle } from '../words.js';
import type { ClipAlt } from './alt.js';
import type { Look } from './look.js';
import type { ClipMetadata } from './metadata.js';
import { kindOf, nounOf, UNKNOWN_KIND } from './nouns.js';
import type { ClipGround } from './render.js';

/** The synthetic captions of one drawing. */
export interface ClipCaptions {
  /** One sentence, mostly of 10 to 15 CLIP tokens. */
  readonly ssc: string;
  /** Mostly 40 to 60. */
  readonly dsc: string;
  /** `dsc` with what the AltText adds. */
  readonly afc: string;
}

/** The captions of the drawing with that key. */
export function clipCaptionsOf(
  seed: number,
  key: string,
  metadata: ClipMetadata,
  look: Look,
  ground: ClipGround,
  alt: ClipAlt,
): ClipCaptions {
  const random = new KeyedRandom(seed, key, 'captions');
  const one = <T>(choices: readonly T[]): T => choices[random.int(choices.length)] as T;
  const noun = nounOf(key, metadata);
  const thing = withArticle(noun);
  const colours = look.colours.slice(0, 3);
  const main = colours[0] as string;
  const twoColours = listOf(colours.slice(0, 2));
  const behind = ground.kind === 'pale' ? `pale ${ground.colour}` : ground.kind;

  const ssc = capitalise(
    one([
      `${thing} drawn in ${twoColours}, a piece of clip art.`,
      `a clip art drawing of ${thing}, mostly ${main} in colour.`,
      `${thing} in ${twoColours} on a ${behind} background.`,
    ]),
  );

  const kind = kindOf(key);
  const isKind = noun === kind || kind === UNKNOWN_KIND ? '' : `, ${withArticle(kind)}`;
  const opening = one([
    `This piece of clip art shows ${thing}${isKind}.`,
    `This clip art drawing shows ${thing}${isKind}.`,
    `A clip art picture of ${thing}${isKind}.`,
  ]);
  const sentences = [
    opening,
    colourSentence(look),
    `${one(['The shape', 'As a whole it', 'It'])} is ${shapeOf(look)}.`,
    ground.kind === 'pale'
      ? `${groundSentence(ground)}.`
      : `The background is plain ${ground.kind === 'white' ? 'white' : 'dark blue-grey'}.`,
  ];
  const dsc = sentences.join(' ');
  return { ssc, dsc, afc: alt.fact === undefined ? dsc : `${dsc} ${alt.fact}` };
}

function colourSentence({ colours, colourless }: Look): string {
  const [main, ...others] = colours as [string, ...string[]];
  if (others.length === 0) return `It is ${main} all over, with hardly any other colour.`;
  const rest = listOf(others.slice(0, 3));
  return colourless > 0.97
    ? `Without any bright colour, it is mostly ${main}, with parts in ${rest}.`
    : `Most of it is ${main}, and other parts are ${rest}.`;
}

function shapeOf({ aspect, fill, symmetry }: Look): string {
  const outline =
    aspect > 1.6
      ? 'much wider than tall'
      : aspect > 1.15
        ? 'wider than tall'
        : aspect < 0.6
          ? 'tall and narrow'
          : aspect < 0.87
            ? 'taller than wide'
            : 'about as wide as tall';
  const filled = fill > 0.75 ? 'solid' : fill > 0.35 ? 'partly filled' : 'made of thin parts';
  return `${outline}, ${filled}, and ${symmetry > 0.93 ? 'alike on both sides' : 'differs from left to right'}`;
}
