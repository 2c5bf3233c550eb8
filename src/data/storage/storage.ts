/** Files wherever they are kept: on this machine, a web server, S3, or the Hugging Face hub. */
import { setMaxListeners } from 'node:events';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DataError } from '../../errors.js';
import { DiskCache } from './disk-cache.js';
import { type HttpAccess, openHttp } from './http.js';
import {
  commitOf,
  type HubAddress,
  hubEndpoint,
  hubToken,
  listHubPage,
  parseHub,
  resolveUrl,
} from './hub.js';
import { type ListedFile, type ListFolder, listPatterns, type Place } from './list.js';
import { displayUrl, schemeOf } from './location.js';
import { BLOCK_BYTES, type ResolvedStorageOptions, resolveOptions, type StorageOptions } from './options.js';
import { BlockMemory, RemoteFile } from './remote-file.js';
import type { RemoteObject } from './remote-object.js';
import { withRetries } from './retry.js';
import { parseS3, S3 } from './s3.js';
import { openLocalFile, type StoredFile } from './stored-file.js';
import { UnpackedCopies } from './unpacked.js';

/** What a storage did since it was made. */
export interface StorageStats {
  /** Bytes that came over the network, as far as they were whole. */
  readonly fetchedBytes: number;
  readonly numRequests: number;
  readonly numRetries: number;
  /** Blocks that the disk had, had not, had damaged, and gave up. All 0 without a cache. */
  readonly disk: {
    readonly hits: number;
    readonly misses: number;
    readonly damaged: number;
    readonly evicted: number;
  };
}

/** Requests under way at a time; more are served in turn. */
const MAX_CONNECTIONS = 16;
/** Blocks of all files kept in memory. */
const MEMORY_BLOCKS = 128;

/**
 * Opens and lists files. A process needs one storage, whose files share a cache, connections and memory (128 MiB
 * at most, besides what is being read).
 */
export class Storage {
  private readonly options: ResolvedStorageOptions;
  private readonly disk: DiskCache | undefined;
  private readonly memory = new BlockMemory(MEMORY_BLOCKS);
  private readonly unpacked: UnpackedCopies;
  private readonly closing = new AbortController();
  private readonly s3: S3;
  private readonly commits = new Map<string, Promise<string>>();
  private readonly waiting: (() => void)[] = [];
  private numOpen = 0;
  private fetchedBytes = 0;
  private numRequests = 0;
  private numRetries = 0;

  /** @throws ConfigError if an option is out of bounds */
  constructor(options?: StorageOptions) {
    this.options = resolveOptions(options);
    const { cacheDir, cacheMiB, unpackedMiB, onWarning, s3 } = this.options;
    this.unpacked = new UnpackedCopies(unpackedMiB * 1_048_576);
    this.disk =
      cacheMiB === 0 ? undefined : new DiskCache(resolve(cacheDir), cacheMiB * 1_048_576, onWarning);
    // Every request listens to it.
    setMaxListeners(0, this.closing.signal);
    this.s3 = new S3(s3, this.idleMs, this.closing.signal);
  }

  get stats(): StorageStats {
    const { fetchedBytes, numRequests, numRetries } = this;
    const disk = this.disk?.stats ?? { hits: 0, misses: 0, damaged: 0, evicted: 0 };
    return { fetchedBytes, numRequests, numRetries, disk: { ...disk } };
  }

  /**
   * Opens a local path, `file://`, `http(s)://`, `s3://BUCKET/KEY` or `hf://datasets/ORG/NAME[@REVISION]/PATH`.
   * What is remote is read by ranges, with retries, through the cache.
   *
   * @throws DataError that names the file, what the server answered, the number of tries, and what to do
   */
  async openFile(url: string): Promise<StoredFile> {
    switch (schemeOf(url)) {
      case undefined:
        return openLocalFile(url);
      case 'file':
        return openLocalFile(fileURLToPath(url));
      case 'http':
      case 'https':
        return this.openHttp(parseUrl(url));
      case 's3':
        return this.remote(await this.retry(url, () => this.s3.open(url)));
      case 'hf':
        return this.openHub(url, parseHub(url));
      default:
        throw new DataError(
          `${url}: cannot read from ${schemeOf(url)}://. Known are paths, file, http, https, s3, hf.`,
        );
    }
  }

  /**
   * The files that a path, folder, prefix or pattern stands for, with their sizes. Braces work everywhere
   * (`{00000..00099}`, `{a,b}`) and give the order in which they are written; folders (not what is in folders
   * within) and wildcards (`*`, `?`, `[a-z]`, `**`) work but on web servers, which cannot be listed, and give
   * the order of the paths' Unicode code points. Folders and wildcards pass hidden files over.
   *
   * @throws DataError if nothing is found, a file named is missing, or a server fails
   */
  listFiles(pattern: string): Promise<ListedFile[]> {
    return listPatterns(pattern, (url) => this.placeOf(url));
  }

  /**
   * A gzip file as it is unpacked, by a copy that is made unless it is there. It goes by the file's own path in
   * messages. Reads may be in any order.
   *
   * @throws DataError if the file is damaged or cut off, unpacks to more than 200 times its size, or does not fit the
   *   disk or the bound on such copies
   */
  openUnpacked(file: StoredFile): Promise<StoredFile> {
    return this.unpacked.open(file);
  }

  /** Ends what is under way, as reading ahead, so that the process may end. Reads that wait for it fail. */
  async close(): Promise<void> {
    this.closing.abort();
    this.s3.close();
    await this.disk?.idle();
    await this.unpacked.close();
  }

  private placeOf(url: string): Place {
    const open = (): Promise<StoredFile> => this.openFile(url);
    switch (schemeOf(url)) {
      case undefined:
        return { kind: 'local', path: url };
      case 'file':
        return { kind: 'local', path: fileURLToPath(url) };
      case 's3':
        return { kind: 'remote', path: parseS3(url).key, open, list: this.s3Lister(url) };
      case 'hf':
        return { kind: 'remote', path: parseHub(url).file, open, list: this.hubLister(url) };
      default:
        return { kind: 'single', open };
    }
  }

  private s3Lister(url: string): ListFolder {
    return async (folder, isDeep) => {
      const { bucket } = parseS3(url);
      const found: Awaited<ReturnType<ListFolder>> = [];
      let next: string | undefined;
      do {
        const page = await this.retry(url, () => this.s3.list({ bucket, key: folder }, isDeep, next));
        for (const { key, size, version } of page.entries) {
          const path = `s3://${bucket}/${key}`;
          // A key that ends with a slash stands for a folder.
          if (key.endsWith('/')) continue;
          const open = async (): Promise<StoredFile> =>
            this.remote(await this.s3.object(path, size, version));
          found.push({ inner: key.slice(folder.length), file: { path, size, open } });
        }
        next = page.next;
      } while (next !== undefined);
      return found;
    };
  }

  private hubLister(url: string): ListFolder {
    return async (folder, isDeep) => {
      const address = parseHub(url);
      const commit = await this.commitOf(url, address);
      const root = url.slice(0, url.length - address.file.length).replace(/\/*$/, '/');
      const found: Awaited<ReturnType<ListFolder>> = [];
      const at = { ...address, file: folder.replace(/\/+$/, '') };
      let next: string | undefined;
      do {
        const page = await this.retry(url, () =>
          listHubPage(at, commit, isDeep, next, (u) => this.hubAccess(u, url)),
        );
        for (const { path, size } of page.entries) {
          const file = { path: root + path, size, open: () => this.openFile(root + path) };
          found.push({ inner: path.slice(folder.length), file });
        }
        next = page.next;
      } while (next !== undefined);
      return found;
    };
  }

  private async openHttp(url: URL): Promise<StoredFile> {
    const path = displayUrl(url);
    const access = { path, url, authorization: basic(url), idleMs: this.idleMs, signal: this.closing.signal };
    return this.remote(await this.retry(path, () => openHttp(access)));
  }

  private async openHub(path: string, address: HubAddress): Promise<StoredFile> {
    const commit = await this.commitOf(path, address);
    const access = await this.hubAccess(resolveUrl(address, commit), path);
    const object = await this.retry(path, () => openHttp(access));
    return this.remote(object);
  }

  /** One commit for all files of a revision for as long as the storage lives. */
  private commitOf(path: string, address: HubAddress): Promise<string> {
    const id = `${address.repo}@${address.revision}`;
    const known = this.commits.get(id);
    if (known) return known;
    const asked = this.retry(path, () => commitOf(address, (url) => this.hubAccess(url, path)));
    this.commits.set(id, asked);
    asked.catch(() => this.commits.delete(id));
    return asked;
  }

  private async hubAccess(url: URL, path: string): Promise<HttpAccess> {
    // A list may go on at an address of another server, which must not get the token.
    const token = url.origin === new URL(hubEndpoint()).origin ? await hubToken() : undefined;
    const authorization = token && `Bearer ${token}`;
    return { path, url, authorization, idleMs: this.idleMs, signal: this.closing.signal };
  }

  private remote(object: RemoteObject): StoredFile {
    return new RemoteFile(object, {
      memory: this.memory,
      disk: this.disk,
      readAheadBlocks: Math.floor((this.options.readAheadMiB * 1_048_576) / BLOCK_BYTES),
      fetch: (from, offset, length) => this.fetch(from, offset, length),
    });
  }

  private async fetch(
    object: RemoteObject,
    offset: number,
    length: number,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await this.retry(object.path, () => object.readRange(offset, length));
    this.fetchedBytes += length;
    return bytes;
  }

  /** A pause between tries does not hold a connection. */
  private retry<T>(path: string, attempt: () => Promise<T>): Promise<T> {
    const { tries, retryDelaySeconds } = this.options;
    const onRetry = (): void => {
      this.numRetries++;
    };
    const policy = { tries, retryDelaySeconds, onRetry, signal: this.closing.signal };
    return withRetries(path, policy, () => this.connected(attempt));
  }

  private async connected<T>(work: () => Promise<T>): Promise<T> {
    if (this.numOpen < MAX_CONNECTIONS) this.numOpen++;
    else await new Promise<void>((next) => this.waiting.push(next));
    this.numRequests++;
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else this.numOpen--;
    }
  }

  private get idleMs(): number {
    return this.options.timeoutSeconds * 1000;
  }
}

function parseUrl(url: string): URL {
  try {
    return new URL(url);
  } catch (cause) {
    throw new DataError(`${url}: is no address. Check it for typing errors.`, { cause });
  }
}

function basic({ username, password }: URL): string | undefined {
  if (username === '') return undefined;
  return `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`;
}

/** A storage, and what is to be called when it is no longer needed. */
export interface BorrowedStorage {
  readonly storage: Storage;
  readonly release: () => Promise<void>;
}

/** The storage that was given, which stays its owner's to close, or else one of these options. */
export function borrowStorage(given: Storage | StorageOptions | undefined): BorrowedStorage {
  if (given instanceof Storage) return { storage: given, release: async () => {} };
  const storage = new Storage(given);
  return { storage, release: () => storage.close() };
}
