/** Builds the emoji data set: every concept in six vendors' drawings, as Arrow and Parquet shards. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../../errors.js';
import { type Row, splits } from '../../schema.js';
import { writeArrow, writeParquet } from '../../sources/writers.js';
import { MANIFEST_NAME, type Manifest, type ManifestShard } from '../manifest.js';
import { describeFile, replaceDirectory, writeJson } from '../publish.js';
import { type Concept, loadConcepts, readPackage } from './concepts.js';
import { emojiColumns, makeRow, type Picture } from './rows.js';
import { loadStyle, type StyleArt, styles } from './styles.js';

/** What to build; everything has a default. */
export interface BuildEmojiOptions {
  /** Directory of the data set; replaced if it holds one already. Default data/emoji. */
  readonly out?: string;
  /** Side of the pictures in pixels, 16 to 1024. Default 96. */
  readonly size?: number;
  /** Seed of every draw. Default 0. */
  readonly seed?: number;
  /** Only so many concepts, spread evenly over all groups. Their rows are those of the whole set. */
  readonly limit?: number;
  /**
   * Pictures of each training drawing, 1 to 100, that differ in scene and captions. Default 3: a model that sees
   * a drawing on one ground only remembers the ground. Validation and test drawings have one picture each.
   */
  readonly renderings?: number;
  readonly format?: ManifestShard['format'] | 'both';
  /** Pictures rendered at a time. Default: the number of cores. */
  readonly workers?: number;
  readonly onProgress?: (done: number, total: number) => void;
  /** Stops the build; nothing is left behind. */
  readonly signal?: AbortSignal;
}

/** Rows of a shard. */
const SHARD_ROWS = 1000;
/** Rows that a reader reads at once, some half a megabyte. */
const GROUP_ROWS = 100;

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
    format = 'both',
    workers = availableParallelism(),
  } = options;
  checkInteger('size', size, 16, 1024);
  checkInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER);
  checkInteger('workers', workers, 1, 256);
  checkInteger('renderings', renderings, 1, 100);
  if (options.limit !== undefined) checkInteger('limit', options.limit, 1, Number.MAX_SAFE_INTEGER);
  const all = loadConcepts();
  const concepts = spread(all, options.limit ?? all.length);
  const art = styles.map((style) => loadStyle(style, all));
  const pictures = art.flatMap((of) => picturesOf(of, concepts, renderings));
  const formats: readonly ManifestShard['format'][] = format === 'both' ? ['arrow', 'parquet'] : [format];
  const altKinds: Record<string, number> = {};
  const shards: ManifestShard[] = [];
  let done = 0;

  return replaceDirectory(out, async (directory) => {
    for (const split of splits) {
      const ofSplit = pictures.filter(({ style }) => style.split === split);
      for (let start = 0; start < ofSplit.length; start += SHARD_ROWS) {
        const wanted = ofSplit.slice(start, start + SHARD_ROWS);
        const rows = await mapConcurrently(wanted, workers, async (picture): Promise<Row> => {
          options.signal?.throwIfAborted();
          const { row, altKind } = await makeRow(picture, all, seed, size);
          altKinds[altKind] = (altKinds[altKind] ?? 0) + 1;
          done++;
          options.onProgress?.(done, pictures.length);
          return row;
        });
        for (const each of formats) {
          const name = `${split}-${String(start / SHARD_ROWS).padStart(5, '0')}.${each}`;
          const write = each === 'arrow' ? writeArrow : writeParquet;
          await write(join(directory, name), emojiColumns, rows, GROUP_ROWS);
          shards.push({
            name,
            format: each,
            split,
            rows: rows.length,
            ...(await describeFile(join(directory, name))),
          });
        }
      }
    }
    const manifest: Manifest = {
      name: 'emoji',
      version: 1,
      seed,
      imageSize: size,
      rows: pictures.length,
      columns: [...emojiColumns],
      splits: countBy(pictures, ({ style }) => style.split),
      styles: Object.fromEntries(art.map((of) => [of.style.name, describeStyle(of, concepts, renderings)])),
      altKinds,
      versions: versions(),
      shards,
    };
    await writeJson(join(directory, MANIFEST_NAME), manifest);
    return manifest;
  });
}

function checkInteger(name: string, value: number, low: number, high: number): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  throw new ConfigError(`--${name} is ${value}; expected an integer from ${low} to ${high}.`);
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

function describeStyle(
  art: StyleArt,
  concepts: readonly Concept[],
  renderings: number,
): Manifest['styles'][string] {
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

/** capstan's version and those of the libraries that shape the files. */
function versions(): Record<string, string> {
  const { version, dependencies } = readPackage<{ version: string; dependencies: Record<string, string> }>(
    '../../../../package.json',
  );
  const used = ['emojibase-data', 'sharp', 'apache-arrow', 'hyparquet-writer'];
  return {
    capstan: version,
    ...Object.fromEntries(used.map((name) => [name, dependencies[name] ?? 'unknown'])),
  };
}

function countBy<T>(items: readonly T[], nameOf: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[nameOf(item)] = (counts[nameOf(item)] ?? 0) + 1;
  return counts;
}

/** Maps with at most `limit` calls under way, keeping the order. */
async function mapConcurrently<T, R>(
  items: readonly T[],
  limit: number,
  map: (item: T) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const run = async (): Promise<void> => {
    for (let i = next++; i < items.length; i = next++) results[i] = await map(items[i] as T);
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, run));
  return results;
}
