/** Writing files whole or not at all. */
import { randomBytes } from 'node:crypto';
import { open, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';

/**
 * Puts `content` in the place of a file: what was there stays until all of it is on the disk. A link stays a link,
 * and what is no file, such as `/dev/stdout`, is written to.
 *
 * @throws the file system's error; then what was there is untouched, and nothing is left beside it
 */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  const place = await placeOf(path);
  if (place === undefined) {
    await writeFile(path, content);
    return;
  }
  const { target, part } = place;
  try {
    const file = await open(part, 'wx');
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, target);
  } catch (error) {
    await rm(part, { force: true }).catch(() => undefined);
    throw error;
  }
}

/**
 * Finds out whether {@link replaceFile} has a place to write to, for those who have much to compute before.
 *
 * @throws the file system's error; a full disk shows only when something is written
 */
export async function requireReplaceable(path: string): Promise<void> {
  const place = await placeOf(path);
  if (place === undefined) {
    await (await open(path, 'a')).close();
    return;
  }
  await (await open(place.part, 'wx')).close();
  await rm(place.part);
}

/** The file itself and one beside it; undefined for what is no file. */
async function placeOf(path: string): Promise<{ target: string; part: string } | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found !== undefined && !found.isFile()) return undefined;
  const target = found === undefined ? path : await realpath(path);
  return { target, part: `${target}.${randomBytes(4).toString('hex')}.part` };
}
