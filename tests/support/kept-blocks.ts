import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Paths of the whole blocks in a disk cache. */
export function keptBlocks(cacheDir: string): string[] {
  const parts = readdirSync(cacheDir);
  const files = parts.flatMap((part) =>
    readdirSync(join(cacheDir, part)).map((name) => join(cacheDir, part, name)),
  );
  return files.filter((file) => !file.endsWith('.tmp')).sort();
}
