/** Which shards a path, pattern or URL stands for, by names and manifests alone. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TransferError } from '../../assets/request.js';
import { ConfigError, DataError } from '../../errors.js';
import type { ShardFormat } from '../schema.js';
import type { ListedFile } from '../storage/list.js';
import { childOf, displayPath, fileNameOf, isRemote, isWeb, schemeOf } from '../storage/location.js';
import { comparePaths, expandBraces, hasWildcard } from '../storage/patterns.js';
import type { Storage } from '../storage/storage.js';
import type { StoredFile } from '../storage/stored-file.js';
import { MANIFEST_NAME, parseShardList, type Reading, readShardList, type ShardList } from './manifest.js';
import { restoreInterrupted } from './publish.js';
import { formatOf, isShardName, shardEndings, splitOf } from './shard-format.js';

/** A shard that was not opened yet, as the manifest or, without rows and bytes, its name tells. */
export interface ShardFile {
  /** For messages. */
  readonly path: string;
  readonly format: ShardFormat;
  readonly split: string;
  readonly rows?: number;
  readonly bytes?: number;
  open(): Promise<StoredFile>;
}

/** The shards of a data set. */
export interface LocatedShards {
  readonly files: readonly ShardFile[];
  /** `listed`: a manifest lists them with their splits. `alone`: one file was named, which may hold all splits. */
  readonly kind: 'listed' | 'named' | 'alone';
  /** How the manifest says that columns are read; its images are a location. */
  readonly reading?: Reading;
}

/** A manifest larger than this is none. */
const MAX_MANIFEST_BYTES = 64 * 2 ** 20;

/** @throws ConfigError if there is nothing, or nothing that can be read; DataError if a manifest or server fails */
export function locateShards(path: string, storage: Storage): Promise<LocatedShards> {
  if (schemeOf(path) === 'file') return locateLocal(fileURLToPath(path), storage);
  return isRemote(path) ? locateRemote(path, storage) : locateLocal(path, storage);
}

async function locateLocal(path: string, storage: Storage): Promise<LocatedShards> {
  await restoreInterrupted(path);
  const info = await stat(path).catch(() => undefined);
  if (info === undefined && (hasWildcard(path) || path.includes('{'))) return matching(path, storage);
  if (info === undefined) {
    throw new ConfigError(
      `${path}: there is no such data set. Build the built-in one with: npx capstan data build emoji --out ${path}`,
    );
  }
  const shardAt = (each: string): ShardFile => shardOf(each, () => storage.openFile(each));
  if (!info.isDirectory()) {
    if (formatOf(path) === undefined) throw unknownEnding(path);
    return { files: [shardAt(path)], kind: 'alone' };
  }
  const manifest = await readShardList(path);
  if (manifest !== undefined) return listed(path, manifest, (name) => shardAt(join(path, name)));
  const names = (await readdir(path)).filter(isShardName).sort(comparePaths);
  return { files: names.map((name) => shardAt(join(path, name))), kind: 'named' };
}

async function locateRemote(path: string, storage: Storage): Promise<LocatedShards> {
  const isPattern = expandBraces(path).length > 1 || (!isWeb(path) && hasWildcard(path));
  if (isPattern) return matching(path, storage);
  if (!displayPath(path).endsWith('/') && formatOf(path) !== undefined) {
    return { files: [shardOf(displayPath(path), () => storage.openFile(path))], kind: 'alone' };
  }
  return isWeb(path) ? locateWebFolder(path, storage) : locateBucketFolder(path, storage);
}

/** A web server cannot be listed: what its folder holds, only a manifest tells. */
async function locateWebFolder(folder: string, storage: Storage): Promise<LocatedShards> {
  let file: StoredFile;
  try {
    file = await storage.openFile(childOf(folder, MANIFEST_NAME));
  } catch (error) {
    const { cause } = error as DataError;
    if (!(cause instanceof TransferError) || (cause.status !== 404 && cause.status !== 403)) throw error;
    throw new ConfigError(
      `${displayPath(folder)}: cannot be opened as a data set: a web server cannot be listed, and asked for ` +
        `${MANIFEST_NAME} in that folder it answers ${cause.status}. Name the shards, as in ` +
        `${childOf(displayPath(folder), 'N').slice(0, -1)}{00000..00099}.tar, or put the manifest of 'npx capstan data build' there. ` +
        `A file's name must end in one of ${shardEndings}.`,
      { cause: error },
    );
  }
  return listed(folder, await readRemoteManifest(file), (name) => {
    const location = childOf(folder, name);
    return shardOf(displayPath(location), () => storage.openFile(location));
  });
}

async function locateBucketFolder(folder: string, storage: Storage): Promise<LocatedShards> {
  const found = new Map<string, ListedFile>();
  for (const file of await storage.listFiles(childOf(folder, ''))) found.set(fileNameOf(file.path), file);
  const manifest = found.get(MANIFEST_NAME);
  if (manifest !== undefined) {
    return listed(folder, await readRemoteManifest(await manifest.open()), (name) => {
      const location = childOf(folder, name);
      // One that the list lacks is asked for, so that the error says what the server does.
      return shardOf(location, found.get(name)?.open ?? (() => storage.openFile(location)));
    });
  }
  const shards = [...found].filter(([name]) => isShardName(name));
  if (shards.length === 0) {
    throw new ConfigError(
      `${folder}: holds no shards; expected files that end in one of ${shardEndings}. Check the address; of folders ` +
        `within, name one, or all by a pattern such as ${childOf(folder, '**/*.parquet')}.`,
    );
  }
  return { files: shards.map(([, { path, open }]) => shardOf(path, open)), kind: 'named' };
}

async function matching(pattern: string, storage: Storage): Promise<LocatedShards> {
  const found = await storage.listFiles(pattern);
  const shards = found.filter(({ path }) => isShardName(fileNameOf(path)));
  return { files: shards.map(({ path, open }) => shardOf(path, open)), kind: 'named' };
}

function listed(
  folder: string,
  { shards, reading }: ShardList,
  shardAt: (name: string) => ShardFile,
): LocatedShards {
  const files = shards.map(({ name, format, split, rows, bytes }) => {
    return { ...shardAt(name), format, split, rows, bytes };
  });
  if (reading === undefined) return { files, kind: 'listed' };
  const { images, ...columns } = reading;
  const at = images === undefined ? {} : { images: childOf(folder, images) };
  return { files, kind: 'listed', reading: { ...columns, ...at } };
}

async function readRemoteManifest(file: StoredFile): Promise<ShardList> {
  if (file.size > MAX_MANIFEST_BYTES) {
    throw new DataError(
      `${file.path}: has ${file.size} bytes; expected a data set's manifest. Check the address.`,
    );
  }
  return parseShardList(file.path, Buffer.from(await file.read(0, file.size)).toString('utf8'));
}

function shardOf(path: string, open: () => Promise<StoredFile>): ShardFile {
  return { path, format: formatOf(path) as ShardFormat, split: splitOf(path), open };
}

function unknownEnding(path: string): ConfigError {
  return new ConfigError(`${path}: has no known ending; expected one of ${shardEndings}.`);
}
