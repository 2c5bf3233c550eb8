/**
 * Data sets of the Hugging Face hub, by its own addresses: a tree to list, and `resolve` to read, which redirects
 * to wherever the bytes are. The official client reads without retries and without holding answers against what
 * was asked for, so files are read as those of any web server, at the commit that the revision named when it was
 * first used: a later push changes nothing midway.
 */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { DataError } from '../../errors.js';
import { fetchJson, type HttpAccess } from './http.js';
import { encodePath } from './location.js';

/** A file or folder of a data set on the hub. */
export interface HubAddress {
  /** `org/name`. */
  readonly repo: string;
  readonly revision: string;
  /** Without a leading slash; empty for the whole repository. */
  readonly file: string;
}

/**
 * `hf://datasets/ORG/NAME[@REVISION]/PATH`; the revision is a branch, tag or commit, or `refs/convert/parquet`
 * or the like, by default `main`.
 *
 * @throws DataError that shows the form
 */
export function parseHub(url: string): HubAddress {
  const match = /^hf:\/\/datasets\/([^/@]+\/[^/@]+)(?:@(refs\/[^/]+\/[^/]+|[^/]+))?(?:\/(.*))?$/s.exec(url);
  if (match === null) {
    throw new DataError(`${url}: is no address of a data set. Write hf://datasets/ORG/NAME[@REVISION]/PATH.`);
  }
  const revision = decodeURIComponent(match[2] ?? 'main');
  return { repo: match[1] as string, revision, file: match[3] ?? '' };
}

/** The hub's address of `HF_ENDPOINT`, by default huggingface.co, without a slash at its end. */
export function hubEndpoint(): string {
  return (process.env.HF_ENDPOINT || 'https://huggingface.co').replace(/\/+$/, '');
}

/** The user's token where the hub's own tools look for it; undefined if there is none, as public data need none. */
export async function hubToken(): Promise<string | undefined> {
  const { HF_TOKEN, HF_TOKEN_PATH, HF_HOME } = process.env;
  if (HF_TOKEN) return HF_TOKEN.trim();
  const path = HF_TOKEN_PATH || join(HF_HOME || join(homedir(), '.cache', 'huggingface'), 'token');
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.trim() || undefined;
}

/** Makes the access to an address of the hub. */
export type AccessTo = (url: URL) => Promise<HttpAccess>;

/** The commit that a revision stands for now. */
export async function commitOf({ repo, revision }: HubAddress, accessTo: AccessTo): Promise<string> {
  if (/^[0-9a-f]{40}$/.test(revision)) return revision;
  const url = new URL(`${hubEndpoint()}/api/datasets/${repo}/revision/${encodeURIComponent(revision)}`);
  const access = await accessTo(url);
  const { value } = await fetchJson(access);
  const sha = isRecord(value) ? value.sha : undefined;
  if (typeof sha !== 'string' || !/^[0-9a-f]{40}$/.test(sha)) {
    throw new DataError(`${access.path}: the hub's answer holds no commit. Check HF_ENDPOINT.`);
  }
  return sha;
}

/** Where the bytes of a file at a commit are read. */
export function resolveUrl({ repo, file }: HubAddress, commit: string): URL {
  return new URL(`${hubEndpoint()}/datasets/${repo}/resolve/${commit}/${encodePath(file)}`);
}

/** One file of a listing; its path is that within the repository. */
export interface HubEntry {
  readonly path: string;
  readonly size: number;
}

/** One page of the files in a folder; `next` is the address of the next one. */
export async function listHubPage(
  { repo, file }: HubAddress,
  commit: string,
  isDeep: boolean,
  next: string | undefined,
  accessTo: AccessTo,
): Promise<{ entries: HubEntry[]; next: string | undefined }> {
  const folder = file === '' ? '' : `/${encodePath(file)}`;
  const first = `${hubEndpoint()}/api/datasets/${repo}/tree/${commit}${folder}?recursive=${isDeep}`;
  const access = await accessTo(new URL(next ?? first));
  const { value, response } = await fetchJson(access);
  if (!Array.isArray(value))
    throw new DataError(`${access.path}: the hub's answer is no list. Check HF_ENDPOINT.`);
  const entries = value.filter(isRecord).flatMap(({ type, path, size }): HubEntry[] => {
    return type === 'file' && typeof path === 'string' && typeof size === 'number' ? [{ path, size }] : [];
  });
  const links = [response.headers.link ?? []].flat().join(', ');
  return { entries, next: /<([^>]+)>;\s*rel="next"/.exec(links)?.[1] };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
