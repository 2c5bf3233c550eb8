/** The six vendors' drawings of the concepts. */
import { DataError } from '../../../errors.js';
import type { Split } from '../../schema.js';
import { readPackage } from '../packages.js';
import { type Concept, plainHexcode } from './concepts.js';
import { fxemojiNames } from './fxemoji-names.js';

/** A vendor's art. */
export interface Style {
  /** Name in keys and columns; also the icon set's package name after its scope. */
  readonly name: string;
  /** As people write it. */
  readonly title: string;
  readonly split: Split;
}

/**
 * The styles and their splits. Training has three ways of drawing: shaded (Noto), flat (Fluent) and black outline
 * (OpenMoji). Test has Twemoji, which draws every concept, and EmojiOne, older art at another level of detail:
 * no picture of either is ever trained on. Validation has FxEmoji, whose thousand drawings would leave a test of
 * all labels the most holes.
 */
export const styles: readonly Style[] = [
  { name: 'noto', title: 'Noto', split: 'train' },
  { name: 'twemoji', title: 'Twemoji', split: 'test' },
  { name: 'fluent-emoji-flat', title: 'Fluent', split: 'train' },
  { name: 'fxemoji', title: 'FxEmoji', split: 'val' },
  { name: 'openmoji', title: 'OpenMoji', split: 'train' },
  { name: 'emojione', title: 'EmojiOne', split: 'test' },
];

/** One drawing, as SVG. */
export interface Drawing {
  readonly iconName: string;
  /** Content of an `<svg>` element. */
  readonly body: string;
  /** The part of the plane that the drawing takes, in user units. */
  readonly viewBox: readonly [left: number, top: number, width: number, height: number];
}

/** A style's art and whence it comes. */
export interface StyleArt {
  readonly style: Style;
  /** Drawings by hexcode. */
  readonly drawings: ReadonlyMap<string, Drawing>;
  readonly packageName: string;
  readonly packageVersion: string;
  readonly author: string;
  readonly licence: string;
  readonly licenceUrl: string;
}

interface Icon {
  readonly body: string;
  readonly left?: number;
  readonly top?: number;
  readonly width?: number;
  readonly height?: number;
}

interface IconSet {
  readonly width?: number;
  readonly height?: number;
  readonly icons: Readonly<Record<string, Icon>>;
  readonly aliases?: Readonly<Record<string, { readonly parent: string } & Partial<Icon>>>;
}

/** The styles whose sets list their icons by hexcode; the others' are found by name. */
const coded = new Set(['noto', 'twemoji', 'fluent-emoji-flat', 'openmoji']);

const letters = (text: string): string =>
  text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]/g, '');

/** Loads a style's drawings of the concepts. @throws DataError if the set draws none of them. */
export function loadStyle(style: Style, concepts: readonly Concept[]): StyleArt {
  const packageName = `@iconify-json/${style.name}`;
  const set = readPackage<IconSet>(`${packageName}/icons.json`);
  const info = readPackage<{
    author: { name: string };
    license: { title: string; spdx?: string; url: string };
  }>(`${packageName}/info.json`);
  const iconNames = coded.has(style.name) ? byCode(packageName) : byName(style, set, concepts);
  const drawings = new Map<string, Drawing>();
  for (const { hexcode } of concepts) {
    const iconName = iconNames.get(hexcode);
    const drawing = iconName === undefined ? undefined : drawingOf(set, iconName);
    if (drawing !== undefined) drawings.set(hexcode, drawing);
  }
  if (drawings.size === 0) {
    throw new DataError(
      `${packageName}: draws none of the ${concepts.length} concepts. Install the pinned packages again.`,
    );
  }
  return {
    style,
    drawings,
    packageName,
    packageVersion: readPackage<{ version: string }>(`${packageName}/package.json`).version,
    author: info.author.name,
    licence: info.license.spdx ?? info.license.title,
    licenceUrl: info.license.url,
  };
}

function byCode(packageName: string): Map<string, string> {
  const chars = readPackage<Record<string, string>>(`${packageName}/chars.json`);
  return new Map(Object.entries(chars).map(([hexcode, name]) => [plainHexcode(hexcode), name]));
}

/**
 * Finds icons by name, comparing letters and digits only. Names are tried in rounds, the surest first, over
 * all concepts, and an icon is given to one concept only: a short code such as 'family' must not take an
 * icon whose label is another concept's.
 */
function byName(style: Style, set: IconSet, concepts: readonly Concept[]): Map<string, string> {
  const icons = new Map(
    [...Object.keys(set.icons), ...Object.keys(set.aliases ?? {})].map((name) => [letters(name), name]),
  );
  const others = [...coded].map((name) => byCode(`@iconify-json/${name}`));
  const rounds: ((concept: Concept) => readonly (string | undefined)[])[] = [
    ({ label }) => (style.name === 'fxemoji' ? [fxemojiNames[label]] : []),
    ({ label }) => [label, label.replace(/^flag: /, 'flag for flag '), label.replace(/^flag: /, 'flag for ')],
    ({ label }) => [
      label.replace(/ \(.*\)$/, ''),
      `${label} face`,
      label.replace(/^(.*) cat/, '$1 cat face'),
    ],
    ({ hexcode }) => others.map((names) => names.get(hexcode)),
    ({ shortcodes }) => shortcodes,
  ];
  const found = new Map<string, string>();
  const taken = new Set<Icon>();
  for (const names of rounds) {
    for (const concept of concepts) {
      if (found.has(concept.hexcode)) continue;
      for (const name of names(concept)) {
        const icon = name === undefined ? undefined : icons.get(letters(name));
        if (icon === undefined || letters(name as string) === '') continue;
        const drawn = set.icons[parentOf(set, icon)];
        if (drawn === undefined || taken.has(drawn)) continue;
        taken.add(drawn);
        found.set(concept.hexcode, icon);
        break;
      }
    }
  }
  return found;
}

const parentOf = (set: IconSet, name: string): string => set.aliases?.[name]?.parent ?? name;

function drawingOf(set: IconSet, name: string): Drawing | undefined {
  const icon = set.icons[parentOf(set, name)];
  if (icon === undefined) return undefined;
  const width = icon.width ?? set.width ?? 16;
  const height = icon.height ?? set.height ?? 16;
  return { iconName: name, body: icon.body, viewBox: [icon.left ?? 0, icon.top ?? 0, width, height] };
}
