import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The repository's folder, in which `bench/peer` lies: benches run compiled, from another folder than
 * their sources.
 */
export function repositoryRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'bench', 'peer'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('bench/peer is not above this file; run benches from a checkout');
    folder = parent;
  }
  return folder;
}
