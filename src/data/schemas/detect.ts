/** Which data set a source is, by its columns and the names of its files. */
import { basename } from 'node:path';
import { ConfigError } from '../../errors.js';
import { captionKinds } from '../schema.js';
import { rawColumns } from './bind.js';
import { type DatasetSchema, schemas } from './registry.js';

interface Candidate {
  readonly schema: DatasetSchema;
  /** The columns that speak for it. */
  readonly evidence: readonly string[];
}

/**
 * The schema whose columns a source has; undefined if it is none that is known.
 *
 * Names that are capstan's own (`key`, `image` and a caption kind) are meant as such. Otherwise, of several schemas
 * that fit, the one is taken whose columns include all columns of each other, or else the only one of the others
 * whose files have such names.
 *
 * @param files names of the files, or paths
 * @throws ConfigError that lists the candidates if several fit equally.
 */
export function detectSchema(
  path: string,
  columns: readonly string[],
  files: readonly string[],
): DatasetSchema | undefined {
  const fitting = schemas.flatMap((schema) => candidate(schema, columns, files) ?? []);
  const own = fitting.find(({ schema }) => schema.name === 'capstan');
  if (own !== undefined && captionKinds.some((kind) => columns.includes(kind))) return own.schema;
  const others = fitting.filter((one) => one !== own);
  const best = others.filter((one) => !others.some((other) => includesMore(other, one)));
  if (best.length <= 1) return best[0]?.schema ?? own?.schema;
  const named = best.filter(({ schema }) => hasNames(schema, files));
  if (named.length === 1) return named[0]?.schema;
  throw new ConfigError(
    `${path}: its columns fit the schemas ${best.map(({ schema }) => schema.name).join(' and ')} alike, and the ` +
      'names of its files do not tell which. Name one as data.schema.',
  );
}

function candidate(
  schema: DatasetSchema,
  columns: readonly string[],
  files: readonly string[],
): Candidate | undefined {
  const { marks = [] } = schema;
  if (schema.generic === true && !hasNames(schema, files)) return undefined;
  const needed = rawColumns(schema.columns, columns);
  if (needed === undefined || !marks.every((mark) => columns.includes(mark))) return undefined;
  return { schema, evidence: [...new Set([...needed, ...marks])] };
}

function includesMore(a: Candidate, b: Candidate): boolean {
  return a.evidence.length > b.evidence.length && b.evidence.every((name) => a.evidence.includes(name));
}

function hasNames(schema: DatasetSchema, files: readonly string[]): boolean {
  return files.every((file) => schema.files?.test(basename(file)));
}
