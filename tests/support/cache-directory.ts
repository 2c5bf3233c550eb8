import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';

/** Gives a test file a cache directory of its own, and a folder beside it. */
export function useCacheDirectory(): { readonly folder: string; readonly cache: string } {
  const places = { folder: '', cache: '' };
  const before = process.env.CAPSTAN_CACHE;
  beforeAll(async () => {
    places.folder = await mkdtemp(join(tmpdir(), 'capstan-test-'));
    places.cache = join(places.folder, 'cache');
    process.env.CAPSTAN_CACHE = places.cache;
  });
  afterAll(async () => {
    if (before === undefined) delete process.env.CAPSTAN_CACHE;
    else process.env.CAPSTAN_CACHE = before;
    await rm(places.folder, { recursive: true, force: true });
  });
  return places;
}
