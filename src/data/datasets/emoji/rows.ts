/** The columns and rows of the emoji data set. A row is a pure function of the seed, the size and the key. */
import type { Column, Row } from '../../schema.js';
import { type AltKind, altOf } from './alt.js';
import { captionsOf } from './captions.js';
import { drawingColours } from './colours.js';
import type { Concept } from './concepts.js';
import { renderPicture, sceneOf } from './scene.js';
import type { Drawing, Style } from './styles.js';

/** The data set's columns, in the order in which they are written. */
export const emojiColumns: readonly Column[] = [
  ...[
    'key',
    'style',
    'hexcode',
    'group',
    'subgroup',
    'label',
    'alt',
    'alt_lang',
    'ssc',
    'dsc',
    'dsc+',
    'afc',
  ].map((name): Column => ({ name, type: 'string' })),
  { name: 'captions', type: 'list<string>' },
  { name: 'caption_source', type: 'string' },
  { name: 'split', type: 'string' },
  { name: 'image', type: 'binary' },
];

/** One picture to be made. */
export interface Picture {
  readonly concept: Concept;
  readonly style: Style;
  readonly drawing: Drawing;
  /** Which of the concept's pictures in that style it is, from 0: each has a scene and captions of its own. */
  readonly rendering: number;
}

/** Makes a row, and says where its AltText comes from. `size` is in pixels. */
export async function makeRow(
  { concept, style, drawing, rendering }: Picture,
  all: readonly Concept[],
  seed: number,
  size: number,
): Promise<{ row: Row; altKind: AltKind }> {
  const key = `${style.name}/${concept.hexcode}${rendering === 0 ? '' : `/${rendering}`}`;
  const scene = sceneOf(seed, key);
  const alt = altOf(seed, key, concept, style, all);
  const captions = captionsOf(seed, key, concept, style, await drawingColours(drawing), scene, alt);
  const row: Row = {
    key,
    style: style.name,
    hexcode: concept.hexcode,
    group: concept.group,
    subgroup: concept.subgroup,
    label: concept.label,
    alt: alt.text,
    alt_lang: alt.language,
    ssc: captions.ssc,
    dsc: captions.dsc,
    'dsc+': captions.dense,
    afc: captions.afc,
    captions: [...captions.retrieval],
    caption_source: 'rules',
    split: style.split,
    image: await renderPicture(scene, drawing, size),
  };
  return { row, altKind: alt.kind };
}
