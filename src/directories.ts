/** Making directories. */
import { mkdir, rmdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Makes a directory and its parents, as far as they are not there. Node's own recursive `mkdir` never ends where a
 * file system has no room for a name, as `/proc` has none, and says of a read-only one that the directory is missing.
 *
 * @returns the uppermost directory that was made; undefined if all were there
 * @throws the file system's error, an `ENOENT` too where it takes no new directories
 */
export async function makeDirectories(path: string): Promise<string | undefined> {
  const refused = await tryMake(path);
  if (refused === 'made') return path;
  if (refused === 'there') return undefined;
  const parent = dirname(path);
  if (refused.code !== 'ENOENT' || parent === path) throw refused;
  const uppermost = await makeDirectories(parent);
  const again = await tryMake(path);
  if (again === 'made') return uppermost ?? path;
  if (again === 'there') return uppermost;
  if (again.code !== 'ENOENT') throw again;
  // The parent is there now, so what is missing is not a directory on the way.
  const reason = `no directory can be made in ${parent}`;
  throw Object.assign(new Error(`ENOENT: ${reason}, mkdir '${path}'`, { cause: again }), {
    code: 'ENOENT',
    syscall: 'mkdir',
    path,
  });
}

/** Some systems refuse to make a directory that is there for other reasons first. */
async function tryMake(path: string): Promise<'made' | 'there' | NodeJS.ErrnoException> {
  try {
    await mkdir(path);
    return 'made';
  } catch (error) {
    const found = await stat(path).catch(() => undefined);
    return found?.isDirectory() ? 'there' : (error as NodeJS.ErrnoException);
  }
}

/**
 * Takes back what `makeDirectories` made: the directory and those above it up to `uppermost`, as far as they are
 * empty.
 */
export async function removeEmptyDirectories(path: string, uppermost: string | undefined): Promise<void> {
  if (uppermost === undefined) return;
  try {
    await rmdir(path);
  } catch {
    return; // something is there, and it stays
  }
  if (path !== uppermost) await removeEmptyDirectories(dirname(path), uppermost);
}
