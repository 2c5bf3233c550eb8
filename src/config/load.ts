/** Reads a configuration: a YAML file, what it extends, and overrides. */
import { stringify } from 'yaml';
import type { z } from 'zod';
import { ConfigError } from '../errors.js';
import { didYouMean } from '../nearest.js';
import { schemaAt, trainConfigJsonSchema } from './json-schema.js';
import { formatPath, Layers, layFile, laySet, type Path } from './layers.js';
import { type TrainConfig, trainConfigSchema } from './schema.js';

/**
 * Reads and checks a configuration.
 *
 * `extends: other.yaml` (or a list, later ones winning), relative to the file, brings in another's values; maps
 * are merged key by key, except `data.captions`, which is one value.
 *
 * @param sets overrides as `--set` takes them, `train.lr=1e-3`, in order
 * @throws ConfigError with every problem: where it is written, its path, its value, the rule, the nearest key
 */
export async function loadConfig(path: string, sets: readonly string[] = []): Promise<TrainConfig> {
  const layers = new Layers();
  await layFile(layers, path);
  for (const set of sets) laySet(layers, set);
  const parsed = trainConfigSchema.safeParse(layers.values);
  if (parsed.success) return parsed.data;
  const { issues } = parsed.error;
  const unknownIn = new Set(
    issues.flatMap(({ code, path: at }) => (code === 'unrecognized_keys' ? [formatPath(at as Path)] : [])),
  );
  const problems = issues
    // What the known entries add up to says nothing while one is misspelt.
    .filter((issue) => !(isSum(issue) && unknownIn.has(formatPath(issue.path as Path))))
    .flatMap((issue) => describeIssue(issue, layers, path));
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`;
  throw new ConfigError(
    `${path}: ${count} in the configuration.\n${problems.map((p) => `  ${p}`).join('\n')}`,
  );
}

/** The configuration as YAML that {@link loadConfig} reads back to the same. */
export function dumpConfig(config: TrainConfig): string {
  return stringify(config);
}

type Issue = z.core.$ZodIssue;

function isSum(issue: Issue): boolean {
  return issue.code === 'custom' && issue.params?.kind === 'sum';
}

function describeIssue(issue: Issue, layers: Layers, file: string): string[] {
  const path = issue.path as Path;
  const say = (at: Path, what: string): string => `${layers.origin(at) ?? file}: ${what}`;
  if (issue.code === 'unrecognized_keys') {
    const schema = schemaAt(trainConfigJsonSchema(), path);
    const known = schema?.propertyNames?.enum ?? Object.keys(schema?.properties ?? {});
    return issue.keys.map((key) => unknownKey([...path, key], known, layers, say));
  }
  const value = layers.at(path);
  const name = formatPath(path);
  if (value === undefined && issue.code !== 'custom') {
    const about = schemaAt(trainConfigJsonSchema(), path)?.description;
    return [say(path, `${name} is missing${about === undefined ? '' : `: ${lowerFirst(about)}`}`)];
  }
  const near =
    issue.code === 'invalid_value' && typeof value === 'string'
      ? didYouMean(value, issue.values.map(String))
      : '';
  return [say(path, `${name} is ${show(value)}; it must ${rule(issue)}${near}`)];
}

function unknownKey(
  path: Path,
  known: readonly string[],
  layers: Layers,
  say: (at: Path, what: string) => string,
): string {
  const near = didYouMean(String(path.at(-1)), known);
  const all = near === '' ? `; the keys there are ${known.join(', ')}` : near;
  return say(path, `${formatPath(path)} is not a known key (its value: ${show(layers.at(path))})${all}`);
}

/** What the value must do, in words: the sentence goes on from 'it must'. */
function rule(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `be ${issue.expected === 'int' ? 'a whole number' : article(issue.expected)}`;
    case 'invalid_value':
      return `be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`;
    case 'too_small':
      return `be ${unit(issue.origin)}${issue.inclusive ? 'at least' : 'over'} ${issue.minimum}`;
    case 'too_big':
      return `be ${unit(issue.origin)}${issue.inclusive ? 'at most' : 'under'} ${issue.maximum}`;
    case 'invalid_union':
      if (issue.message !== 'Invalid input') return issue.message;
      return issue.errors
        .flatMap((errors) => errors.slice(0, 1).map(rule))
        .join(' or ')
        .replaceAll(' or be ', ' or ');
    default:
      return issue.message;
  }
}

function unit(origin: string): string {
  if (origin === 'string') return 'a text whose length is ';
  return origin === 'array' ? 'a list whose length is ' : '';
}

function article(type: string): string {
  const names: Record<string, string> = {
    object: 'a map',
    record: 'a map',
    array: 'a list',
    string: 'a text',
    number: 'a number',
    boolean: 'true or false',
  };
  return names[type] ?? type;
}

function show(value: unknown): string {
  if (value === undefined) return 'not set';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1).replace(/\.$/, '');
}
