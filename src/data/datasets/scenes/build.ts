/** Builds the scenes data set: composed pictures of which everything is known. */
import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Split } from '../../schema.js';
import { CaptionMeter } from '../caption-tokens.js';
import { loadConcepts } from '../emoji/concepts.js';
import { loadStyle, type StyleArt, styles } from '../emoji/styles.js';
import { type Art, MANIFEST_NAME, type Manifest, type ManifestFile } from '../manifest.js';
import { versionsOf } from '../packages.js';
import { describeFile, replaceDirectory, writeJson } from '../publish.js';
import { type BuildOptions, checkCommon, checkInteger, checkShare, countBy, writeShards } from '../shards.js';
import { countingOf, popeKinds, popeOf, promptsOf, vqaOf } from './questions.js';
import { makeSceneRow, type SceneContext, sceneColumns, type Truth } from './rows.js';
import { type Cast, drawScene, type SceneGraph } from './scene.js';
import { loadThings, type Thing } from './things.js';

/** What to build; everything has a default, `size` 224. */
export interface BuildScenesOptions extends BuildOptions {
  /** Pictures, 10 to 10,000,000. Default 10,000. A larger set begins with the smaller one's pictures. */
  readonly count?: number;
  /** Share of the kinds of things that a synthetic caption leaves out, 0 to 0.9. Default 0.15. */
  readonly omit?: number;
  /** Share of what a synthetic caption says that is made up, 0 to 1. Default 0.1. */
  readonly invent?: number;
}

/** Prompts of each kind. */
const PROMPTS_EACH = 50;

/**
 * Builds the set and returns its manifest. The directory appears whole or not at all.
 *
 * @throws ConfigError for an option out of range, or if `out` holds something other than a data set.
 */
export async function buildScenes(options: BuildScenesOptions = {}): Promise<Manifest> {
  const { out = 'data/scenes', size = 224, seed = 0, workers = availableParallelism() } = options;
  const { count = 10_000, omit = 0.15, invent = 0.1 } = options;
  checkCommon(size, seed, workers);
  checkInteger('count', count, 10, 10_000_000);
  checkShare('omit', omit, 0.9);
  checkShare('invent', invent);
  const concepts = loadConcepts();
  const things = loadThings(concepts);
  const art = styles.map((style) => loadStyle(style, concepts));
  const casts = castsOf(art, things);
  const context: SceneContext = { seed, size, rates: { omit, invent }, things, concepts };
  const keys = Array.from({ length: count }, (_, index) => ({
    key: `scene-${String(index).padStart(7, '0')}`,
    split: splitOf(index),
  }));
  return replaceDirectory(out, async (directory) => {
    const tally = new Tally();
    const meter = await CaptionMeter.open(['alt', 'ssc', 'dsc', 'dsc+', 'afc'], options.signal);
    const asked = new Map<string, Map<string, unknown[]>>();
    const ask = (file: string, key: string, lines: unknown[]): void => {
      asked.set(file, (asked.get(file) ?? new Map<string, unknown[]>()).set(key, lines));
    };
    const plan = {
      columns: sceneColumns,
      pictures: keys,
      splitOf: ({ split }: { split: Split }) => split,
      makeRow: async ({ key, split }: { key: string; split: Split }) => {
        const scene = await drawScene(seed, key, split, casts[split]);
        const made = await makeSceneRow(scene, context);
        tally.add(scene, made.altKind, made.truth);
        meter?.add(made.row);
        ask(`vqa-${split}.jsonl`, key, vqaOf(seed, scene));
        ask(`counting-${split}.jsonl`, key, countingOf(seed, scene, things));
        for (const kind of split === 'train' ? [] : popeKinds) {
          ask(`pope-${kind}-${split}.jsonl`, key, popeOf(seed, scene, things, kind));
        }
        return made.row;
      },
    };
    const shards = await writeShards(directory, plan, options, workers);
    const files = [await writeLines(directory, 'prompts.jsonl', promptsOf(seed, things, PROMPTS_EACH))];
    for (const name of [...asked.keys()].sort()) {
      const byKey = [...(asked.get(name) as Map<string, unknown[]>)].sort(([a], [b]) => (a < b ? -1 : 1));
      files.push(
        await writeLines(
          directory,
          name,
          byKey.flatMap(([, lines]) => lines),
        ),
      );
    }
    const manifest: Manifest = {
      name: 'scenes',
      version: 2,
      seed,
      imageSize: size,
      rows: count,
      columns: [...sceneColumns],
      splits: countBy(keys, ({ split }) => split),
      art: Object.fromEntries(art.map((each) => [each.style.name, describeArt(each, tally)])),
      counts: { altKinds: tally.altKinds, things: tally.things, ...tally.truth },
      settings: { omit, invent },
      ...(meter === undefined ? {} : { captionTokens: meter.summary() }),
      skipped: [],
      files,
      versions: versionsOf(['emojibase-data', 'sharp', 'apache-arrow', 'hyparquet-writer']),
      shards,
    };
    await writeJson(join(directory, MANIFEST_NAME), manifest);
    return manifest;
  });
}

/** Of ten pictures eight are trained on, one validates and one tests; each split has styles of its own. */
const splitOf = (index: number): Split => (index % 10 < 8 ? 'train' : index % 10 === 8 ? 'val' : 'test');

function castsOf(art: readonly StyleArt[], things: readonly Thing[]): Record<Split, Cast[]> {
  const casts = art.map(({ style, drawings }) => ({
    style,
    drawings,
    things: things.filter(({ concept }) => drawings.has(concept.hexcode)),
  }));
  const of = (split: Split): Cast[] => casts.filter(({ style }) => style.split === split);
  return { train: of('train'), val: of('val'), test: of('test') };
}

/** Counts over all scenes. */
class Tally {
  readonly altKinds: Record<string, number> = {};
  readonly things: Record<string, number> = { '1': 0, '2': 0, '3': 0, '4': 0, '5': 0, '6': 0 };
  readonly styles: Record<string, number> = {};
  /** By caption kind. */
  readonly truth: Record<string, Record<string, number>> = {};

  add(scene: SceneGraph, altKind: string, truth: Readonly<Record<string, Truth>>): void {
    const count = (counts: Record<string, number>, name: string, by = 1): void => {
      counts[name] = (counts[name] ?? 0) + by;
    };
    count(this.altKinds, altKind);
    count(this.things, String(scene.groups.reduce((sum, { places }) => sum + places.length, 0)));
    count(this.styles, scene.style.name);
    for (const [kind, found] of Object.entries(truth)) {
      const counts: Record<string, number> = this.truth[kind] ?? {};
      this.truth[kind] = counts;
      for (const [name, by] of Object.entries(found)) count(counts, name, by);
    }
  }
}

function describeArt({ style, packageName, ...art }: StyleArt, { styles: images }: Tally): Art {
  return {
    split: style.split,
    images: images[style.name] ?? 0,
    package: packageName,
    packageVersion: art.packageVersion,
    author: art.author,
    licence: art.licence,
    licenceUrl: art.licenceUrl,
  };
}

async function writeLines(directory: string, name: string, lines: readonly unknown[]): Promise<ManifestFile> {
  const path = join(directory, name);
  await writeFile(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  return { name, rows: lines.length, ...(await describeFile(path)) };
}
