/** The columns and rows of the openclipart data set. */
import type { Column, Row, Split } from '../../schema.js';
import { type ClipAltKind, clipAltOf, writtenTexts } from './alt.js';
import { clipCaptionsOf } from './captions.js';
import type { Look } from './look.js';
import type { ClipMetadata } from './metadata.js';
import type { ClipGround } from './render.js';

const texts = (...names: string[]): Column[] => names.map((name) => ({ name, type: 'string' }));

/** The data set's columns, in the order in which they are written. */
export const clipColumns: readonly Column[] = [
  ...texts('key', 'group', 'subgroup', 'alt', 'alt_lang', 'alt_kind', 'ssc', 'dsc', 'afc'),
  { name: 'captions', type: 'list<string>' },
  ...texts('caption_source', 'title', 'description'),
  { name: 'keywords', type: 'list<string>' },
  ...texts('author', 'language', 'licence', 'file_name', 'hash', 'duplicate_of', 'split'),
  { name: 'image', type: 'binary' },
];

/** One drawing, rendered, with its place among the others. */
export interface Clip {
  readonly key: string;
  readonly metadata: ClipMetadata;
  readonly look: Look;
  readonly ground: ClipGround;
  /** 64-bit difference hash in hexadecimal. */
  readonly hash: string;
  /** Key of the first of its near-duplicates; undefined if it is that or has none. */
  readonly duplicateOf: string | undefined;
  readonly split: Split;
}

/** The row of a drawing. */
export function clipRow(clip: Clip, seed: number, image: Uint8Array): { row: Row; altKind: ClipAltKind } {
  const { key, metadata, look, ground } = clip;
  const alt = clipAltOf(seed, key, metadata);
  const [group, subgroup] = foldersOf(key);
  const row: Row = {
    key,
    group,
    subgroup,
    alt: alt.text,
    alt_lang: alt.kind === 'file-name' ? 'zxx' : languageOf(metadata.language),
    alt_kind: alt.kind,
    ...clipCaptionsOf(seed, key, metadata, look, ground, alt),
    captions: [...new Set(Object.values(writtenTexts(key, metadata)))],
    caption_source: 'rules',
    title: metadata.title,
    description: metadata.description,
    keywords: [...metadata.keywords],
    author: metadata.author,
    language: metadata.language,
    licence: metadata.licence,
    file_name: `${key.slice(key.lastIndexOf('/') + 1)}.svg`,
    hash: clip.hash,
    duplicate_of: clip.duplicateOf ?? null,
    split: clip.split,
    image,
  };
  return { row, altKind: alt.kind };
}

/** The two outer folders by name: 'animals' and 'birds'; 'animals' twice where there is but one. */
export function foldersOf(key: string): [group: string, subgroup: string] {
  const folders = key
    .split('/')
    .slice(0, -1)
    .map((name) => name.replaceAll(/[_-]+/g, ' '));
  const group = folders[0] ?? 'unsorted';
  return [group, folders[1] ?? group];
}

/** Two letters where a language is declared, 'und' where it is not: 'en' of 'en_GB en_US'. */
function languageOf(declared: string): string {
  return (
    /^([a-z]{2})(?:$|[-_ ])/i.exec(declared)?.[1]?.toLowerCase() ?? (/^eng/i.test(declared) ? 'en' : 'und')
  );
}
