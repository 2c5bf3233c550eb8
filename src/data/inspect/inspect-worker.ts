/** A thread that measures captions and images for an inspection. */
import { parentPort, workerData } from 'node:worker_threads';
import { ClipTokenizer } from '../text/clip-tokenizer.js';
import { serveThread } from '../thread-pool.js';
import { examineImages, type ImageFindings, type ImageJob } from './examine-images.js';
import { TextExaminer, type TextFindings, type TextJob } from './examine-texts.js';
import type { EntityExtractor } from './extractors.js';

/** What a thread is started with. */
export interface InspectWorkerData {
  /** The merges file of the tokenizer; undefined where it could not be had. */
  readonly mergesPath: string | undefined;
  readonly extractor: EntityExtractor;
}

/** Something to measure. */
export type InspectJob = TextJob | ImageJob;

/** What was measured. */
export type InspectFindings = TextFindings | ImageFindings;

if (parentPort !== null) {
  const { mergesPath, extractor } = workerData as InspectWorkerData;
  const loading = mergesPath === undefined ? undefined : ClipTokenizer.load(mergesPath);
  let examiner: TextExaminer | undefined;
  serveThread<InspectJob, InspectFindings>(async (job) => {
    if (job.kind === 'images') return examineImages(job);
    examiner ??= new TextExaminer(await loading, extractor);
    return examiner.examine(job);
  }, transferOf);
}

function transferOf(findings: InspectFindings): ArrayBuffer[] {
  if (findings.kind === 'images') return [findings.thumbs.buffer];
  const { characters, tokens, hashes, numWords, words, pairs, numEntities, entities } = findings;
  const arrays = [characters, hashes, numWords, words, pairs, numEntities, entities];
  return [...arrays.map(({ buffer }) => buffer), ...(tokens === undefined ? [] : [tokens.buffer])];
}
