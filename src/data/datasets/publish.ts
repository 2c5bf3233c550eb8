/** Putting a built directory in its place whole, or not at all. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { ConfigError } from '../../errors.js';
import { MANIFEST_NAME } from './manifest.js';

/**
 * Runs `build` on an empty directory beside `out`, writes what it made through to the disk, and renames it
 * to `out`. An earlier data set there is replaced. If `build` fails, or the process is killed, `out` is as
 * before; what a killed build left beside it is removed by the next one.
 *
 * @throws ConfigError if `out` exists and is neither empty nor a data set.
 */
export async function replaceDirectory<T>(out: string, build: (directory: string) => Promise<T>): Promise<T> {
  const target = resolve(out);
  const parent = dirname(target);
  await checkReplaceable(target);
  await mkdir(parent, { recursive: true });
  await removeAbandoned(parent, basename(target));
  const directory = await mkdtemp(join(parent, `.${basename(target)}.${process.pid}-`));
  try {
    const result = await build(directory);
    for (const name of await readdir(directory)) await syncToDisk(join(directory, name));
    await syncToDisk(directory);
    await rm(target, { recursive: true, force: true });
    await rename(directory, target);
    await syncToDisk(parent);
    return result;
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

async function checkReplaceable(target: string): Promise<void> {
  const info = await stat(target).catch(() => undefined);
  if (info === undefined) return;
  const names = info.isDirectory() ? await readdir(target) : [basename(target)];
  if (info.isDirectory() && (names.length === 0 || names.includes(MANIFEST_NAME))) return;
  throw new ConfigError(
    `${target}: exists and is not a data set (there is no ${MANIFEST_NAME} in it), so it is not replaced. Choose another --out.`,
  );
}

/** Removes the directories of builds whose process is gone. */
async function removeAbandoned(parent: string, name: string): Promise<void> {
  for (const entry of await readdir(parent)) {
    if (!entry.startsWith(`.${name}.`)) continue;
    const pid = Number(/^(\d+)-/.exec(entry.slice(name.length + 2))?.[1]);
    if (Number.isInteger(pid) && !isAlive(pid))
      await rm(join(parent, entry), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function syncToDisk(path: string): Promise<void> {
  const handle = await open(path);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Size and SHA-256 of a file. */
export async function describeFile(path: string): Promise<{ bytes: number; sha256: string }> {
  const bytes = await readFile(path);
  return { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** Writes a value as indented JSON. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(path, `${JSON.stringify(value, null, 2)}\n`);
}
