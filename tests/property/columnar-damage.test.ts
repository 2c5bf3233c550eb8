/**
 * Arrow and Parquet files of every kind, damaged: each ends in values or in an error that names the file, soon and in
 * bounded memory. FUZZ_RUNS=100000 FUZZ_SEED=7 runs more.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { openArrowShard } from '../../src/data/sources/arrow.js';
import { BlockCache } from '../../src/data/sources/block-cache.js';
import { openParquetShard } from '../../src/data/sources/parquet.js';
import { DataError } from '../../src/errors.js';
import { damaged, dice } from '../support/damage.js';
import { MemoryFile } from '../support/memory-file.js';

const folder = fileURLToPath(new URL('../golden/data/columnar/', import.meta.url));
const files = readdirSync(folder)
  .filter((name) => /\.(arrow|parquet)$/.test(name))
  .map((name) => ({ name, bytes: readFileSync(join(folder, name)) }));

/** Opens the file and reads all of it, row by row or by columns. */
async function readAll(name: string, bytes: Uint8Array): Promise<void> {
  const file = new MemoryFile(`/data/${name}`, bytes);
  const cache = new BlockCache(1 << 26);
  const shard = await (name.endsWith('.arrow') ? openArrowShard(file, cache) : openParquetShard(file, cache));
  // Of files that are large once decompressed, some pages will do.
  const numRows = name.startsWith('large') ? 2 : 400;
  const indices = Array.from({ length: Math.min(shard.numRows, numRows) }, (_, i) => i);
  for (const column of shard.columns) await shard.readRows(indices, [column]);
}

const numRuns = Number(process.env.FUZZ_RUNS ?? 2000);
const seed = Number(process.env.FUZZ_SEED ?? 1);

it(`survives ${numRuns} damaged files`, { timeout: 60_000 + numRuns * 50 }, async () => {
  let [numErrors, slowest, mostBytes] = [0, 0, 0];
  for (let run = 0; run < numRuns; run++) {
    const roll = dice(seed * 1_000_003 + run);
    const { name, bytes } = files[roll(files.length)] as (typeof files)[number];
    const bad = damaged(bytes, roll);
    const start = performance.now();
    try {
      await readAll(name, bad);
    } catch (error) {
      numErrors++;
      if (!(error instanceof DataError) || !error.message.startsWith(`/data/${name}: `)) {
        throw new Error(`run ${run} of seed ${seed}: ${name}: ${error}`, { cause: error });
      }
    }
    const ms = performance.now() - start;
    if (ms > slowest) slowest = ms;
    mostBytes = Math.max(mostBytes, process.memoryUsage.rss());
    if (process.env.FUZZ_RUNS !== undefined && ms > 1000)
      process.stderr.write(`slow: run ${run} ${name} ${ms} ms\n`);
  }
  if (process.env.FUZZ_RUNS !== undefined) {
    process.stderr.write(
      `${numRuns} runs, ${numErrors} errors, slowest ${slowest} ms, ${mostBytes / 1e6} MB\n`,
    );
  }
  expect(numErrors).toBeGreaterThan(numRuns / 3);
  expect(mostBytes).toBeLessThan(2e9);
});
