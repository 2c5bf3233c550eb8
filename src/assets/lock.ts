/**
 * A lock file shared by processes. Its owner touches it once a second; a waiter that sees it untouched for
 * long enough takes it over. Times are measured on the waiter's own clock, so that skewed clocks on a shared
 * file system do no harm.
 */
import { randomUUID } from 'node:crypto';
import { open, readFile, stat, unlink, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { AssetError } from '../errors.js';
import { describeFileError } from './cache-dir.js';

interface Owner {
  readonly pid: number;
  readonly host: string;
  readonly token: string;
}

const HEARTBEAT_MS = 1_000;
const POLL_MS = 250;
/** A dead process's lock is taken after this much silence, so that equal pids in other containers don't mislead. */
const DEAD_AFTER_MS = 3_000;
/** Silence after which the owner counts as gone whatever its pid says: another machine, or a suspended process. */
const SILENT_AFTER_MS = 60_000;

/** Options of `withLock`. */
export interface LockOptions {
  /** Called once, when the lock turns out to be held; `owner` describes the holder. */
  readonly onWait?: (owner: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs `work` while holding the lock file `path`, waiting for as long as a living process holds it.
 *
 * @throws AssetError when the lock cannot be written, the signal's reason when aborted.
 */
export async function withLock<T>(
  path: string,
  work: () => Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  const mine: Owner = { pid: process.pid, host: hostname(), token: randomUUID() };
  await acquire(path, mine, options);
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, HEARTBEAT_MS);
  heartbeat.unref();
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    // If someone took the lock over while this process was suspended, theirs must stay.
    if ((await readOwner(path))?.token === mine.token) await unlink(path).catch(() => undefined);
  }
}

async function acquire(path: string, mine: Owner, options: LockOptions): Promise<void> {
  let announced = false;
  let seen = '';
  let seenAt = performance.now();
  while (!(await tryCreate(path, mine))) {
    options.signal?.throwIfAborted();
    const owner = await readOwner(path);
    const touched = await stat(path).catch(() => undefined);
    if (touched === undefined) continue;
    if (owner && !announced) {
      announced = true;
      options.onWait?.(`process ${owner.pid} on ${owner.host}`);
    }
    const state = `${owner?.token} ${touched.mtimeMs}`;
    if (state !== seen) {
      seen = state;
      seenAt = performance.now();
    }
    const silentMs = performance.now() - seenAt;
    const dead = owner === undefined || (owner.host === mine.host && !isAlive(owner.pid));
    if (silentMs > SILENT_AFTER_MS || (dead && silentMs > DEAD_AFTER_MS)) {
      await removeStale(path, owner?.token, mine);
      continue;
    }
    await delay(POLL_MS, undefined, options.signal ? { signal: options.signal } : {});
  }
}

/**
 * Removes the lock that holds `token`. Two waiters may both find it stale; the guard file lets one of them
 * look again and remove it, so that neither removes the other's fresh lock.
 */
async function removeStale(path: string, token: string | undefined, mine: Owner): Promise<void> {
  const guard = `${path}.takeover`;
  if (!(await tryCreate(guard, mine))) {
    // The guard lives for milliseconds; an old one was left by a process killed in between.
    const left = await stat(guard).catch(() => undefined);
    if (left && Date.now() - left.mtimeMs > SILENT_AFTER_MS) await unlink(guard).catch(() => undefined);
    await delay(POLL_MS);
    return;
  }
  try {
    if ((await readOwner(path))?.token === token) await unlink(path).catch(() => undefined);
  } finally {
    await unlink(guard).catch(() => undefined);
  }
}

async function tryCreate(path: string, owner: Owner): Promise<boolean> {
  try {
    const file = await open(path, 'wx');
    try {
      await file.writeFile(JSON.stringify(owner));
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EEXIST') return false;
    if (code === 'ENOENT') {
      throw new AssetError(`Cannot create the lock ${path}: its directory was deleted.`, { cause: error });
    }
    throw describeFileError(error, path);
  }
}

/** The owner written in the lock; undefined when it is gone or not yet written. */
async function readOwner(path: string): Promise<Owner | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Owner;
  } catch {
    return undefined;
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
