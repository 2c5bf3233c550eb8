/** Files of records that are bytes already: each row holds one as `record`. */
import type { Encoder } from './cells.js';

/** Records one after the other, behind a head and before an end. */
export function recordEncoder(head: Uint8Array, end: Uint8Array): Encoder {
  let isBegun = false;
  const begin = (): Uint8Array[] => {
    if (isBegun) return [];
    isBegun = true;
    return [head];
  };
  return {
    group: (rows) => [Buffer.concat([...begin(), ...rows.map(({ record }) => record as Uint8Array)])],
    end: () => [Buffer.concat([...begin(), end])],
  };
}
