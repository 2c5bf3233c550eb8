/** Classes for zero-shot evaluation on the emoji data set. */
import { DataError } from '../../errors.js';
import type { Source } from '../sources/source.js';

/** Class names and the class of each row. */
export interface Classes {
  /** In alphabetical order of code points. */
  readonly names: readonly string[];
  /** Index into `names` by row. */
  readonly ofRow: Int32Array;
}

/** The labels ('grinning face', some 1,900) as fine classes and the subgroups ('animal bird', some 100) as coarse ones. */
export async function emojiClasses(source: Source): Promise<{ fine: Classes; coarse: Classes }> {
  return { fine: await classesOf(source, 'label'), coarse: await classesOf(source, 'subgroup') };
}

/**
 * The distinct texts of a column as classes.
 *
 * @throws ConfigError if there is no such column; DataError if a row has no text there.
 */
export async function classesOf(source: Source, column: string): Promise<Classes> {
  const values = await source.readColumn(column);
  const texts = values.map((value, row) => {
    if (typeof value === 'string' && value !== '') return value;
    throw new DataError(
      `${source.path}: row ${row} has no text in column '${column}'; a class needs a name.`,
    );
  });
  const names = [...new Set(texts)].sort();
  const indices = new Map(names.map((name, index) => [name, index]));
  return { names, ofRow: Int32Array.from(texts, (text) => indices.get(text) as number) };
}
