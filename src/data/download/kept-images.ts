/** The images of a finished shard, read back when some of its other rows are tried again. */
import { DataError } from '../../errors.js';
import { openShard } from '../datasets/shard-format.js';
import type { Row } from '../schema.js';
import { BlockCache } from '../sources/block-cache.js';
import type { Shard } from '../sources/source.js';
import { borrowStorage } from '../storage/storage.js';
import type { DownloadFormat } from './choices.js';
import type { ShardWork } from './shard-work.js';
import { extensionOf } from './store-image.js';

const CHUNK_ROWS = 64;
const CACHE_BYTES = 64 * 1024 * 1024;
const MEASURED = ['width', 'height', 'original_width', 'original_height', 'sha256'];
/** What an image's column may be called in a tar. */
const MEMBERS = ['jpg', 'png', 'webp', 'gif', 'tiff', 'avif'];

/**
 * Puts a finished shard's images into the spool of its new work and settles their rows.
 *
 * @param failed places in the shard of the rows that have no image
 * @throws DataError if the shard does not hold all the others
 */
export async function keepImages(
  work: ShardWork,
  path: string,
  format: DownloadFormat,
  failed: ReadonlySet<number>,
): Promise<void> {
  const kept = [...work.rows.keys()].filter((i) => !failed.has(i));
  if (kept.length === 0) return;
  const { storage, release } = borrowStorage(undefined);
  try {
    const shard = await openShard(await storage.openFile(path), format, new BlockCache(CACHE_BYTES), storage);
    await keepAll(work, shard, kept, format);
  } finally {
    await release();
  }
}

async function keepAll(
  work: ShardWork,
  shard: Shard,
  kept: readonly number[],
  format: DownloadFormat,
): Promise<void> {
  if (shard.numRows !== kept.length) {
    throw new DataError(
      `${shard.path}: holds ${shard.numRows} images; expected ${kept.length}. Choose another --out, or remove its _stats.json ` +
        'to have the shard made again.',
    );
  }
  const images = format === 'webdataset' ? MEMBERS.filter((name) => shard.columns.includes(name)) : ['image'];
  for (let at = 0; at < kept.length; at += CHUNK_ROWS) {
    const places = kept.slice(at, at + CHUNK_ROWS);
    const rows = await shard.readRows(
      places.map((_, j) => at + j),
      [...images, ...MEASURED],
    );
    for (const [j, i] of places.entries()) await keep(work, i, rows[j] as Row, images);
  }
}

async function keep(work: ShardWork, i: number, row: Row, images: readonly string[]): Promise<void> {
  const bytes = images.map((name) => row[name]).find((value) => value instanceof Uint8Array) as Uint8Array;
  const offset = await work.spool.append(bytes);
  work.settle(i, {
    image: {
      offset,
      length: bytes.length,
      fetchedBytes: 0,
      extension: extensionOf(bytes),
      width: Number(row.width),
      height: Number(row.height),
      originalWidth: Number(row.original_width),
      originalHeight: Number(row.original_height),
      sha256: String(row.sha256),
      isKept: true,
    },
  });
}
