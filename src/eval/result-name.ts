/** Names of the files that evaluations leave. */
import { basename, extname, resolve } from 'node:path';
import { hash64 } from '../rng.js';

/** What a result is of, as far as it sets it apart from a run's others. */
export interface ResultIdentity {
  readonly task: 'zero-shot' | 'retrieval';
  /** Column of the classes. */
  readonly classes?: string;
  readonly split: string;
  /** Templates other than the default: what they are called, and they themselves. */
  readonly templates?: { readonly name: string; readonly texts: readonly string[] };
  /** A data set other than the run's own. */
  readonly data?: { readonly path: string; readonly fingerprint: string };
  /** Step of a checkpoint other than the latest. */
  readonly step?: number;
}

const shortHash = (text: string): string => hash64(text).toString(16).padStart(16, '0').slice(0, 8);

/** A part of a file name; texts that have to be changed for it stay different by their hash. */
function safe(text: string): string {
  const name = text.replace(/[^\p{L}\p{N}._+-]+/gu, '_').slice(0, 60);
  return name === text ? name : `${name}-${shortHash(text)}`;
}

const stem = (path: string): string => basename(resolve(path), extname(path));

/**
 * `zero-shot-<classes>-<split>` or `retrieval-<split>`, followed by what differs from what the run would be
 * evaluated with by default: `-<templates>`, `-on-<data set>-<fingerprint>`, `-step-<step>`.
 */
export function resultName({ task, classes, split, templates, data, step }: ResultIdentity): string {
  const parts: string[] = [task];
  if (classes !== undefined) parts.push(safe(classes));
  parts.push(safe(split));
  if (templates !== undefined) {
    const { name, texts } = templates;
    parts.push(name === 'openai' ? name : `${safe(stem(name))}-${shortHash(texts.join('\n'))}`);
  }
  if (data !== undefined) parts.push('on', safe(stem(data.path)), data.fingerprint.slice(0, 8));
  if (step !== undefined) parts.push('step', String(step).padStart(8, '0'));
  return parts.join('-');
}
