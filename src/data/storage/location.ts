/** What can be told of a path or URL by its text alone. */
import { basename } from 'node:path';

/** The scheme, in lower case; undefined for a path. A single letter is a drive of Windows. */
export function schemeOf(location: string): string | undefined {
  return /^([a-z][a-z0-9+.-]+):\/\//i.exec(location)?.[1]?.toLowerCase();
}

/** Whether a location is that of a server. */
export function isRemote(location: string): boolean {
  const scheme = schemeOf(location);
  return scheme !== undefined && scheme !== 'file';
}

/** Whether a location is that of a web server, whose addresses are escaped, and which cannot be listed. */
export function isWeb(location: string): boolean {
  return /^https?$/.test(schemeOf(location) ?? '');
}

/** An address as messages may show it: without password and query, where signatures and tokens stand. */
export function displayUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

/** A location as messages may show it. */
export function displayPath(location: string): string {
  return isWeb(location) && URL.canParse(location) ? displayUrl(new URL(location)) : location;
}

/** The file's own name: the same for copies of a file on a disk, on a web server and in a bucket. */
export function fileNameOf(location: string): string {
  if (!isWeb(location)) return basename(location);
  const name = basename(displayPath(location));
  try {
    return decodeURIComponent(name);
  } catch {
    return name; // a percent sign that escapes nothing
  }
}

/**
 * The location of a file in a folder, by its path from there. A web server gets the folder's query, too, which may be
 * what lets one in.
 */
export function childOf(folder: string, path: string): string {
  if (!isWeb(folder) || !URL.canParse(folder)) return `${folder.replace(/\/+$/, '')}/${path}`;
  const url = new URL(folder);
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/${encodePath(path)}`;
  return url.href;
}

/** A path as web addresses have it: escaped, but for its slashes. */
export function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
