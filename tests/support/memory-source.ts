import sharp from 'sharp';
import type { Row, Source } from '../../src/data/sources/source.js';
import { KeyedRandom } from '../../src/rng.js';

/** Rows held in memory, counting the rows that were read. */
export class MemorySource implements Source {
  readonly path = 'memory';
  readonly columns: readonly string[];
  readonly numRows: number;
  readonly shardRows: readonly number[];
  numRead = 0;
  closed = false;

  constructor(
    readonly rows: readonly Row[],
    readonly fingerprint = `rows-${rows.length}`,
  ) {
    this.columns = Object.keys(rows[0] ?? { key: '', image: null });
    this.numRows = rows.length;
    this.shardRows = [rows.length];
  }

  async readRows(indices: readonly number[], columns: readonly string[]): Promise<Row[]> {
    this.numRead += indices.length;
    return indices.map((index) => {
      const row = this.rows[index] as Row;
      return Object.fromEntries(columns.map((column) => [column, row[column] ?? null]));
    });
  }

  async readColumn(column: string): Promise<Row[string][]> {
    return this.rows.map((row) => row[column] ?? null);
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

/** PNG files of noise, each of another size. */
export function noiseImages(count: number): Promise<Uint8Array[]> {
  return Promise.all(
    Array.from({ length: count }, (_, i) => {
      const random = new KeyedRandom('noise', i);
      const [width, height] = [12 + random.int(12), 12 + random.int(12)];
      const pixels = Uint8Array.from({ length: width * height * 3 }, () => random.int(256));
      return sharp(pixels, { raw: { width, height, channels: 3 } })
        .png()
        .toBuffer();
    }),
  );
}

/** Rows with the columns key, image, alt and ssc; each image is used by several rows. */
export async function sampleRows(count: number): Promise<Row[]> {
  const images = await noiseImages(Math.min(count, 16));
  return Array.from({ length: count }, (_, i) => ({
    key: `k${i}`,
    image: images[i % images.length] as Uint8Array,
    alt: `a photo number ${i}`,
    ssc: `short caption of the thing ${i} in the middle of nowhere`,
  }));
}
