/**
 * Damaged files of records: thousands of seeded mutations of each format end in a DataError that names the file, or in rows;
 * no read reaches beyond the file or is larger than it.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { FAULT, type Row } from '../../src/data/schema.js';
import { BlockCache } from '../../src/data/sources/block-cache.js';
import { openCsvShard } from '../../src/data/sources/csv.js';
import { openJsonShard } from '../../src/data/sources/json.js';
import type { Shard } from '../../src/data/sources/source.js';
import { openWebDatasetShard } from '../../src/data/sources/webdataset.js';
import { DataError } from '../../src/errors.js';
import { KeyedRandom } from '../../src/rng.js';
import { useCacheDirectory } from '../support/cache-directory.js';
import { MemoryFile } from '../support/memory-file.js';

const places = useCacheDirectory();
beforeAll(async () => {
  // A file where the cache should be: no index can be kept, and each opening scans.
  await writeFile(places.cache, '');
});

const MUTATIONS = 2000;

/** What means something to one of the formats. */
const TOKENS = [
  '"',
  '""',
  '\\',
  '[',
  ']',
  '{',
  '}',
  ',',
  '\n',
  '\r',
  '\t',
  '\0',
  '\u00ff',
  '0',
  '9',
  '-',
  'NaN',
  '1e999',
  '.',
  '/',
];

function mutate(original: Uint8Array, random: KeyedRandom): Uint8Array {
  let bytes = Buffer.from(original);
  for (let left = 1 + random.int(3); left > 0 && bytes.length > 0; left--) {
    const at = random.int(bytes.length);
    const length = 1 + random.int(random.int(4) === 0 ? 700 : 12);
    switch (random.int(7)) {
      case 0:
        bytes[at] = (bytes[at] as number) ^ (1 << random.int(8));
        break;
      case 1:
        bytes = bytes.subarray(0, at);
        break;
      case 2: // lost
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
        break;
      case 3: // twice
        bytes = Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
        break;
      case 4:
        bytes.subarray(at, at + length).fill(random.int(256));
        break;
      case 5: {
        const token = Buffer.from(TOKENS[random.int(TOKENS.length)] as string, 'latin1');
        bytes = Buffer.concat([bytes.subarray(0, at), token, bytes.subarray(at)]);
        break;
      }
      default: // a number of a header
        bytes.write('777777777777'.slice(random.int(12)), at, 'latin1');
    }
  }
  return new Uint8Array(bytes);
}

/** Gives a mutated tar header its checksum, so that what is behind the check is reached. */
function mendSums(bytes: Uint8Array): Uint8Array {
  for (let at = 0; at + 512 <= bytes.length; at += 512) {
    const header = Buffer.from(bytes.buffer, bytes.byteOffset + at, 512);
    if (header.toString('latin1', 257, 262) !== 'ustar') continue;
    header.write('        ', 148);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  }
  return bytes;
}

type Open = (file: MemoryFile, cache: BlockCache) => Promise<Shard>;

async function rowsOf(file: MemoryFile, open: Open): Promise<Row[]> {
  const shard = await open(file, new BlockCache(1 << 20));
  const rows = await shard.readRows([...Array(shard.numRows).keys()], shard.columns);
  // One by one as all at once.
  if (shard.numRows > 0) {
    expect(await shard.readRows([shard.numRows - 1], shard.columns)).toEqual(rows.slice(-1));
  }
  return rows;
}

const cases: readonly [name: string, open: Open, mend?: (bytes: Uint8Array) => Uint8Array][] = [
  ['pax.tar', (file, cache) => openWebDatasetShard(file, cache)],
  ['gnu.tar', (file, cache) => openWebDatasetShard(file, cache), mendSums],
  ['pax.tar', (file, cache) => openWebDatasetShard(file, cache), mendSums],
  ['array.json', (file, cache) => openJsonShard(file, cache)],
  ['entries.json', (file, cache) => openJsonShard(file, cache)],
  ['lines.json', (file, cache) => openJsonShard(file, cache)],
  ['lines-crlf.jsonlines', (file, cache) => openJsonShard(file, cache, 'jsonl')],
  ['minimal.csv', (file, cache) => openCsvShard(file, cache)],
  ['tabs.tsv', (file, cache) => openCsvShard(file, cache, '\t')],
];

describe.each(cases)('%s', (name, open, mend) => {
  it(`ends in an error that names it, or in rows${mend ? ', its checksums mended' : ''}`, async () => {
    const original = await readFile(join(import.meta.dirname, '../golden/data/records', name));
    let [numErrors, numRead, numFaults] = [0, 0, 0];
    for (let i = 0; i < MUTATIONS; i++) {
      const mutated = mutate(original, new KeyedRandom('records-fuzz', i, name));
      const file = new MemoryFile(`/fuzz/${i}/${name}`, mend?.(mutated) ?? mutated);
      try {
        const rows = await rowsOf(file, open);
        numRead++;
        if (rows.some((row) => row[FAULT] !== undefined)) numFaults++;
      } catch (error) {
        numErrors++;
        if (!(error instanceof DataError) || !error.message.startsWith(file.path)) {
          throw new Error(`mutation ${i}`, { cause: error });
        }
      }
      const total = file.reads.reduce((sum, [, length]) => sum + length, 0);
      expect(total).toBeLessThan(20 * (file.size + 512));
    }
    expect(numErrors + numRead).toBe(MUTATIONS);
    expect(numRead).toBeGreaterThan(100);
    expect(numErrors + numFaults).toBeGreaterThan(100);
  });
});
