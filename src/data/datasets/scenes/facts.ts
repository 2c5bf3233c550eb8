/** What is true of a scene, as atomic facts. Every caption's assertions are held against these. */
import type { Group, Place, SceneGraph } from './scene.js';

/** The kinds of assertions about a scene. */
export type FactType = 'object' | 'count' | 'colour' | 'position' | 'relation' | 'ground' | 'text' | 'other';

/** One fact. `object` is the thing's name; `value` what is said of it; `other` the second thing of a relation. */
export interface Fact {
  readonly type: FactType;
  readonly object?: string;
  readonly value: string;
  readonly other?: string;
}

/** The relations between two things. */
export type Relation = 'left of' | 'right of' | 'above' | 'below';

/** The relation that is true if things change places. */
export const inverse: Readonly<Record<Relation, Relation>> = {
  'left of': 'right of',
  'right of': 'left of',
  above: 'below',
  below: 'above',
};

/** How a relation is said: 'is to the left of'. */
export const relationWords: Readonly<Record<Relation, string>> = {
  'left of': 'to the left of',
  'right of': 'to the right of',
  above: 'above',
  below: 'below',
};

/** The nine parts of a picture by name, row by row. */
export const regions: readonly (readonly string[])[] = [
  ['upper left', 'top', 'upper right'],
  ['left', 'middle', 'right'],
  ['lower left', 'bottom', 'lower right'],
];

/** The part of the picture in which the centre of a place lies. */
export function regionOf({ x, y }: Place): string {
  const third = (at: number): number => (at < 39 ? 0 : at <= 61 ? 1 : 2);
  return (regions[third(y)] as readonly string[])[third(x)] as string;
}

/**
 * The relation of one place to another, by the direction in which they are clearly farther apart (1.4 times the
 * other), where they do not overlap in it; undefined between.
 */
export function relationOf(a: Place, b: Place): Relation | undefined {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const apart = (a.side + b.side) / 2;
  if (Math.abs(dx) >= 1.4 * Math.abs(dy) && Math.abs(dx) >= 0.8 * apart)
    return dx > 0 ? 'left of' : 'right of';
  if (Math.abs(dy) >= 1.4 * Math.abs(dx) && Math.abs(dy) >= 0.8 * apart) return dy > 0 ? 'above' : 'below';
  return undefined;
}

/** The single thing of a group; undefined if there are several. */
export function onlyPlace({ places }: Group): Place | undefined {
  return places.length === 1 ? places[0] : undefined;
}

/** The clear relations between things of which there is one each; each pair once, in the order of the groups. */
export function relationsOf({ groups }: SceneGraph): { a: Group; b: Group; relation: Relation }[] {
  const found: { a: Group; b: Group; relation: Relation }[] = [];
  for (const [i, a] of groups.entries()) {
    for (const b of groups.slice(i + 1)) {
      const [one, other] = [onlyPlace(a), onlyPlace(b)];
      const relation = one === undefined || other === undefined ? undefined : relationOf(one, other);
      if (relation !== undefined) found.push({ a, b, relation });
    }
  }
  return found;
}

/** Every fact of a scene that captions and questions speak of. */
export function factsOf(scene: SceneGraph): Fact[] {
  const facts: Fact[] = [];
  for (const group of scene.groups) {
    const object = group.thing.name;
    facts.push({ type: 'object', object, value: 'present' });
    facts.push({ type: 'count', object, value: String(group.places.length) });
    facts.push({ type: 'colour', object, value: group.colour });
    const place = onlyPlace(group);
    if (place !== undefined) facts.push({ type: 'position', object, value: regionOf(place) });
  }
  for (const { a, b, relation } of relationsOf(scene)) {
    facts.push({ type: 'relation', object: a.thing.name, value: relation, other: b.thing.name });
  }
  facts.push({ type: 'ground', value: scene.ground.colour });
  facts.push({ type: 'text', value: scene.sign?.text ?? '' });
  return facts;
}

/** The scene as plain data, for the column `scene`. */
export function describeScene(scene: SceneGraph): object {
  const { ground, groups, sign } = scene;
  const round = (value: number): number => Math.round(100 * value) / 100;
  return {
    style: scene.style.name,
    ground: { texture: ground.texture, colour: ground.colour, otherColour: ground.otherColour },
    objects: groups.flatMap(({ thing, colour, colours, recoloured, places }) =>
      places.map(({ x, y, side, tilt }) => ({
        name: thing.name,
        hexcode: thing.concept.hexcode,
        theme: thing.theme,
        colour,
        colours,
        recoloured,
        x: round(x),
        y: round(y),
        side: round(side),
        tilt: round(tilt),
      })),
    ),
    relations: relationsOf(scene).map(({ a, b, relation }) => [a.thing.name, relation, b.thing.name]),
    sign:
      sign === undefined
        ? null
        : {
            text: sign.text,
            left: round(sign.left),
            top: round(sign.top),
            width: round(sign.width),
            height: round(sign.height),
          },
  };
}
