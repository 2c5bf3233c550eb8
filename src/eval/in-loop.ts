/** The evaluations that a configuration asks for, handed to the training loop. */
import { type DataSource, dataSources, type TrainConfig } from '../config/schema.js';
import { readingOptions } from '../data/datasets/reading-options.js';

import { storageOptions } from '../data/storage/options.js';
import type { Storage } from '../data/storage/storage.js';

import type { Tokenizer } from '../data/text/token-batch.js';
import { loadTokenizer, tokenizerFile } from '../data/text/tokenizer.js';

import { CapstanError, ConfigError, DataError } from '../errors.js';
import type { RetrievalTask, ZeroShotTask } from './evaluators.js';
import {
  classesOf,
  type EvalSplit,
  loadTemplates,
  RetrievalEvaluator,
  type Tokenize,
  ZeroShotEvaluator,
} from './index.js';
import { readEvalSplit } from './read-split.js';
import { checkTemplates } from './templates.js';

/** Column that holds the true class where the configuration lists the classes. */
const TRUTH_COLUMN = 'label';
/** Of what is found to be wrong in many rows, as many are named. */
const NUM_NAMED = 5;

/** A tokenizer as evaluations take it. */
export function tokenizeWith(tokenizer: Tokenizer): Tokenize {
  return async (texts, contextLength) => (await tokenizer.encodeBatch(texts, contextLength)).tokens;
}

/** A zero-shot classification whose classes and truth fit; its templates can be loaded. */
interface PlannedZeroShot extends Pick<ZeroShotTask, 'labels' | 'classNames'> {
  readonly name: string;
  readonly templates: string;
}

/** The evaluations of a configuration, and the split, which was found to hold what they need. */
export interface EvalPlan {
  readonly split: EvalSplit;
  readonly zeroShot: readonly PlannedZeroShot[];
  /** Undefined if retrieval is not asked for. */
  readonly retrieval: Pick<RetrievalTask, 'captions' | 'galleries'> | undefined;
}

/**
 * Reads the split that a configuration evaluates on and checks that it has all that its evaluations need. What
 * only decoding can tell of an image is not known then, and nothing is fetched.
 *
 * @param inform told of each broken row
 * @param storage reads the split; by default one as configured
 * @returns undefined if the configuration asks for no evaluation
 * @throws ConfigError or DataError that names the configuration's key
 */
export async function planEvaluations(
  config: TrainConfig,
  inform: (message: string) => void = () => {},
  storage?: Storage,
): Promise<EvalPlan | undefined> {
  const { split: splitName, zeroShot: entries, retrieval, maxImages } = config.eval;
  if (entries.length === 0 && !retrieval) return undefined;
  const [own] = dataSources(config.data) as [DataSource];
  const split = await naming(`eval.split is '${splitName}'`, () =>
    readEvalSplit(own.path, {
      split: splitName,
      maxSkipRatio: config.data.maxSkipRatio,
      inform,
      storage: storage ?? storageOptions(config.data.storage),
      exif: config.data.exif,
      ...readingOptions(own),
      ...(maxImages === undefined ? {} : { maxImages }),
    }),
  );
  const zeroShot: PlannedZeroShot[] = [];
  for (const [i, { classes, templates }] of entries.entries()) {
    const key = `eval.zeroShot[${i}]`;
    const name = typeof classes === 'string' ? classes : 'classes';
    const twin = zeroShot.findIndex((other) => other.name === name);
    if (twin >= 0) {
      throw new ConfigError(
        `${key}.classes and eval.zeroShot[${twin}].classes would both be logged as 'zeroShot/${name}'. Expected ` +
          'each column once, and one list of classes at most: take one of the two out.',
      );
    }
    await naming(`${key}.templates is '${templates}'`, () => checkTemplates(templates));
    const found =
      typeof classes === 'string'
        ? await naming(`${key}.classes is '${classes}'`, () => classesOfColumn(split, classes))
        : await naming(`${key}.classes is a list`, () => listedClasses(split, classes));
    zeroShot.push({ name, templates, ...found });
  }
  return {
    split,
    zeroShot,
    retrieval: retrieval ? await naming('eval.retrieval is true', () => galleriesOf(split)) : undefined,
  };
}

/**
 * Makes the evaluators of a run; their figures are named like `val/zeroShot/label/top1`.
 *
 * @param inform told of each broken image
 * @param storage reads the split; by default one as configured
 * @throws as {@link planEvaluations}; AssetError if templates or the tokenizer cannot be had
 */
export async function inLoopEvaluators(
  config: TrainConfig,
  inform?: (message: string) => void,
  storage?: Storage,
): Promise<(ZeroShotEvaluator | RetrievalEvaluator)[]> {
  const plan = await planEvaluations(config, inform, storage);
  if (plan === undefined) return [];
  const { tokenizer, endToken } = config.model.text ?? {};
  const loaded = await loadTokenizer(await tokenizerFile({ tokenizer, endToken }));
  const images = { ...plan.split.images(), tokenize: tokenizeWith(loaded) };
  const under = `${config.eval.split}/`;
  const evaluators: (ZeroShotEvaluator | RetrievalEvaluator)[] = [];
  for (const { name, labels, classNames, templates } of plan.zeroShot) {
    const task = { ...images, labels, classNames, templates: await loadTemplates(templates) };
    evaluators.push(new ZeroShotEvaluator(`${under}zeroShot/${name}`, task));
  }
  if (plan.retrieval) {
    evaluators.push(new RetrievalEvaluator(`${under}retrieval`, { ...images, ...plan.retrieval }));
  }
  return evaluators;
}

/** Puts the key of the configuration before what is wrong. */
async function naming<T>(key: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const Kind = [ConfigError, DataError].find((kind) => error instanceof kind);
    if (Kind === undefined || !(error instanceof CapstanError)) throw error;
    throw new Kind(`${key}, but: ${error.message}`, { cause: error });
  }
}

function classesOfColumn(split: EvalSplit, column: string): Pick<ZeroShotTask, 'labels' | 'classNames'> {
  const labels = split.classLabels(column);
  const classNames = classesOf(labels);
  if (classNames.length >= 2) return { labels, classNames };
  throw new ConfigError(
    `every image has the value '${classNames[0]}' there; expected two classes or more. Choose another column.`,
  );
}

/** The listed classes, and the truth out of its column, as it is written there. */
function listedClasses(
  split: EvalSplit,
  classNames: readonly string[],
): Pick<ZeroShotTask, 'labels' | 'classNames'> {
  const twice = classNames.find((name, at) => classNames.indexOf(name) !== at);
  if (twice !== undefined) throw new ConfigError(`'${twice}' is in it twice. Expected each class once.`);
  const labels = split.column(TRUTH_COLUMN);
  const known = new Set(classNames);
  const unknown = classesOf(labels).filter((label) => !known.has(label));
  if (unknown.length === 0) return { labels, classNames };
  const image = split.keys[labels.indexOf(unknown[0] as string)];
  const more = unknown.length > NUM_NAMED ? ` and ${unknown.length - NUM_NAMED} more` : '';
  const named = unknown.slice(0, NUM_NAMED).map((label) => `'${label}'`);
  throw new ConfigError(
    `its ${classNames.length} classes lack ${named.join(', ')}${more}, found in the column '${TRUTH_COLUMN}' that ` +
      `holds the true class (of image ${image}, for one). Expected every value of the column in the list: add ` +
      'them, or name a column instead of a list.',
  );
}

function galleriesOf(split: EvalSplit): Pick<RetrievalTask, 'captions' | 'galleries'> {
  const galleries = split.has('style') ? { galleries: split.column('style') } : {};
  return { captions: split.captions(), ...galleries };
}
