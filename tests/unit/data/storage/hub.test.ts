import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parseHub } from '../../../../src/data/storage/hub.js';
import { Storage } from '../../../../src/data/storage/storage.js';
import { type RangeServer, startRangeServer } from '../../../support/range-server.js';
import { noise } from '../../../support/wheel-index.js';

const body = noise(1_500_000);
const commits: Record<string, string> = { main: 'a'.repeat(40), 'refs/convert/parquet': 'b'.repeat(40) };
const tree = [
  'README.md',
  'data/.gitignore',
  'data/train-1.parquet',
  'data/train 0#.parquet',
  'data/old/x.parquet',
];
let hub: RangeServer;
/** Where the hub keeps large files: another origin, to which it redirects. */
let store: RangeServer;
let folder: string;
let storage: Storage;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-hub-'));
  store = await startRangeServer();
  hub = await startRangeServer();
  hub.trick = (request, response) => answer(new URL(request.url as string, hub.url('')), response);
  vi.stubEnv('HF_ENDPOINT', `${hub.url('')}/`);
  vi.stubEnv('HF_TOKEN', 'hf_secret');
  storage = new Storage({
    cacheDir: join(folder, 'cache'),
    tries: 2,
    retryDelaySeconds: 0.01,
    readAheadMiB: 0,
  });
});
afterEach(async () => {
  await storage.close();
  await hub.close();
  await store.close();
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

/** The hub's routes: the commit of a revision, the tree in pages of two, and files by redirect. */
function answer(url: URL, response: ServerResponse): true {
  const path = decodeURIComponent(url.pathname);
  const api = '/api/datasets/org/name';
  const revision = path.startsWith(`${api}/revision/`) ? path.slice(`${api}/revision/`.length) : undefined;
  if (revision !== undefined && commits[revision]) response.end(JSON.stringify({ sha: commits[revision] }));
  else if (path.startsWith(`${api}/tree/`)) answerTree(url, path.slice(`${api}/tree/`.length), response);
  else if (path.startsWith('/datasets/org/name/resolve/') && store.files.has(path)) {
    response.writeHead(302, { location: store.url(`${url.pathname}?signature=1`) }).end();
  } else response.writeHead(404).end('{"error":"not found"}');
  return true;
}

function answerTree(url: URL, rest: string, response: ServerResponse): void {
  const inner = rest.slice(41);
  const isDeep = url.searchParams.get('recursive') === 'true';
  const prefix = inner === '' ? '' : `${inner}/`;
  const all = tree.filter(
    (path) => path.startsWith(prefix) && (isDeep || !path.slice(prefix.length).includes('/')),
  );
  const start = Number(url.searchParams.get('cursor') ?? 0);
  if (all.length === 0) {
    response.writeHead(404).end('{}');
    return;
  }
  if (start + 2 < all.length) {
    url.searchParams.set('cursor', `${start + 2}`);
    response.setHeader('link', `<${url.href}>; rel="next"`);
  }
  const entries = all.slice(start, start + 2).map((path) => ({ type: 'file', path, size: path.length }));
  response.end(JSON.stringify([{ type: 'directory', path: `${prefix}folder`, size: 0 }, ...entries]));
}

function publish(commit: string, path: string, content: Uint8Array): void {
  store.files.set(`/datasets/org/name/resolve/${commit}/${path}`, content);
}

describe('data sets of the hub', () => {
  it('are read where the hub redirects to, with the token for the hub alone', async () => {
    publish(commits.main as string, 'data/train-1.parquet', body);
    const file = await storage.openFile('hf://datasets/org/name/data/train-1.parquet');
    expect(file.size).toBe(body.length);
    expect(Buffer.compare(await file.read(1_000_000, 400_000), body.subarray(1_000_000, 1_400_000))).toBe(0);
    expect(new Set(hub.seen.map(({ headers }) => headers.authorization))).toEqual(
      new Set(['Bearer hf_secret']),
    );
    expect(new Set(store.seen.map(({ headers }) => headers.authorization))).toEqual(new Set([undefined]));
  });

  it('stay at the commit at which they were opened', async () => {
    publish(commits.main as string, 'a', body);
    const other = 'c'.repeat(40);
    publish(other, 'a', noise(10));
    const file = await storage.openFile('hf://datasets/org/name/a');
    commits.main = other;
    expect((await storage.openFile('hf://datasets/org/name@main/a')).size).toBe(body.length);
    expect(Buffer.compare(await file.read(0, 10), body.subarray(0, 10))).toBe(0);
    commits.main = 'a'.repeat(40);
    expect((await storage.openFile(`hf://datasets/org/name@${other}/a`)).size).toBe(10);
  });

  it('are listed over several pages, by folder and wildcard', async () => {
    const root = 'hf://datasets/org/name@refs/convert/parquet/';
    const files = await storage.listFiles(`${root}data`);
    expect(files.map(({ path }) => path)).toEqual([
      `${root}data/train 0#.parquet`,
      `${root}data/train-1.parquet`,
    ]);
    expect(files.map(({ size }) => size)).toEqual([21, 20]);
    const deep = await storage.listFiles('hf://datasets/org/name/**/*.parquet');
    expect(deep.map(({ path }) => path.slice('hf://datasets/org/name/'.length))).toEqual([
      'data/old/x.parquet',
      'data/train 0#.parquet',
      'data/train-1.parquet',
    ]);
    publish(commits['refs/convert/parquet'] as string, 'data/train%200%23.parquet', body);
    store.files.set(`/datasets/org/name/resolve/${'b'.repeat(40)}/data/train 0#.parquet`, body);
    expect((await files[0]?.open())?.size).toBe(body.length);
  });

  it("take the token from the file of the hub's own tools", async () => {
    writeFileSync(join(folder, 'token'), 'hf_of_file\n');
    vi.stubEnv('HF_TOKEN', '');
    vi.stubEnv('HF_TOKEN_PATH', join(folder, 'token'));
    await storage.listFiles('hf://datasets/org/name/');
    expect(hub.seen[0]?.headers.authorization).toBe('Bearer hf_of_file');
  });

  it('are an error if they are not there', async () => {
    await expect(storage.openFile('hf://datasets/org/other/a')).rejects.toThrow(
      /hf:\/\/datasets\/org\/other\/a: cannot be read: the server answered 404/,
    );
    await expect(storage.listFiles('hf://datasets/org/name/none')).rejects.toThrow('404');
    hub.trick = (_request, response) => Boolean(response.end('<html>'));
    await expect(storage.openFile('hf://datasets/org/web/a')).rejects.toThrow('no JSON');
  });
});

describe('parseHub', () => {
  it.each([
    ['hf://datasets/o/n/a/b.tar', { repo: 'o/n', revision: 'main', file: 'a/b.tar' }],
    ['hf://datasets/o/n@v1.0/b', { repo: 'o/n', revision: 'v1.0', file: 'b' }],
    ['hf://datasets/o/n@refs%2Fpr%2F3/b', { repo: 'o/n', revision: 'refs/pr/3', file: 'b' }],
    ['hf://datasets/o/n', { repo: 'o/n', revision: 'main', file: '' }],
  ])('%s', (url, address) => {
    expect(parseHub(url)).toEqual(address);
  });

  it('shows the form to who writes another', () => {
    for (const url of ['hf://o/n/a', 'hf://datasets/n', 'hf://models/o/n/a']) {
      expect(() => parseHub(url)).toThrow('hf://datasets/ORG/NAME');
    }
  });
});
