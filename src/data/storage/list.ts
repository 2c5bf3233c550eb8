/** The files that a path, folder or pattern stands for, in an order that does not depend on where they lie. */

import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { TransferError } from '../../assets/request.js';
import { DataError } from '../../errors.js';
import { mapConcurrently } from '../map-concurrently.js';
import { comparePaths, expandBraces, globToRegExp, hasWildcard, splitAtWildcard } from './patterns.js';
import { message, openLocalFile, type StoredFile } from './stored-file.js';

/** A file that was found but not opened. */
export interface ListedFile {
  /** Path or URL. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  open(): Promise<StoredFile>;
}

/** How files are found where an expanded pattern points. */
export type Place =
  | { readonly kind: 'local'; readonly path: string }
  /** A server that can be listed. */
  | {
      readonly kind: 'remote';
      /** The pattern within the bucket or repository. */
      readonly path: string;
      open(): Promise<StoredFile>;
      /** Files of which the path begins with `folder`, which is empty or ends with a slash. */
      list: ListFolder;
    }
  /** A server that cannot be listed. */
  | { readonly kind: 'single'; open(): Promise<StoredFile> };

/** Lists a folder of a server, with what is in folders within if `isDeep`; `inner` is the path below the folder. */
export type ListFolder = (
  folder: string,
  isDeep: boolean,
) => Promise<{ readonly inner: string; readonly file: ListedFile }[]>;

/** Patterns that are asked for at a time. */
const CONCURRENCY = 16;

/** As `Storage.listFiles`, which documents it. */
export async function listPatterns(pattern: string, placeOf: (url: string) => Place): Promise<ListedFile[]> {
  const literal = placeOf(pattern);
  if (literal.kind === 'local' && (await kindOf(literal.path)) !== undefined) return listLocal(literal.path);
  const patterns = expandBraces(pattern);
  const found = await mapConcurrently(patterns, CONCURRENCY, (one) => listOne(one, placeOf(one)));
  return found.flat();
}

async function listOne(url: string, place: Place): Promise<ListedFile[]> {
  if (place.kind === 'local') return listLocal(place.path);
  if (place.kind === 'single') return [opened(await place.open())];
  const { path } = place;
  const listed = hasWildcard(path) ? await matchRemote(place) : await folderOrFile(place);
  if (listed.length === 0) throw nothingFound(url);
  return listed;
}

async function matchRemote(place: Place & { kind: 'remote' }): Promise<ListedFile[]> {
  const { base, rest } = splitAtWildcard(place.path);
  const matches = globToRegExp(rest);
  const all = await place.list(base, rest.includes('/') || rest === '**');
  return inOrder(all.filter(({ inner }) => matches.test(inner)).map(({ file }) => file));
}

/** The file of that name; if there is none, what is in the folder. */
async function folderOrFile(place: Place & { kind: 'remote' }): Promise<ListedFile[]> {
  const { path } = place;
  if (path === '' || path.endsWith('/')) return visibleIn(place, path);
  try {
    return [opened(await place.open())];
  } catch (error) {
    const { cause } = error as DataError;
    // S3 answers 403 for what is not there to who may not list the bucket.
    const isMissing = cause instanceof TransferError && (cause.status === 404 || cause.status === 403);
    if (!isMissing) throw error;
    const inside = await visibleIn(place, `${path}/`).catch(() => []);
    if (inside.length === 0) throw error;
    return inside;
  }
}

async function visibleIn(place: Place & { kind: 'remote' }, folder: string): Promise<ListedFile[]> {
  const all = await place.list(folder, false);
  return inOrder(all.filter(({ inner }) => !inner.startsWith('.')).map(({ file }) => file));
}

async function listLocal(path: string): Promise<ListedFile[]> {
  const kind = await kindOf(path);
  if (kind === 'file') return [await localFile(path)];
  const files =
    kind === 'folder' ? await visibleFiles(path) : hasWildcard(path) ? await matchLocal(path) : [];
  if (files.length === 0) throw nothingFound(path);
  return inOrder(await Promise.all(files.map(localFile)));
}

async function visibleFiles(folder: string): Promise<string[]> {
  const entries = await readFolder(folder);
  return entries.filter((e) => e.isFile() && !e.name.startsWith('.')).map((e) => join(folder, e.name));
}

async function matchLocal(pattern: string): Promise<string[]> {
  const { base, rest } = splitAtWildcard(pattern);
  const depth = rest.includes('**') ? Number.POSITIVE_INFINITY : rest.split('/').length;
  const matches = globToRegExp(rest);
  const found: string[] = [];
  const walk = async (inner: string, left: number): Promise<void> => {
    for (const entry of await readFolder(`${base}${inner}` || '.')) {
      const name = `${inner}${entry.name}`;
      if (entry.isDirectory() && left > 1) await walk(`${name}/`, left - 1);
      else if (entry.isFile() && matches.test(name)) found.push(`${base}${name}`);
    }
  };
  await walk('', depth);
  return found;
}

/** Entries with links replaced by what they point to; a folder that is not there is empty. */
async function readFolder(
  folder: string,
): Promise<{ name: string; isFile(): boolean; isDirectory(): boolean }[]> {
  let entries: Awaited<ReturnType<typeof readEntries>>;
  try {
    entries = await readEntries(folder);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw new DataError(`${folder}: cannot be listed (${message(cause)}).`, { cause });
  }
  return Promise.all(
    entries.map(async (entry) => {
      if (!entry.isSymbolicLink()) return entry;
      const target = await stat(join(folder, entry.name)).catch(() => undefined);
      // A link to a folder is not followed: it may lead back up.
      return { name: entry.name, isFile: () => target?.isFile() ?? false, isDirectory: () => false };
    }),
  );
}

function readEntries(folder: string) {
  return readdir(folder, { withFileTypes: true });
}

async function kindOf(path: string): Promise<'file' | 'folder' | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return undefined;
  return found.isDirectory() ? 'folder' : 'file';
}

async function localFile(path: string): Promise<ListedFile> {
  return { path, size: (await openLocalFile(path)).size, open: () => openLocalFile(path) };
}

function opened(file: StoredFile): ListedFile {
  return { path: file.path, size: file.size, open: () => Promise.resolve(file) };
}

function inOrder(files: ListedFile[]): ListedFile[] {
  return files.sort((a, b) => comparePaths(a.path, b.path));
}

function nothingFound(path: string): DataError {
  return new DataError(`${path}: there are no files. Check the path for typing errors.`);
}
