/**
 * Reads a run folder: only its files, so that a report can be made of a run copied from elsewhere, of
 * one that is still training, and of one that crashed.
 */
import { readdir, readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { ConfigError, DataError } from '../errors.js';

const metricsRow = z.looseObject({
  step: z.number(),
  samplesSeen: z.number().optional(),
  loss: z.number(),
  lr: z.number().optional(),
  logitScale: z.number().optional(),
  gradNorm: z.number().optional(),
  stepMs: z.number().optional(),
  dataWaitMs: z.number().optional(),
  imgPerSec: z.number().optional(),
  mix: z.record(z.string(), z.number()).optional(),
  tokensMean: z.number().optional(),
  truncatedShare: z.number().optional(),
  skipped: z.number().optional(),
  noCaption: z.number().optional(),
});

const interval = z.object({ low: z.number(), high: z.number() });
const byK = z.record(z.string(), z.number());
const direction = z.object({
  numQueries: z.number(),
  numCandidates: z.number(),
  recallAt: byK,
  chanceAt: byK,
  recallAt1Interval: interval.optional(),
  medianRank: z.number().optional(),
});

const shared = {
  step: z.number(),
  data: z.string(),
  split: z.string(),
  numSkipped: z.number().default(0),
};

const zeroShotFile = z.object({
  ...shared,
  task: z.literal('zero-shot'),
  classes: z.string(),
  templates: z.string(),
  metrics: z.object({
    numImages: z.number(),
    numClasses: z.number(),
    top1: z.number(),
    top1Interval: interval,
    top5: z.number(),
    meanPerClassRecall: z.number(),
    chanceTop1: z.number(),
    chanceTop5: z.number(),
  }),
  confusions: z.array(
    z.object({ actual: z.string(), predicted: z.string(), count: z.number(), share: z.number() }),
  ),
  examples: z.array(
    z.object({
      key: z.string(),
      image: z.string(),
      label: z.string(),
      predictions: z.array(z.object({ name: z.string(), logit: z.number(), correct: z.boolean() })),
    }),
  ),
});

const retrievalFile = z.object({
  ...shared,
  task: z.literal('retrieval'),
  metrics: z.object({ textToImage: direction, imageToText: direction }),
  galleries: z.array(
    z.object({
      name: z.string(),
      numImages: z.number(),
      numTexts: z.number(),
      textToImage: direction,
      imageToText: direction,
    }),
  ),
  examples: z.object({
    textToImage: z.array(
      z.object({
        query: z.string(),
        gallery: z.string(),
        results: z.array(
          z.object({ image: z.string(), label: z.string(), score: z.number(), correct: z.boolean() }),
        ),
      }),
    ),
    imageToText: z.array(
      z.object({
        image: z.string(),
        label: z.string(),
        gallery: z.string(),
        results: z.array(z.object({ text: z.string(), score: z.number(), correct: z.boolean() })),
      }),
    ),
  }),
});

const evalRow = z.looseObject({ step: z.number() });

/** One row of metrics.jsonl. */
export type MetricsRow = z.infer<typeof metricsRow>;
/** eval/zero-shot-*.json. */
export type ZeroShotFile = z.infer<typeof zeroShotFile> & { readonly file: string };
/** eval/retrieval-*.json. */
export type RetrievalFile = z.infer<typeof retrievalFile> & { readonly file: string };
/** One direction of retrieval as the eval files hold it. */
export type DirectionMetrics = z.infer<typeof direction>;

/** What a run folder holds, parsed. */
export interface RunFiles {
  readonly dir: string;
  readonly name: string;
  /** config.yaml as it is written there, and parsed. */
  readonly configText: string;
  readonly config: Record<string, unknown>;
  /** versions.json, if there. */
  readonly versions: Record<string, unknown>;
  readonly metrics: MetricsRow[];
  /** Evaluations during training: step and numbers named like 'zeroShot/top1'. */
  readonly evals: Record<string, number>[];
  readonly zeroShot: ZeroShotFile[];
  readonly retrieval: RetrievalFile[];
}

/** Whether a result is of the run's own data set, and not of one that `capstan eval --data` named. */
export function isOwnData({ config }: RunFiles, { data }: ZeroShotFile | RetrievalFile): boolean {
  const own = (config.data as { path?: unknown } | undefined)?.path;
  return own === undefined || own === data;
}

/** The results that speak for the run: on its own data, and of several steps the last one's. */
export function ownResults(run: RunFiles): Pick<RunFiles, 'zeroShot' | 'retrieval'> {
  return { zeroShot: latest(run, run.zeroShot), retrieval: latest(run, run.retrieval) };
}

function latest<T extends ZeroShotFile | RetrievalFile>(run: RunFiles, files: readonly T[]): T[] {
  const newest = new Map<string, T>();
  for (const file of files) {
    if (!isOwnData(run, file)) continue;
    const what = file.task === 'zero-shot' ? [file.classes, file.templates] : [];
    const key = JSON.stringify([file.split, ...what]);
    const other = newest.get(key);
    if (other === undefined || file.step > other.step) newest.set(key, file);
  }
  return [...newest.values()];
}

/** What a result is of: the split, the data set if it is not the run's own, the templates if not the usual ones. */
export function describeResult(run: RunFiles, file: ZeroShotFile | RetrievalFile): string {
  const data = isOwnData(run, file) ? '' : ` of ${file.data}`;
  const templates =
    file.task === 'zero-shot' && file.templates !== 'emoji' ? `, templates ${file.templates}` : '';
  return `${file.split}${data}${templates}`;
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

async function readOptional(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw new DataError(`${path}: cannot be read (${(error as Error).message}).`, { cause: error });
  }
}

function check<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new DataError(
    `${where}: ${issue?.path.join('.') || 'the row'}: ${issue?.message}. The file was not written by this version of capstan, or was edited.`,
  );
}

/** Parses JSON lines. A last line cut off by a crash is left out; any other bad line is an error. */
function parseLines<T>(text: string, schema: z.ZodType<T>, path: string): T[] {
  const lines = text.split('\n');
  const rows: T[] = [];
  lines.forEach((line, at) => {
    if (line.trim() === '') return;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (error) {
      if (at === lines.length - 1) return;
      throw new DataError(`${path}, line ${at + 1}: not JSON (${(error as Error).message}).`, {
        cause: error,
      });
    }
    rows.push(check(schema, value, `${path}, line ${at + 1}`));
  });
  return rows;
}

async function readEvalFiles(dir: string): Promise<Pick<RunFiles, 'zeroShot' | 'retrieval'>> {
  const zeroShot: ZeroShotFile[] = [];
  const retrieval: RetrievalFile[] = [];
  let names: string[];
  try {
    names = (await readdir(dir)).filter((name) => name.endsWith('.json')).sort();
  } catch (error) {
    if (isMissing(error)) return { zeroShot, retrieval };
    throw error;
  }
  for (const name of names) {
    const path = join(dir, name);
    let value: { task?: unknown };
    try {
      value = JSON.parse(await readFile(path, 'utf8')) as { task?: unknown };
    } catch (error) {
      throw new DataError(`${path}: not JSON (${(error as Error).message}). Evaluate again to replace it.`, {
        cause: error,
      });
    }
    if (value.task === 'zero-shot') zeroShot.push({ file: name, ...check(zeroShotFile, value, path) });
    else if (value.task === 'retrieval') retrieval.push({ file: name, ...check(retrievalFile, value, path) });
  }
  return { zeroShot, retrieval };
}

/** What is said of a folder without a run's configuration. */
export function noRunFolder(dir: string): ConfigError {
  return new ConfigError(`${dir}: no run folder; expected a config.yaml in it, as 'capstan train' writes.`);
}

/**
 * Reads a run folder.
 *
 * @throws ConfigError if the folder has no config.yaml; DataError if a file in it is not what a run writes.
 */
export async function readRun(dir: string): Promise<RunFiles> {
  const configPath = join(dir, 'config.yaml');
  const configText = await readOptional(configPath);
  if (configText === undefined) throw noRunFolder(dir);
  let config: unknown;
  try {
    config = parseYaml(configText);
  } catch (error) {
    throw new DataError(`${configPath}: not YAML (${(error as Error).message}).`, { cause: error });
  }
  const metricsPath = join(dir, 'metrics.jsonl');
  const evalPath = join(dir, 'eval.jsonl');
  const versions = await readOptional(join(dir, 'versions.json'));
  const record = z.record(z.string(), z.unknown());
  const evals = parseLines((await readOptional(evalPath)) ?? '', evalRow, evalPath).map((row) =>
    Object.fromEntries(
      Object.entries(row).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
    ),
  );
  return {
    dir,
    name: basename(resolve(dir)),
    configText,
    config: check(record, config, configPath),
    versions: versions === undefined ? {} : check(record, JSON.parse(versions), join(dir, 'versions.json')),
    metrics: parseLines((await readOptional(metricsPath)) ?? '', metricsRow, metricsPath),
    evals,
    ...(await readEvalFiles(join(dir, 'eval'))),
  };
}
