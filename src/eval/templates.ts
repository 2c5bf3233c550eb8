/** Prompt templates for zero-shot classification. `{}` in a template stands for the class name. */
import { readFile } from 'node:fs/promises';
import { openaiTemplates } from '../assets/index.js';
import { ConfigError } from '../errors.js';

/** Templates for drawn pictures such as emoji: short, as their synthetic captions are. */
const EMOJI_TEMPLATES = [
  '{}',
  'a drawing of {}.',
  'a picture of {}.',
  'an emoji of {}.',
  'an icon of {}.',
  'clip art of {}.',
] as const;

// open_clip's metadata names the placeholder c.
const PLACEHOLDER = /\{c?\}/g;

/**
 * Puts the class name in place of every `{}` (or `{c}`).
 *
 * @throws ConfigError if the template has no placeholder.
 */
export function formatTemplate(template: string, className: string): string {
  // A function, because `$&` in a class name would otherwise be read as a pattern.
  const text = template.replaceAll(PLACEHOLDER, () => className);
  if (text === template && !template.match(PLACEHOLDER)) {
    throw new ConfigError(`Prompt template '${template}' has no {} to hold the class name.`);
  }
  return text;
}

/**
 * The templates behind a name: `emoji` (six for drawings), `openai` (the 80 of CLIP's ImageNet
 * evaluation), or else the path of a text file with one template per line; empty lines and lines that
 * start with # are skipped.
 *
 * @throws ConfigError if the file cannot be read, holds no template, or a line lacks `{}`.
 * @throws AssetError if the 80 are not cached and cannot be fetched.
 */
export async function loadTemplates(nameOrFile: string): Promise<string[]> {
  if (nameOrFile === 'openai') return openaiTemplates();
  return nameOrFile === 'emoji' ? [...EMOJI_TEMPLATES] : readTemplates(nameOrFile);
}

/** Whether templates can be loaded, short of fetching them. @throws ConfigError as {@link loadTemplates} does */
export async function checkTemplates(nameOrFile: string): Promise<void> {
  if (nameOrFile !== 'openai' && nameOrFile !== 'emoji') await readTemplates(nameOrFile);
}

async function readTemplates(path: string): Promise<string[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new ConfigError(
      `Prompt templates '${path}': expected 'emoji', 'openai' or a readable text file with one template per line (${(error as Error).message}).`,
      { cause: error },
    );
  }
  const templates = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  if (templates.length === 0)
    throw new ConfigError(`Prompt templates '${path}': the file holds no template.`);
  for (const template of templates) formatTemplate(template, 'x');
  return templates;
}
