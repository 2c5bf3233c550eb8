import { DataError } from '../../errors.js';
import type { Value } from '../schema.js';

/**
 * A cell as readers hand it out. Bytes are copied out of the reader's larger buffer, so that a cell
 * can be sent to a worker alone; a list becomes an array of strings, without its nulls; the struct of bytes and path in
 * which Hugging Face's `datasets` stores an image becomes its bytes.
 *
 * @throws DataError for a nested type that capstan has no use for.
 */
export function toValue(cell: unknown, path: string, column: string): Value {
  if (cell === null || cell === undefined) return null;
  if (cell instanceof Uint8Array) return new Uint8Array(cell);
  if (typeof cell !== 'object') return cell as string | number | bigint | boolean;
  if (Symbol.iterator in cell && !('bytes' in cell)) {
    const items: string[] = [];
    for (const item of cell as Iterable<unknown>) {
      if (item !== null && item !== undefined) items.push(String(item));
    }
    return items;
  }
  if ('bytes' in cell && (cell.bytes === null || cell.bytes instanceof Uint8Array)) {
    return cell.bytes === null ? null : new Uint8Array(cell.bytes);
  }
  throw new DataError(
    `${path}: column '${column}' holds ${cell.constructor.name}; expected text, numbers, bytes or lists of text. Choose another column.`,
  );
}
