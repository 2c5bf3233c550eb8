/** Reads a source by the schema that was chosen or found. */
import { ConfigError } from '../../errors.js';
import { nearest } from '../../nearest.js';
import type { Source } from '../sources/source.js';
import { bindColumns } from './bind.js';
import { type ColumnMap, targets } from './column-map.js';
import { detectSchema } from './detect.js';
import { ImageRoot, type OpenFile } from './image-root.js';
import { type DatasetSchema, schemaNames, schemas } from './registry.js';
import { SchemaSource } from './schema-source.js';

/** How a source's own columns are read. */
export interface SchemaOptions {
  /** Name of the schema; it is found by columns and file names if there is none, and `custom` if there are columns. */
  readonly schema?: string;
  /** With `custom`, all the columns there are; with another schema, those that differ. */
  readonly columns?: ColumnMap;
  /** Directory or URL of the images that rows name by path, or `…/{key}.jpg` for files that are named for keys. */
  readonly images?: string;
}

const CUSTOM: DatasetSchema = { name: 'custom', columns: {} };

/** Whoever adds a column of capstan's name to a public data set, such as its images, means that one. */
const OWN_NAMES: ColumnMap = Object.fromEntries(targets.map((name) => [name, name]));

/**
 * The source with capstan's columns. One that has them already, or whose schema is not known, is handed back as it is.
 *
 * @param files names of the source's files, which may tell its schema
 * @throws ConfigError if there is no such schema, several fit, columns are missing, or there is no such image root.
 */
export async function applySchema(
  source: Source,
  files: readonly string[],
  options: SchemaOptions,
  openFile: OpenFile,
): Promise<Source> {
  const { path, columns } = source;
  const { columns: changes = {}, images } = options;
  const schema = chooseSchema(path, columns, files, options);
  if (schema === undefined && images !== undefined) throw unknownSchema(source);
  const asIs = schema?.name === 'capstan' && options.columns === undefined && images === undefined;
  if (schema === undefined || asIs) {
    if (schema !== undefined) bindColumns('schema capstan', path, columns, schema.columns);
    return source;
  }
  const what = schema === CUSTOM ? 'data.columns' : `schema ${schema.name}`;
  const optional = schema === CUSTOM ? schema.optional : { ...OWN_NAMES, ...schema.optional };
  const bound = bindColumns(what, path, columns, { ...schema.columns, ...changes }, optional);
  const root = images === undefined ? undefined : await ImageRoot.open(images, openFile);
  return new SchemaSource(schema.name, source, bound, root);
}

function chooseSchema(
  path: string,
  columns: readonly string[],
  files: readonly string[],
  { schema: name, columns: map }: SchemaOptions,
): DatasetSchema | undefined {
  if (name === undefined && map === undefined) return detectSchema(path, columns, files);
  if (name === undefined || name === 'custom') {
    if (map !== undefined) return CUSTOM;
    throw new ConfigError(
      'data.schema custom (--schema) needs data.columns (--column), which says where key, image and captions are.',
    );
  }
  const found = schemas.find((schema) => schema.name === name);
  if (found !== undefined) return found;
  const near = nearest(name, schemaNames);
  throw new ConfigError(
    `There is no schema '${name}'${near === undefined ? '' : `; did you mean '${near}'?`} The schemas are ` +
      `${schemaNames.join(', ')}.`,
  );
}

function unknownSchema({ path, columns }: Source): ConfigError {
  return new ConfigError(
    `${path}: its columns, ${columns.join(', ')}, are of no schema that is known. Name it as data.schema (--schema), or say ` +
      'in data.columns (--column) which column is which.',
  );
}
