/** Inspection of a data set: what it holds and what is wrong with it. */
import { availableParallelism } from 'node:os';
import { ConfigError } from '../../errors.js';
import { type OpenOptions, openSource } from '../datasets/open.js';
import { mapConcurrently } from '../map-concurrently.js';
import type { Source } from '../sources/source.js';
import { type EntityExtractor, entityExtractors } from './extractors.js';
import { describeSource, splitsOfFiles } from './files.js';
import { type InspectPhase, inspectCaptions } from './inspect-captions.js';
import { inspectImages } from './inspect-images.js';
import { spreadPlaces } from './read-rows.js';
import type { DataReport } from './report.js';
import { sampleRows } from './samples.js';
import { SeveralSources } from './several.js';
import { InspectThreads } from './threads.js';

/** What to inspect, and how much of it. */
export interface InspectOptions extends Omit<OpenOptions, 'onDamage'> {
  /** Read the captions of so many rows only, at even distances drawn by the seed. Default: all. */
  readonly sample?: number;
  /** Decode so many images, at even distances over the rows that are read. Default 2,000; 0 reads none. */
  readonly decode?: number | 'all';
  /** How entities are found in captions. Default `nouns`. */
  readonly entities?: EntityExtractor;
  /** Seed of what is sampled. Default 0. */
  readonly seed?: number;
  /** Threads that measure. Default: the number of cores. */
  readonly workers?: number;
  /** Ends the inspection, which then throws the signal's reason. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (phase: InspectPhase, done: number, total: number) => void;
}

/** Images that are decoded where nothing else is said. */
export const DEFAULT_DECODE = 2000;
/** Rows shown with their pictures. */
const NUM_SAMPLES = 24;
const OPEN_AT_ONCE = 4;

/**
 * Reads data sets and reports what they hold, several as one. Rows that cannot be read and images that cannot be decoded are
 * counted with their reasons, and of several shards those that cannot be opened are left out and named. Memory does not grow with the number of rows beyond some hundreds of megabytes: over
 * 2.5 million different captions, keys or entities, counts of repeats and overlaps are estimated from a sample of the
 * different values (the report says so).
 *
 * @throws ConfigError for an option out of range, or as `openSource` does.
 * @throws DataError if nothing of a data set can be opened.
 */
export async function inspectData(
  paths: string | readonly string[],
  options: InspectOptions = {},
): Promise<DataReport> {
  const { sample, decode = DEFAULT_DECODE, entities = 'nouns', seed = 0, signal } = options;
  const { workers = availableParallelism() } = options;
  check(options);
  const damagedFiles: { path: string; message: string }[] = [];
  const sources = await openAll([paths].flat(), {
    ...options,
    onDamage: (path, { message }) => damagedFiles.push({ path, message }),
  });
  let threads: InspectThreads | undefined;
  // What a thread works on may take long, and would be waited for.
  const end = (): void => void threads?.close();
  signal?.addEventListener('abort', end);
  try {
    threads = await InspectThreads.start(workers, entities);
    signal?.throwIfAborted();
    const notes: string[] = [];
    const imageless = await withoutImages(sources, notes);
    const described = await mapConcurrently(sources, OPEN_AT_ONCE, (source) =>
      describeSource(source, seed, (column) => column !== 'image' || !imageless.has(source)),
    );
    signal?.throwIfAborted();
    const all = new SeveralSources(sources, imageless);
    const places = spreadPlaces(all.numRows, sample ?? all.numRows, seed, 'rows');
    const work = { all, threads, seed, signal, onProgress: options.onProgress };
    const started = performance.now();
    const { splits, ...captions } = await inspectCaptions(work, places);
    const read = performance.now();
    const numDecoded = decode === 'all' ? places.length : Math.min(decode, places.length);
    const images =
      numDecoded === 0 || !all.has('image') ? undefined : await inspectImages(work, places, numDecoded);
    const decoded = performance.now();
    const shown = spreadPlaces(places.length, NUM_SAMPLES, seed, 'shown').map((i) => places[i] as number);
    const bySplit = splits ?? splitsByFiles(sources);
    return {
      sources: described,
      damagedFiles: damagedFiles.toSorted((a, b) => (a.path < b.path ? -1 : 1)),
      rows: all.numRows,
      rowsRead: places.length,
      seed,
      extractor: entities,
      ...(bySplit === undefined ? {} : { splits: bySplit }),
      ...captions,
      ...(images === undefined ? {} : { images }),
      samples: await sampleRows(all, shown, all.textColumns, decode !== 0 && all.has('image')),
      notes: [...notes, ...limits(all, places.length, threads)],
      seconds: { captions: (read - started) / 1000, images: (decoded - read) / 1000 },
    };
  } catch (error) {
    signal?.throwIfAborted(); // the error is but that of threads which were ended
    throw error;
  } finally {
    signal?.removeEventListener('abort', end);
    await threads?.close();
    await Promise.all(sources.map((source) => source.close()));
  }
}

function check({ sample, decode, entities, workers, seed }: InspectOptions): void {
  const whole = (name: string, value: number | undefined, least: number): void => {
    if (value === undefined || (Number.isSafeInteger(value) && value >= least)) return;
    throw new ConfigError(`${name} must be a whole number of at least ${least}, found ${value}.`);
  };
  whole('sample', sample, 1);
  whole('decode', decode === 'all' ? undefined : decode, 0);
  whole('workers', workers, 1);
  whole('seed', seed, 0);
  if (entities === undefined || entityExtractors.includes(entities)) return;
  throw new ConfigError(`entities must be one of ${entityExtractors.join(', ')}, found '${entities}'.`);
}

async function openAll(paths: readonly string[], options: OpenOptions): Promise<Source[]> {
  if (paths.length === 0) throw new ConfigError('There is no data set to inspect: name a path.');
  const sources: Source[] = [];
  try {
    for (const path of paths) sources.push(await openSource(path, options));
    return sources;
  } catch (error) {
    await Promise.all(sources.map((source) => source.close()));
    throw error;
  }
}

/** The sources whose rows name images that are not to be had, with a note for each. */
async function withoutImages(sources: readonly Source[], notes: string[]): Promise<Set<Source>> {
  const found = new Set<Source>();
  for (const source of sources) {
    if (!source.columns.includes('image')) continue;
    try {
      await source.readRows([0], ['image']);
    } catch (error) {
      // What is damaged is counted where images are read.
      if (!(error instanceof ConfigError)) continue;
      found.add(source);
      notes.push(`Images were not looked at (option images). ${error.message}`);
    }
  }
  return found;
}

function splitsByFiles(sources: readonly Source[]): DataReport['splits'] {
  const counts = splitsOfFiles(sources);
  return counts === undefined ? undefined : { by: 'file names', counts };
}

function limits(all: SeveralSources, numRead: number, threads: InspectThreads): string[] {
  const notes: string[] = [];
  if (numRead < all.numRows) {
    notes.push(
      `Captions and keys are those of ${numRead} of ${all.numRows} rows, at even distances: counts are of these, and few of ` +
        'the rows that repeat others are among them.',
    );
  }
  if (!threads.hasTokenizer) {
    notes.push('Captions were not counted in CLIP tokens: the tokenizer could not be fetched.');
  }
  if (all.textColumns.length === 0) {
    notes.push(
      'No column holds captions that are known as such: name the schema, or say which column is which.',
    );
  }
  return notes;
}
