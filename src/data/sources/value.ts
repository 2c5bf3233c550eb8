import { MapRow, StructRow } from 'apache-arrow';
import type { Value } from '../schema.js';

/**
 * A cell as readers hand it out, in plain arrays and objects. Bytes are copied out of the reader's larger buffer, so
 * that a cell can be sent to a worker alone; the struct of bytes and path in which Hugging
 * Face's `datasets` stores an image becomes its bytes or, where it has none, its path.
 */
export function toValue(cell: unknown): Value {
  if (cell === null || cell === undefined) return null;
  if (cell instanceof Uint8Array) return new Uint8Array(cell);
  if (cell instanceof Date) return Number.isNaN(cell.getTime()) ? null : cell.toISOString();
  if (typeof cell !== 'object') return cell as string | number | bigint | boolean;
  if (cell instanceof StructRow || cell instanceof MapRow || cell instanceof Map) {
    return toStruct(Object.fromEntries(cell as Iterable<[PropertyKey, unknown]>));
  }
  if (Symbol.iterator in cell) {
    return Array.from(cell as Iterable<unknown>, toValue);
  }
  return toStruct(cell as Record<string, unknown>);
}

function toStruct(struct: Readonly<Record<string, unknown>>): Value {
  const names = Object.keys(struct);
  if (names.length === 2 && 'bytes' in struct && 'path' in struct)
    return toValue(struct.bytes ?? struct.path);
  return Object.fromEntries(names.map((name) => [name, toValue(struct[name])]));
}
