/** The SVG files of a folder of clip art, which lie in folders by category. */
import { readdir, realpath, stat } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import { ConfigError } from '../../../errors.js';

/** One drawing's file. */
export interface ClipFile {
  /** Path below the folder, with slashes and without `.svg`. */
  readonly key: string;
  /** The file itself, links followed. */
  readonly path: string;
  readonly bytes: number;
}

/** A file that is not used, and why. */
export interface SkippedFile {
  readonly file: string;
  readonly reason: string;
}

/** Larger files are not read. The largest of Debian's package has 1.7 MB. */
const MAX_BYTES = 8 * 1024 * 1024;

/**
 * Lists every `.svg` below the folder, in order of keys. A link counts as a file of its own, since it puts a drawing
 * into another category; one that leads out of the folder is skipped.
 *
 * @throws ConfigError if there is no such folder, or no SVG in it.
 */
export async function listClips(folder: string): Promise<{ files: ClipFile[]; skipped: SkippedFile[] }> {
  const root = await realpath(resolve(folder)).catch(() => undefined);
  const names = root === undefined ? [] : await readdir(root, { recursive: true }).catch(() => []);
  const files: ClipFile[] = [];
  const skipped: SkippedFile[] = [];
  for (const name of names.filter((each) => each.endsWith('.svg'))) {
    const file = name.split(sep).join('/');
    const path = await realpath(join(root as string, name)).catch(() => undefined);
    const info = path === undefined ? undefined : await stat(path);
    if (path === undefined || info === undefined) {
      skipped.push({ file, reason: 'is a link to a file that is not there' });
    } else if (relative(root as string, path).startsWith('..')) {
      skipped.push({ file, reason: 'is a link out of the folder' });
    } else if (!info.isFile()) {
      skipped.push({ file, reason: 'is not a file' });
    } else if (info.size > MAX_BYTES) {
      skipped.push({ file, reason: `has ${info.size} bytes; at most ${MAX_BYTES} are read` });
    } else {
      files.push({ key: file.slice(0, -'.svg'.length), path, bytes: info.size });
    }
  }
  if (files.length === 0) {
    throw new ConfigError(
      `${folder}: holds no SVG files. Install Debian's package (apt-get install openclipart-svg), which puts them ` +
        `into ${DEFAULT_FROM}, or name a folder that has some with --from.`,
    );
  }
  const byKey = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
  files.sort((a, b) => byKey(a.key, b.key));
  skipped.sort((a, b) => byKey(a.file, b.file));
  return { files, skipped };
}

/** Where Debian's package openclipart-svg puts its files. */
export const DEFAULT_FROM = '/usr/share/openclipart/svg';
