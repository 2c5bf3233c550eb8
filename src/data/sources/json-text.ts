/** Values as JSON text that `parseJson` reads back. */
import type { Value } from '../schema.js';
import { RecordFault } from './records/record-format.js';

/**
 * A value as JSON. Whole numbers of 64 bits are their digits. NaN and the infinities, which JSON does not know, are null.
 *
 * @param what the value, for messages
 * @throws RecordFault for bytes, which JSON cannot hold
 */
export function jsonText(value: Value, what: string): string {
  if (value instanceof Uint8Array) throw new RecordFault(`${what} holds bytes, which JSON cannot.`);
  if (typeof value === 'bigint') return String(value);
  if (Object.is(value, -0)) return '-0'; // which JSON.stringify would make 0
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((each, i) => jsonText(each, `${what}[${i}]`)).join(',')}]`;
  const fields = Object.entries(value).map(
    ([name, each]) => `${JSON.stringify(name)}:${jsonText(each ?? null, `${what}.${name}`)}`,
  );
  return `{${fields.join(',')}}`;
}
