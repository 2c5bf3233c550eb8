/** The columns and rows of the scenes data set. A row is a pure function of the seed, the rates, the size and the key. */
import type { Column, Row } from '../../schema.js';
import { type AltKind, altOf } from '../emoji/alt.js';
import type { Concept } from '../emoji/concepts.js';
import { sceneCaptionsOf, type ToldCaption } from './captions.js';
import { describeScene, factsOf, relationsOf } from './facts.js';
import { renderScene, type SceneGraph } from './scene.js';
import type { Thing } from './things.js';
import type { Rates } from './told.js';

const texts = (...names: string[]): Column[] => names.map((name) => ({ name, type: 'string' }));
const lists = (...names: string[]): Column[] => names.map((name) => ({ name, type: 'list<string>' }));

/** The data set's columns, in the order in which they are written. */
export const sceneColumns: readonly Column[] = [
  ...texts('key', 'style', 'alt', 'alt_lang', 'ssc', 'dsc', 'dsc+', 'afc'),
  ...lists('captions'),
  ...texts('caption_source'),
  ...lists('objects', 'object_colours', 'relations'),
  ...texts('ground', 'text', 'scene', 'facts', 'mentions', 'hallucinated', 'split'),
  { name: 'image', type: 'binary' },
];

/** How true the synthetic captions of a set are, counted in the course of a build. */
export interface Truth {
  /** Assertions, repeated ones aside. */
  assertions: number;
  falseAssertions: number;
  /** Namings of things, repeated ones too: those of CHAIR. */
  objectMentions: number;
  hallucinatedObjects: number;
  captions: number;
}

/** What a row is made with. */
export interface SceneContext {
  readonly seed: number;
  readonly size: number;
  readonly rates: Rates;
  readonly things: readonly Thing[];
  readonly concepts: readonly Concept[];
}

/** A row, where its AltText comes from, and how true its captions are by kind. */
export interface SceneRow {
  readonly row: Row;
  readonly altKind: AltKind;
  readonly truth: Readonly<Record<string, Truth>>;
}

/** Makes the row of a scene. */
export async function makeSceneRow(
  scene: SceneGraph,
  { seed, size, rates, things, concepts }: SceneContext,
): Promise<SceneRow> {
  const { key, style, split, groups, ground, sign } = scene;
  const first = groups[0] as SceneGraph['groups'][number];
  const alt = altOf(seed, key, first.thing.concept, style, concepts);
  const captions = sceneCaptionsOf(seed, scene, rates, things, alt);
  const told: Record<string, ToldCaption> = { ssc: captions.ssc, dsc: captions.dsc, 'dsc+': captions.dense };
  const each = <T>(map: (caption: ToldCaption) => T): Record<string, T> =>
    Object.fromEntries(Object.entries(told).map(([kind, caption]) => [kind, map(caption)]));
  const instances = groups.flatMap((group) => group.places.map(() => group));
  const row: Row = {
    key,
    style: style.name,
    alt: alt.text,
    alt_lang: alt.language,
    ...each(({ text }) => text),
    afc: captions.afc,
    captions: [...captions.human],
    caption_source: 'rules',
    objects: instances.map(({ thing }) => thing.name),
    object_colours: instances.map(({ colour }) => colour),
    relations: relationsOf(scene).map(({ a, b, relation }) => `${a.thing.name} ${relation} ${b.thing.name}`),
    ground: ground.colour,
    text: sign?.text ?? '',
    scene: JSON.stringify(describeScene(scene)),
    facts: JSON.stringify(factsOf(scene)),
    mentions: JSON.stringify(each(({ mentions }) => mentions)),
    hallucinated: JSON.stringify(
      each(({ mentions }) => [...new Set(wrongObjects(mentions).map(({ object }) => object))]),
    ),
    split,
    image: await renderScene(scene, size),
  };
  return { row, altKind: alt.kind, truth: each(truthOf) };
}

const wrongObjects = (mentions: ToldCaption['mentions']): ToldCaption['mentions'] =>
  mentions.filter((mention) => mention.type === 'object' && !mention.true);

function truthOf({ mentions }: ToldCaption): Truth {
  const assertions = mentions.filter(({ repeat }) => repeat !== true);
  return {
    assertions: assertions.length,
    falseAssertions: assertions.filter((mention) => !mention.true).length,
    objectMentions: mentions.filter(({ type }) => type === 'object').length,
    hallucinatedObjects: wrongObjects(mentions).length,
    captions: 1,
  };
}
