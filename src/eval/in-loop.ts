/** The evaluations that a configuration asks for, handed to the training loop. */
import { type DataSource, dataSources, type TrainConfig } from '../config/schema.js';
import { readingOptions } from '../data/datasets/reading-options.js';
import { ClipTokenizer } from '../data/text/clip-tokenizer.js';
import {
  classesOf,
  type EvalSplit,
  loadTemplates,
  RetrievalEvaluator,
  type Tokenize,
  ZeroShotEvaluator,
} from './index.js';
import { readEvalSplit } from './read-split.js';

/** CLIP's tokenizer as evaluations take it. @throws AssetError if the merges cannot be had */
export async function loadTokenize(): Promise<Tokenize> {
  const tokenizer = await ClipTokenizer.load();
  return (texts, contextLength) => tokenizer.encodeBatch(texts, contextLength).tokens;
}

/**
 * Makes the evaluators of a run; their figures are named like `val/zeroShot/label/top1`.
 *
 * @throws ConfigError or DataError if the split cannot be read or lacks a column; AssetError
 */
export async function inLoopEvaluators(
  config: TrainConfig,
): Promise<(ZeroShotEvaluator | RetrievalEvaluator)[]> {
  const { split: splitName, zeroShot, retrieval, maxImages } = config.eval;
  if (zeroShot.length === 0 && !retrieval) return [];
  const [own] = dataSources(config.data) as [DataSource];
  const split = await readEvalSplit(own.path, {
    split: splitName,
    ...readingOptions(own),
    ...(maxImages === undefined ? {} : { maxImages }),
  });
  const tokenize = await loadTokenize();
  const images = { keys: split.keys, readPixels: split.readPixels.bind(split), tokenize };
  const evaluators: (ZeroShotEvaluator | RetrievalEvaluator)[] = [];
  for (const { classes, templates } of zeroShot) {
    const name = `${splitName}/zeroShot/${typeof classes === 'string' ? classes : 'classes'}`;
    const labels = typeof classes === 'string' ? split.classLabels(classes) : split.column('label');
    const classNames = typeof classes === 'string' ? classesOf(labels) : classes;
    evaluators.push(
      new ZeroShotEvaluator(name, {
        ...images,
        labels,
        classNames,
        templates: await loadTemplates(templates),
      }),
    );
  }
  if (retrieval) evaluators.push(retrievalEvaluator(`${splitName}/retrieval`, split, images));
  return evaluators;
}

function retrievalEvaluator(
  name: string,
  split: EvalSplit,
  images: Pick<ConstructorParameters<typeof RetrievalEvaluator>[1], 'keys' | 'readPixels' | 'tokenize'>,
): RetrievalEvaluator {
  const galleries = split.has('style') ? { galleries: split.column('style') } : {};
  return new RetrievalEvaluator(name, { ...images, captions: split.captions(), ...galleries });
}
