import { DataError } from '../../../errors.js';
import { MAX_COLUMNS } from './record-format.js';

/** The columns of a shard whose records name them: each once, in the order in which they come. */
export class ColumnSet {
  readonly names = new Set<string>();

  constructor(private readonly path: string) {}

  /** @throws DataError if there are too many to be columns. */
  add(names: Iterable<string>): void {
    for (const name of names) this.names.add(name);
    if (this.names.size <= MAX_COLUMNS) return;
    throw new DataError(
      `${this.path}: its rows have more than ${MAX_COLUMNS} different names; expected the same columns in each. ` +
        'Write one object with a name and a caption in each entry, or rows with columns.',
    );
  }
}
