/** Builds the emoji data set: every concept in six vendors' drawings, as Arrow and Parquet shards. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { type Art, MANIFEST_NAME, type Manifest } from '../manifest.js';
import { versionsOf } from '../packages.js';
import { replaceDirectory, writeJson } from '../publish.js';
import { type BuildOptions, checkCommon, checkInteger, countBy, writeShards } from '../shards.js';
import { type Concept, loadConcepts } from './concepts.js';
import { emojiColumns, makeRow, type Picture } from './rows.js';
import { loadStyle, type StyleArt, styles } from './styles.js';

/** What to build; everything has a default, `size` 96. */
export interface BuildEmojiOptions extends BuildOptions {
  /** Only so many concepts, spread evenly over all groups. Their rows are those of the whole set. */
  readonly limit?: number;
  /**
   * Pictures of each training drawing, 1 to 100, that differ in scene and captions. Default 3: a model that sees
   * a drawing on one ground only remembers the ground. Validation and test drawings have one picture each.
   */
  readonly renderings?: number;
}

/**
 * Builds the set and returns its manifest. The directory appears whole or not at all.
 *
 * @throws ConfigError for an option out of range, or if `out` holds something other than a data set.
 */
export async function buildEmoji(options: BuildEmojiOptions = {}): Promise<Manifest> {
  const {
    out = 'data/emoji',
    size = 96,
    seed = 0,
    renderings = 3,
    workers = availableParallelism(),
  } = options;
  checkCommon(size, seed, workers);
  checkInteger('renderings', renderings, 1, 100);
  if (options.limit !== undefined) checkInteger('limit', options.limit, 1, Number.MAX_SAFE_INTEGER);
  const all = loadConcepts();
  const concepts = spread(all, options.limit ?? all.length);
  const art = styles.map((style) => loadStyle(style, all));
  const pictures = art.flatMap((of) => picturesOf(of, concepts, renderings));
  const altKinds: Record<string, number> = {};
  return replaceDirectory(out, async (directory) => {
    const plan = {
      columns: emojiColumns,
      pictures,
      splitOf: ({ style }: Picture) => style.split,
      makeRow: async (picture: Picture) => {
        const { row, altKind } = await makeRow(picture, all, seed, size);
        altKinds[altKind] = (altKinds[altKind] ?? 0) + 1;
        return row;
      },
    };
    const shards = await writeShards(directory, plan, options, workers);
    const manifest: Manifest = {
      name: 'emoji',
      version: 2,
      seed,
      imageSize: size,
      rows: pictures.length,
      columns: [...emojiColumns],
      splits: countBy(pictures, ({ style }) => style.split),
      art: Object.fromEntries(art.map((of) => [of.style.name, describeArt(of, concepts, renderings)])),
      counts: { altKinds },
      settings: { renderings },
      skipped: [],
      files: [],
      versions: versionsOf(['emojibase-data', 'sharp', 'apache-arrow', 'hyparquet-writer']),
      shards,
    };
    await writeJson(join(directory, MANIFEST_NAME), manifest);
    return manifest;
  });
}

/** `count` of the concepts at even distances. */
function spread(concepts: readonly Concept[], count: number): Concept[] {
  if (count >= concepts.length) return [...concepts];
  return Array.from(
    { length: count },
    (_, i) => concepts[Math.floor((i * concepts.length) / count)] as Concept,
  );
}

function picturesOf(
  { style, drawings }: StyleArt,
  concepts: readonly Concept[],
  renderings: number,
): Picture[] {
  const each = Array.from({ length: style.split === 'train' ? renderings : 1 }, (_, rendering) => rendering);
  return concepts.flatMap((concept) => {
    const drawing = drawings.get(concept.hexcode);
    return drawing === undefined ? [] : each.map((rendering) => ({ concept, style, drawing, rendering }));
  });
}

function describeArt(art: StyleArt, concepts: readonly Concept[], renderings: number): Art {
  return {
    split: art.style.split,
    images: picturesOf(art, concepts, renderings).length,
    missing: concepts.filter(({ hexcode }) => !art.drawings.has(hexcode)).length,
    package: art.packageName,
    packageVersion: art.packageVersion,
    author: art.author,
    licence: art.licence,
    licenceUrl: art.licenceUrl,
  };
}
