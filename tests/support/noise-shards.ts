/** Shards large enough that servers are asked for parts of them: rows with pictures of noise. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import type { Column, Row } from '../../src/data/schema.js';
import { writeArrow, writeParquet } from '../../src/data/sources/writers.js';
import { noise } from './wheel-index.js';

const COLUMNS: Column[] = ['key', 'image', 'alt', 'ssc'].map((name) => ({
  name,
  type: name === 'image' ? 'binary' : 'string',
}));

export interface NoiseShardOptions {
  readonly numShards: number;
  readonly rowsPerShard: number;
  /** Pixels of a side: 180 make some 97 kB. Default: 180. */
  readonly side?: number;
  /** Rows read and kept as one. Default: 4. */
  readonly groupRows?: number;
  readonly format?: 'arrow' | 'parquet';
  /** Other values give other pictures of the same size. Default: 0. */
  readonly seed?: number;
}

/** Writes `train-00000.arrow` and so on, and returns their names. */
export async function writeNoiseShards(folder: string, options: NoiseShardOptions): Promise<string[]> {
  const { numShards, rowsPerShard, side = 180, groupRows = 4, format = 'arrow', seed = 0 } = options;
  await mkdir(folder, { recursive: true });
  const bytes = side * side * 3;
  const all = noise(bytes + 997 * numShards * rowsPerShard + seed);
  const names: string[] = [];
  for (let shard = 0; shard < numShards; shard++) {
    const rows: Row[] = [];
    for (let i = 0; i < rowsPerShard; i++) {
      const n = shard * rowsPerShard + i;
      const raw = all.subarray(997 * n + seed, 997 * n + seed + bytes);
      const png = sharp(raw, { raw: { width: side, height: side, channels: 3 } }).png({
        compressionLevel: 0,
      });
      rows.push({
        key: `k${n}`,
        image: await png.toBuffer(),
        alt: `alt text ${n}`,
        ssc: `a picture of ${n}`,
      });
    }
    const name = `train-${String(shard).padStart(5, '0')}.${format}`;
    const write = format === 'arrow' ? writeArrow : writeParquet;
    await write(join(folder, name), COLUMNS, rows, groupRows);
    names.push(name);
  }
  return names;
}
