/** Making directories. */
import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Makes a directory and its parents, as far as they are not there. Node's own recursive `mkdir` never ends where a
 * file system has no room for a name, as `/proc` has none, and says of a read-only one that the directory is missing.
 *
 * @throws the file system's error, an `ENOENT` too where it takes no new directories
 */
export async function makeDirectories(path: string): Promise<void> {
  const refused = await tryMake(path);
  if (refused === undefined) return;
  const parent = dirname(path);
  if (refused.code !== 'ENOENT' || parent === path) throw refused;
  await makeDirectories(parent);
  const again = await tryMake(path);
  if (again?.code !== 'ENOENT') {
    if (again) throw again;
    return;
  }
  // The parent is there now, so what is missing is not a directory on the way.
  const reason = `no directory can be made in ${parent}`;
  throw Object.assign(new Error(`ENOENT: ${reason}, mkdir '${path}'`, { cause: again }), {
    code: 'ENOENT',
    syscall: 'mkdir',
    path,
  });
}

/** Undefined if the directory is there now; some systems refuse to make one that is, for other reasons first. */
async function tryMake(path: string): Promise<NodeJS.ErrnoException | undefined> {
  try {
    await mkdir(path);
    return undefined;
  } catch (error) {
    const found = await stat(path).catch(() => undefined);
    return found?.isDirectory() ? undefined : (error as NodeJS.ErrnoException);
  }
}
