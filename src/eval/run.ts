/** `capstan eval`, less the loading: a model and a split in, result files and a summary out. */
import type { EmbeddingModel } from '../models/embedding-model.js';
import type { Tokenize } from './embed.js';
import { runRetrieval, runZeroShot } from './evaluators.js';
import {
  type EvalContext,
  type Pictures,
  retrievalFile,
  writeEvalFile,
  zeroShotFile,
} from './result-files.js';
import { RECALL_KS } from './retrieval.js';
import type { EvalSplit } from './split.js';
import { loadTemplates } from './templates.js';

/** What both evaluations need. */
export interface EvalRunOptions {
  readonly model: EmbeddingModel;
  readonly split: EvalSplit;
  readonly tokenize: Tokenize;
  readonly context: EvalContext;
  /** The run folder's eval/. */
  readonly evalDir: string;
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
}

/** The distinct values of a column, sorted by code point so that class indices do not depend on the rows' order. */
export function classesOf(labels: readonly string[]): string[] {
  return [...new Set(labels)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

function picturesOf(split: EvalSplit, titles: readonly string[]): Pictures {
  return { keys: split.keys, titles, encoded: (image) => split.encoded(image) };
}

/** Zero-shot classification by a column; writes eval/zero-shot-<classes>-<split>.json. */
export async function evalZeroShot(
  options: EvalRunOptions,
  classes: string,
  templates: string,
): Promise<EvalOutcome> {
  const { model, split, tokenize, context, evalDir } = options;
  const labels = split.classLabels(classes);
  const task = {
    keys: split.keys,
    readPixels: split.readPixels.bind(split),
    labels,
    classNames: classesOf(labels),
    templates: await loadTemplates(templates),
    tokenize,
  };
  const result = await runZeroShot(model, task);
  const pictures = picturesOf(split, labels);
  const file = zeroShotFile(context, classes, templates, task, result, pictures);
  const path = await writeEvalFile(evalDir, `zero-shot-${classes}-${context.split}`, file, pictures);
  const on = `${result.numClasses} classes, ${result.numImages} images`;
  return {
    path,
    json: file.json,
    lines: [
      { score: 'top-1', on, value: result.top1, chance: result.chanceTop1, ...result.top1Interval },
      { score: 'top-5', on, value: result.top5, chance: result.chanceTop5 },
      { score: 'mean per-class recall', on, value: result.meanPerClassRecall, chance: result.chanceTop1 },
    ],
    confusions: result.confusions,
  };
}

/** Retrieval in both directions, a gallery per style where rows have one; writes eval/retrieval-<split>.json. */
export async function evalRetrieval(options: EvalRunOptions): Promise<EvalOutcome> {
  const { model, split, tokenize, context, evalDir } = options;
  const captions = split.captions();
  const galleries = await runRetrieval(model, {
    keys: split.keys,
    readPixels: split.readPixels.bind(split),
    captions,
    ...(split.has('style') ? { galleries: split.column('style') } : {}),
    tokenize,
  });
  const titles = split.has('label') ? split.column('label') : captions.map((own) => own[0] as string);
  const pictures = picturesOf(split, titles);
  const file = retrievalFile(context, model.embedDim, galleries, pictures);
  const path = await writeEvalFile(evalDir, `retrieval-${context.split}`, file, pictures);
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
  return { path, json: file.json, lines, confusions: [] };
}
