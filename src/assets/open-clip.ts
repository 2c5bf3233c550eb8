/**
 * The text files of open_clip, read out of its wheel: the byte-pair merges that CLIP's tokenizer is defined
 * by, the 80 prompt templates of OpenAI's zero-shot ImageNet evaluation and the 1,000 class names.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AssetError } from '../errors.js';
import { assetDirectory, type EnsureOptions, ensureAsset } from './ensure.js';
import { openClipText } from './pins.js';

const MERGES_SHA256 = '924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a';
const METADATA = 'open_clip/zero_shot_metadata.py';

let checkedMerges: string | undefined;

/**
 * Path of `bpe_simple_vocab_16e6.txt.gz`, fetched on first use.
 *
 * @throws AssetError when it cannot be fetched or is not the file that OpenAI's CLIP was trained with.
 */
export async function clipMergesPath(options: EnsureOptions = {}): Promise<string> {
  const path = join(assetDirectory(openClipText), 'open_clip/bpe_simple_vocab_16e6.txt.gz');
  if (checkedMerges === path) return path;
  await ensureAsset(openClipText, options);
  const found = createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
  if (found !== MERGES_SHA256) {
    throw new AssetError(
      `${path} was changed: sha256 ${MERGES_SHA256} expected, ${found} found. Delete it; it is fetched anew.`,
    );
  }
  checkedMerges = path;
  return path;
}

/** The 80 prompt templates, in their order; `{c}` stands for the class name. @throws AssetError */
export async function openaiTemplates(): Promise<string[]> {
  return parseTemplates(await metadataSource(), 'OPENAI_IMAGENET_TEMPLATES', 80);
}

/** The 1,000 ImageNet class names, in the order of the class indices. @throws AssetError */
export async function imagenetClassNames(): Promise<string[]> {
  return parseNames(await metadataSource(), 'IMAGENET_CLASSNAMES', 1000);
}

async function metadataSource(): Promise<string> {
  return readFile(join(await ensureAsset(openClipText), METADATA), 'utf8');
}

/**
 * Reads the tuple of templates `name` from Python source: items of the form ``lambda c: f'a {c}.'``.
 *
 * @throws AssetError unless there are `count` of them, each with a `{c}` and no other field.
 */
export function parseTemplates(source: string, name: string, count: number): string[] {
  const templates: string[] = [];
  for (const { prefix, text } of stringsOf(source, name)) {
    const fields = text.match(/\{[^}]*\}/g) ?? [];
    if (prefix !== 'f' || fields.length === 0 || fields.some((field) => field !== '{c}')) {
      throw new AssetError(`${METADATA}: in ${name}, '${text}' is not a template with the field {c}.`);
    }
    templates.push(text);
  }
  return checkCount(templates, name, count);
}

/** Reads the tuple of strings `name` from Python source. @throws AssetError unless there are `count` of them. */
export function parseNames(source: string, name: string, count: number): string[] {
  const names: string[] = [];
  for (const { text } of stringsOf(source, name)) names.push(text);
  return checkCount(names, name, count);
}

/** The string literals of the tuple assigned to `name`. */
function* stringsOf(source: string, name: string): Generator<{ prefix: string; text: string }> {
  const start = new RegExp(`^${name}\\s*=\\s*\\(`, 'm').exec(source);
  if (!start) throw new AssetError(`${METADATA} has no tuple ${name}.`);
  const literal = /([a-z]?)('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")|\)|#.*|[^'"#)]/gy;
  literal.lastIndex = start.index + start[0].length;
  for (let match = literal.exec(source); match; match = literal.exec(source)) {
    if (match[0] === ')') return;
    const quoted = match[2];
    if (quoted === undefined) continue;
    const text = quoted.slice(1, -1).replace(/\\(['"\\])/g, '$1');
    if (/\\/.test(text)) throw new AssetError(`${METADATA}: ${quoted} in ${name} has an unknown escape.`);
    yield { prefix: match[1] ?? '', text };
  }
  throw new AssetError(`${METADATA}: the tuple ${name} does not end.`);
}

function checkCount(values: string[], name: string, count: number): string[] {
  if (values.length === count) return values;
  throw new AssetError(`${METADATA}: ${name} has ${values.length} entries, ${count} expected.`);
}
