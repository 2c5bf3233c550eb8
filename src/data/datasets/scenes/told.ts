/**
 * A scene as a faulty captioner tells it: some of it left out, some of it changed, each at a set rate. What is said
 * is recorded with whether it is true.
 */
import type { KeyedRandom } from '../../../rng.js';
import type { Ground } from '../ground.js';
import { type Fact, inverse, onlyPlace, type Relation, regionOf, regions, relationsOf } from './facts.js';
import type { Group, SceneGraph } from './scene.js';
import type { Thing } from './things.js';

/** How much captions leave out and make up. */
export interface Rates {
  /** Share of the kinds of things that a caption does not mention; it mentions one at least. */
  readonly omit: number;
  /** Share of the objects, counts, colours, positions, relations, grounds and texts that it has wrong. */
  readonly invent: number;
}

/** An assertion in a caption: a fact, or what is told in its stead. */
export interface Mention extends Fact {
  readonly true: boolean;
  /** What is true instead, where there is something. */
  readonly truth?: string;
  /** Whether the caption has said it before; CHAIR counts such mentions, the number of assertions does not. */
  readonly repeat?: boolean;
}

/** What is said of one thing. Its facts are those of a thing that is not there if the name is wrong. */
export interface ToldGroup {
  readonly group: Group;
  readonly thing: Thing;
  readonly count: number;
  readonly colour: string;
  readonly region: string | undefined;
  readonly object: Mention;
  readonly countMention: Mention;
  readonly colourMention: Mention;
  readonly regionMention: Mention | undefined;
}

/** What is said of a pair of things. */
export interface ToldRelation {
  readonly a: ToldGroup;
  readonly b: ToldGroup;
  readonly relation: Relation;
  readonly mention: Mention;
}

/** All that a caption may say. */
export interface Told {
  readonly groups: readonly ToldGroup[];
  readonly relations: readonly ToldRelation[];
  readonly ground: Ground;
  readonly groundMention: Mention;
  /** What the sign is said to read; undefined if there is none. */
  readonly text: string | undefined;
  readonly textMention: Mention;
}

const colourNames = [
  'red',
  'orange',
  'yellow',
  'green',
  'blue',
  'purple',
  'pink',
  'brown',
  'black',
  'white',
  'grey',
];
const groundColours = ['pink', 'peach', 'yellow', 'lime', 'green', 'teal', 'blue', 'purple', 'grey'];

/** Tells the scene. `things` are those that wrong names are taken from, of the same theme if there is one. */
export function tell(
  scene: SceneGraph,
  rates: Rates,
  things: readonly Thing[],
  texts: readonly string[],
  random: KeyedRandom,
): Told {
  const wrong = (): boolean => random.uniform() < rates.invent;
  const one = <T>(choices: readonly T[]): T => choices[random.int(choices.length)] as T;
  const kept = scene.groups.filter(() => random.uniform() >= rates.omit);
  const largest = scene.groups.toSorted((x, y) => areaOf(y) - areaOf(x))[0] as Group;
  const used = new Set(scene.groups.map(({ thing }) => thing.name));
  const groups = (kept.length > 0 ? kept : [largest]).map((group): ToldGroup => {
    const { name, theme } = group.thing;
    const swapped = wrong();
    const related = things.filter((each) => each.theme === theme && !used.has(each.name));
    const thing = swapped
      ? one(related.length > 0 ? related : things.filter((each) => !used.has(each.name)))
      : group.thing;
    used.add(thing.name);
    const say = (type: Fact['type'], value: string, truth: string): Mention =>
      mention({ type, object: thing.name, value }, !swapped && value === truth, swapped ? undefined : truth);
    const real = group.places.length;
    const count = wrong()
      ? one([real - 1, real + 1, real + 2].filter((n) => n >= 1 && n <= 7 && n !== real))
      : real;
    const colour = wrong() ? one(colourNames.filter((each) => !group.colours.includes(each))) : group.colour;
    const place = onlyPlace(group);
    const real_ = place === undefined ? undefined : regionOf(place);
    const region =
      real_ !== undefined && wrong() ? one(regions.flat().filter((each) => each !== real_)) : real_;
    return {
      group,
      thing,
      count,
      colour,
      region: count === 1 ? region : undefined,
      object: mention(
        { type: 'object', object: thing.name, value: 'present' },
        !swapped,
        swapped ? name : undefined,
      ),
      countMention: say('count', String(count), String(real)),
      colourMention: say('colour', colour, group.colour),
      regionMention: region === undefined ? undefined : say('position', region, real_ as string),
    };
  });
  const relations = relationsOf(scene).flatMap(({ a, b, relation }): ToldRelation[] => {
    const [one_, other] = [a, b].map((group) => groups.find((each) => each.group === group));
    if (one_ === undefined || other === undefined || one_.count !== 1 || other.count !== 1) return [];
    const told = wrong() ? inverse[relation] : relation;
    const real = one_.object.true && other.object.true;
    const said: Fact = { type: 'relation', object: one_.thing.name, value: told, other: other.thing.name };
    return [
      {
        a: one_,
        b: other,
        relation: told,
        mention: mention(said, real && told === relation, real ? relation : undefined),
      },
    ];
  });
  const { ground, sign } = scene;
  const colour = wrong()
    ? one(groundColours.filter((each) => each !== ground.colour && each !== ground.otherColour))
    : ground.colour;
  const sameOther = ground.otherColour === ground.colour;
  const text = sign !== undefined && wrong() ? one(texts.filter((each) => each !== sign.text)) : sign?.text;
  return {
    groups,
    relations,
    ground: { ...ground, colour, otherColour: sameOther ? colour : ground.otherColour },
    groundMention: mention({ type: 'ground', value: colour }, colour === ground.colour, ground.colour),
    text,
    textMention: mention({ type: 'text', value: text ?? '' }, text === sign?.text, sign?.text ?? ''),
  };
}

function mention(fact: Fact, isTrue: boolean, truth: string | undefined): Mention {
  return { ...fact, true: isTrue, ...(isTrue || truth === undefined ? {} : { truth }) };
}

const areaOf = ({ places }: Group): number => places.reduce((sum, { side }) => sum + side ** 2, 0);
