/** Builds the openclipart data set: real clip art with what people wrote about it. */
import { type FileHandle, open, readFile, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { DataError } from '../../../errors.js';
import { uniform } from '../../../rng.js';
import { clusterDuplicates, type Fingerprint, fingerprintOf, hashText } from '../../image/duplicates.js';
import { mapConcurrently } from '../../map-concurrently.js';
import type { Split } from '../../schema.js';
import { CaptionMeter } from '../caption-tokens.js';
import { MANIFEST_NAME, type Manifest } from '../manifest.js';
import { versionsOf } from '../packages.js';
import { replaceDirectory, writeJson } from '../publish.js';
import { type BuildOptions, checkCommon, checkInteger, checkShare, countBy, writeShards } from '../shards.js';
import { type ClipFile, DEFAULT_FROM, listClips, type SkippedFile } from './files.js';
import { THUMB_SIDE } from './look.js';
import { decodeXml, readMetadata } from './metadata.js';
import { RenderPool } from './render-pool.js';
import { type Clip, clipColumns, clipRow, foldersOf } from './rows.js';

/** What to build; everything has a default, `size` 224. */
export interface BuildOpenclipartOptions extends BuildOptions {
  /** Folder of the SVG files. Default: where Debian's package openclipart-svg puts them. */
  readonly from?: string;
  /** Only so many files, spread evenly over all. Their pictures are those of the whole set, their splits may differ. */
  readonly limit?: number;
  /** Share of files that may be unusable, 0 to 1. Default 0.05; more is an error. */
  readonly maxSkipRatio?: number;
  /** Seconds that a file may take to draw. Default 10. */
  readonly timeout?: number;
}

/** A drawing and where its picture waits. */
interface Rendered extends Omit<Clip, 'hash' | 'duplicateOf' | 'split'> {
  readonly print: Fingerprint;
  readonly offset: number;
  readonly length: number;
}

/** A placed drawing and where its picture waits. */
interface Placed extends Clip {
  readonly offset: number;
  readonly length: number;
}

/** Clusters of more near-duplicates than this are trained on, whatever their draw: they would fill a split. */
const MAX_HELD_OUT_CLUSTER = 20;

/**
 * Builds the set and returns its manifest. The directory appears whole or not at all.
 *
 * @throws ConfigError for an option out of range, a folder without SVG files, or an `out` that is no data set.
 * @throws DataError if more files cannot be used than `maxSkipRatio` allows.
 */
export async function buildOpenclipart(options: BuildOpenclipartOptions = {}): Promise<Manifest> {
  const { out = 'data/openclipart', size = 224, seed = 0, workers = availableParallelism() } = options;
  const { from = DEFAULT_FROM, maxSkipRatio = 0.05, timeout = 10 } = options;
  checkCommon(size, seed, workers);
  checkShare('max-skip-ratio', maxSkipRatio);
  checkInteger('timeout', timeout, 1, 3600);
  if (options.limit !== undefined) checkInteger('limit', options.limit, 1, Number.MAX_SAFE_INTEGER);
  const listed = await listClips(from);
  const files = spread(listed.files, options.limit ?? listed.files.length);
  const allowed = Math.floor(maxSkipRatio * (files.length + listed.skipped.length));
  return replaceDirectory(out, async (directory) => {
    const waiting = join(directory, 'pictures.tmp');
    const store = await open(waiting, 'wx+');
    try {
      const skipped = [...listed.skipped];
      const rendered = await renderAll(files, skipped, allowed, store, {
        ...options,
        size,
        seed,
        workers,
        timeout,
      });
      const clips = place(rendered, seed);
      const altKinds: Record<string, number> = {};
      const meter = await CaptionMeter.open(['alt', 'ssc', 'dsc', 'afc'], options.signal);
      const plan = {
        columns: clipColumns,
        pictures: clips,
        splitOf: ({ split }: Placed) => split,
        makeRow: async (clip: Placed) => {
          const image = await readBytes(store, clip.offset, clip.length);
          const { row, altKind } = clipRow(clip, seed, image);
          altKinds[altKind] = (altKinds[altKind] ?? 0) + 1;
          meter?.add(row);
          return row;
        },
      };
      const { onProgress: _, ...writing } = options; // drawing is what takes the time
      const shards = await writeShards(directory, plan, writing, workers);
      const manifest: Manifest = {
        name: 'openclipart',
        version: 2,
        seed,
        imageSize: size,
        rows: clips.length,
        columns: [...clipColumns],
        splits: countBy(clips, ({ split }) => split),
        art: {
          openclipart: {
            images: clips.length,
            package: 'openclipart-svg (Debian)',
            packageVersion: '0.18',
            author: 'the authors named in the column author',
            licence: 'public domain',
            licenceUrl: 'https://creativecommons.org/licenses/publicdomain/',
          },
        },
        counts: {
          altKinds,
          groups: countBy(clips, ({ key }) => foldersOf(key)[0]),
          written: {
            titles: clips.filter(({ metadata }) => metadata.title !== '').length,
            descriptions: clips.filter(({ metadata }) => metadata.description !== '').length,
            keywords: clips.filter(({ metadata }) => metadata.keywords.length > 0).length,
          },
          duplicates: { marked: clips.filter(({ duplicateOf }) => duplicateOf !== undefined).length },
        },
        settings: { maxSkipRatio, timeout },
        ...(meter === undefined ? {} : { captionTokens: meter.summary() }),
        skipped,
        files: [],
        versions: versionsOf(['emojibase-data', 'sharp', 'apache-arrow', 'hyparquet-writer']),
        shards,
      };
      await writeJson(join(directory, MANIFEST_NAME), manifest);
      return manifest;
    } finally {
      await store.close();
      await rm(waiting, { force: true });
    }
  });
}

/** Draws all files into the store; those that cannot be used are added to `skipped`. */
async function renderAll(
  files: readonly ClipFile[],
  skipped: SkippedFile[],
  allowed: number,
  store: FileHandle,
  options: BuildOpenclipartOptions & { size: number; seed: number; workers: number; timeout: number },
): Promise<Rendered[]> {
  const { signal, onProgress, size, seed, workers } = options;
  const pool = new RenderPool(options.timeout * 1000);
  const end = (): void => pool.close();
  signal?.addEventListener('abort', end);
  let offset = 0;
  let done = 0;
  try {
    const found = await mapConcurrently(
      files,
      workers,
      async ({ key, path }): Promise<Rendered | undefined> => {
        signal?.throwIfAborted();
        const reply = await pool.render({ key, path, seed, size });
        signal?.throwIfAborted();
        onProgress?.(++done, files.length);
        if ('reason' in reply) {
          skipped.push({ file: `${key}.svg`, reason: reply.reason });
          if (skipped.length > allowed) throw tooMany(skipped, allowed, files.length);
          return undefined;
        }
        const { jpeg, thumb, look, ground } = reply.clip;
        const at = offset;
        offset += jpeg.length;
        await store.write(jpeg, 0, jpeg.length, at);
        const metadata = readMetadata(decodeXml(await readFile(path)));
        return {
          key,
          metadata,
          look,
          ground,
          print: fingerprintOf(thumb, THUMB_SIDE),
          offset: at,
          length: jpeg.length,
        };
      },
    );
    skipped.sort((a, b) => (a.file < b.file ? -1 : 1));
    return found.filter((each) => each !== undefined);
  } finally {
    signal?.removeEventListener('abort', end);
    pool.close();
  }
}

function tooMany(skipped: readonly SkippedFile[], allowed: number, total: number): DataError {
  const shown = skipped.slice(-5).map(({ file, reason }) => `  ${file}: ${reason}`);
  return new DataError(
    `${skipped.length} of ${total} files cannot be used; at most ${allowed} may be. The last of them:\n` +
      `${shown.join('\n')}\nLook at these files, or allow more with --max-skip-ratio.`,
  );
}

/** Finds duplicates and gives each cluster of them a split: 80 % train, 10 % val, 10 % test. */
function place(rendered: readonly Rendered[], seed: number): Placed[] {
  const firsts = clusterDuplicates(rendered.map(({ print }) => print));
  const sizes = countBy(firsts, String);
  return rendered.map(({ print, ...clip }, index) => {
    const first = firsts[index] as number;
    const leader = (rendered[first] as Rendered).key;
    const draw = uniform(seed, leader, 'split');
    const large = (sizes[String(first)] as number) > MAX_HELD_OUT_CLUSTER;
    const split: Split = large || draw < 0.8 ? 'train' : draw < 0.9 ? 'val' : 'test';
    return { ...clip, hash: hashText(print), duplicateOf: first === index ? undefined : leader, split };
  });
}

async function readBytes(store: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  await store.read(bytes, 0, length, offset);
  return bytes;
}

/** `count` of the files at even distances. */
function spread(files: readonly ClipFile[], count: number): ClipFile[] {
  if (count >= files.length) return [...files];
  return Array.from({ length: count }, (_, i) => files[Math.floor((i * files.length) / count)] as ClipFile);
}
