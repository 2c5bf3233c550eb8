/** `capstan eval`, less the loading: a model and a split in, result files and a summary out. */
import type { EmbeddingModel } from '../models/embedding-model.js';
import { type EmbeddingCache, embedThroughCache } from './cached-embeddings.js';
import type { Tokenize } from './embed.js';
import { type EvalImages, runRetrieval, runZeroShot } from './evaluators.js';
import {
  type EvalContext,
  type EvalFile,
  type Pictures,
  replacedResult,
  retrievalFile,
  writeEvalFile,
  zeroShotFile,
} from './result-files.js';
import { type ResultIdentity, resultName } from './result-name.js';
import { RECALL_KS } from './retrieval.js';
import type { EvalSplit } from './split.js';
import { loadTemplates } from './templates.js';

/** What both evaluations need. */
export interface EvalRunOptions {
  readonly model: EmbeddingModel;
  readonly split: EvalSplit;
  readonly tokenize: Tokenize;
  readonly context: EvalContext;
  /** What of it is not what the run would be evaluated on by default; the result's name says so. */
  readonly differs?: { readonly data?: boolean; readonly checkpoint?: boolean };
  /** The run folder's eval/. */
  readonly evalDir: string;
  /** Where embeddings of images are kept from one evaluation to the next; left out: nowhere. */
  readonly cache?: EmbeddingCache;
}

/** The images of the split, embedded through the cache if there is one. */
function imagesOf({ split, cache }: EvalRunOptions): EvalImages {
  const images = split.images();
  if (cache === undefined) return images;
  return { ...images, embed: (model) => embedThroughCache(model, split, cache) };
}

/** A score as a line of a table. */
export interface ScoreLine {
  readonly score: string;
  readonly on: string;
  readonly value: number;
  readonly chance: number;
  readonly low?: number;
  readonly high?: number;
}

/** What an evaluation found, and where it wrote it. */
export interface EvalOutcome {
  readonly path: string;
  readonly json: Record<string, unknown>;
  readonly lines: ScoreLine[];
  /** The most frequent confusions, for zero-shot. */
  readonly confusions: readonly { actual: string; predicted: string; count: number }[];
  /** What the user should know besides: images left out, an older result replaced. */
  readonly notes: readonly string[];
}

/** The distinct values of a column, sorted by code point so that class indices do not depend on the rows' order. */
export function classesOf(labels: readonly string[]): string[] {
  return [...new Set(labels)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

function picturesOf(split: EvalSplit, titles: readonly string[]): Pictures {
  return { keys: split.keys, titles, encoded: (image) => split.encoded(image) };
}

/** The templates that names of results leave out. */
const DEFAULT_TEMPLATES = 'emoji';

/** What tells a result from a run's others. */
function identityOf(
  task: ResultIdentity['task'],
  { context, differs }: EvalRunOptions,
): Pick<ResultIdentity, 'task' | 'split' | 'data' | 'step'> {
  const { data: path, dataFingerprint: fingerprint, split, step } = context;
  return {
    task,
    split,
    ...(differs?.data ? { data: { path, fingerprint } } : {}),
    ...(differs?.checkpoint ? { step } : {}),
  };
}

/** Writes a result; its path, and what there is to say of it. */
async function writeResult(
  { split, context, evalDir }: EvalRunOptions,
  name: string,
  file: EvalFile,
  pictures: Pictures,
): Promise<Pick<EvalOutcome, 'path' | 'json' | 'notes'>> {
  const notes: string[] = [];
  const { count } = split.skips;
  if (count > 0) {
    const named = split.skips.first().map(({ key }) => key);
    const more = count > named.length ? ` and ${count - named.length} more` : '';
    const images = count === 1 ? 'broken image is' : 'broken images are';
    notes.push(`${count} ${images} left out of all scores: ${named.join(', ')}${more}.`);
  }
  const replaced = await replacedResult(evalDir, name, context);
  const path = await writeEvalFile(evalDir, name, file, pictures);
  if (replaced !== undefined) notes.push(`${path} held a result of ${replaced}, which is replaced.`);
  return { path, json: file.json, notes };
}

/** Zero-shot classification by a column; writes its result, see {@link resultName}. */
export async function evalZeroShot(
  options: EvalRunOptions,
  classes: string,
  templates: string,
): Promise<EvalOutcome> {
  const { model, split, tokenize, context } = options;
  const labels = split.classLabels(classes);
  const task = {
    ...imagesOf(options),
    labels,
    classNames: classesOf(labels),
    templates: await loadTemplates(templates),
    tokenize,
  };
  const result = await runZeroShot(model, task);
  const pictures = picturesOf(split, labels);
  const file = zeroShotFile(context, classes, templates, task, result, split.skips, pictures);
  const name = resultName({
    ...identityOf('zero-shot', options),
    classes,
    ...(templates === DEFAULT_TEMPLATES ? {} : { templates: { name: templates, texts: task.templates } }),
  });
  const on = `${result.numClasses} classes, ${result.numImages} images`;
  return {
    ...(await writeResult(options, name, file, pictures)),
    lines: [
      { score: 'top-1', on, value: result.top1, chance: result.chanceTop1, ...result.top1Interval },
      { score: 'top-5', on, value: result.top5, chance: result.chanceTop5 },
      { score: 'mean per-class recall', on, value: result.meanPerClassRecall, chance: result.chanceTop1 },
    ],
    confusions: result.confusions,
  };
}

/** Retrieval in both directions, a gallery per style where rows have one; writes its result, see {@link resultName}. */
export async function evalRetrieval(options: EvalRunOptions): Promise<EvalOutcome> {
  const { model, split, tokenize, context } = options;
  const captions = split.captions();
  const galleries = await runRetrieval(model, {
    ...imagesOf(options),
    captions,
    ...(split.has('style') ? { galleries: split.column('style') } : {}),
    tokenize,
  });
  const titles = split.has('label') ? split.column('label') : captions.map((own) => own[0] as string);
  const pictures = picturesOf(split, titles);
  const file = retrievalFile(context, model.embedDim, galleries, split.skips, pictures);
  const written = await writeResult(options, resultName(identityOf('retrieval', options)), file, pictures);
  const lines = galleries.flatMap(({ name, result }) =>
    (['textToImage', 'imageToText'] as const).flatMap((direction) => {
      const { recallAt, chanceAt, recallAt1Interval } = result[direction];
      const on = `${name}, ${result.numImages} images, ${result.numTexts} captions`;
      return RECALL_KS.map((k) => ({
        score: `${direction === 'textToImage' ? 'text to image' : 'image to text'} R@${k}`,
        on,
        value: recallAt[k] as number,
        chance: chanceAt[k] as number,
        ...(k === 1 ? recallAt1Interval : {}),
      }));
    }),
  );
  return { ...written, lines, confusions: [] };
}
