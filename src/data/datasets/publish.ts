/** Putting a built directory in its place whole, or not at all. */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { makeDirectories } from '../../directories.js';
import { ConfigError } from '../../errors.js';
import { isAlive } from '../../lock.js';
import { MANIFEST_NAME } from './manifest.js';

/**
 * Runs `build` on an empty directory beside `out`, writes what it made through to the disk, and renames it
 * to `out`. An earlier data set there is renamed aside first and removed last, so that at any moment one of the
 * two is whole. If `build` fails, or the process is killed before the earlier set is aside, `out` is as before.
 * If it is killed in the instant between the two renames, {@link restoreInterrupted} puts the earlier set back;
 * the next build and the next opening call it. What else a killed build left is removed by the next one.
 *
 * @throws ConfigError if `out` exists and is neither empty nor a data set.
 */
export async function replaceDirectory<T>(out: string, build: (directory: string) => Promise<T>): Promise<T> {
  const target = resolve(out);
  const parent = dirname(target);
  await restoreInterrupted(target);
  await checkReplaceable(target, '--out');
  await makeDirectories(parent);
  await removeAbandoned(target);
  const directory = join(parent, `.${basename(target)}.${process.pid}-${randomBytes(4).toString('hex')}`);
  await mkdir(directory); // not mkdtemp, whose directories no other user may read
  underWay.add(directory);
  try {
    const result = await build(directory);
    for (const name of await readdir(directory)) await syncToDisk(join(directory, name));
    await syncToDisk(directory);
    await swapIn(directory, target);
    return result;
  } catch (error) {
    // What is wrong with the disk may keep this from working, too, and is to be reported first.
    await rm(directory, { recursive: true, force: true }).catch(() => undefined);
    throw error;
  } finally {
    underWay.delete(directory);
  }
}

/** Directories that this process builds in. */
const underWay = new Set<string>();

/** Ending of the name of the set that was replaced, while it is aside. */
const ASIDE = '.old';

async function swapIn(directory: string, target: string): Promise<void> {
  const aside = `${directory}${ASIDE}`;
  const replaces = await rename(target, aside).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
  try {
    await rename(directory, target);
  } catch (error) {
    if (replaces) await rename(aside, target);
    throw error;
  }
  await syncToDisk(dirname(target));
  await rm(aside, { recursive: true, force: true });
}

/**
 * Puts back the data set that a build killed in the act of replacing it had renamed aside. Does nothing if there
 * is something at `target`, or nothing to put back.
 */
export async function restoreInterrupted(target: string): Promise<void> {
  const path = resolve(target);
  if ((await stat(path).catch(() => undefined)) !== undefined) return;
  const aside = (await abandoned(path)).find((each) => each.endsWith(ASIDE));
  // Another process may be quicker, or the file system read-only: the caller sees what is at the target.
  if (aside !== undefined) await rename(aside, path).catch(() => undefined);
}

/**
 * Refuses a path at which there is something other than a data set or an empty directory.
 *
 * @param option the command line's option that names the path, for the message
 * @throws ConfigError
 */
export async function checkReplaceable(path: string, option: string): Promise<void> {
  const target = resolve(path);
  const info = await stat(target).catch(() => undefined);
  if (info === undefined) return;
  const names = info.isDirectory() ? await readdir(target) : [basename(target)];
  if (info.isDirectory() && (names.length === 0 || names.includes(MANIFEST_NAME))) return;
  throw new ConfigError(
    `${target}: exists and is not a data set (there is no ${MANIFEST_NAME} in it), so it is not replaced. Choose another ${option}.`,
  );
}

async function removeAbandoned(target: string): Promise<void> {
  for (const path of await abandoned(target)) await rm(path, { recursive: true, force: true });
}

/** What builds of this target whose process is gone left beside it. */
async function abandoned(target: string): Promise<string[]> {
  const [parent, prefix] = [dirname(target), `.${basename(target)}.`];
  const names = await readdir(parent).catch((): string[] => []);
  return names
    .filter((name) => {
      const pid = name.startsWith(prefix) ? /^(\d+)-/.exec(name.slice(prefix.length))?.[1] : undefined;
      if (pid === undefined) return false;
      // In containers the next process often has the number of the last one.
      if (Number(pid) !== process.pid) return !isAlive(Number(pid));
      return ![...underWay].some((directory) => join(parent, name).startsWith(directory));
    })
    .map((name) => join(parent, name));
}

/** Writes a file or a directory's names through to the disk. */
export async function syncToDisk(path: string): Promise<void> {
  const handle = await open(path);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Size and SHA-256 of a file. */
export async function describeFile(path: string): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    bytes += (chunk as Buffer).length;
    hash.update(chunk as Buffer);
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** Writes a value as indented JSON. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(path, `${JSON.stringify(value, null, 2)}\n`);
}
