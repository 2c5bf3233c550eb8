/**
 * A lock file shared by processes. Its owner touches it once a second; who finds it untouched for long enough
 * takes it over. Times are measured on the finder's own clock, so that skewed clocks on a shared file system do
 * no harm, and only while it runs, so that a suspended machine does none either.
 */
import { randomUUID } from 'node:crypto';
import { type FileHandle, open, stat, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

/** The process that holds a lock. */
export interface LockOwner {
  readonly pid: number;
  readonly host: string;
}

interface Owner extends LockOwner {
  readonly token: string;
}

const HEARTBEAT_MS = 1_000;
const POLL_MS = 250;
/** A dead process's lock is taken after this much silence, so that equal pids in other containers don't mislead. */
const DEAD_AFTER_MS = 3_000;
/** Silence after which the owner counts as gone whatever its pid says: another machine, or a suspended process. */
const SILENT_AFTER_MS = 60_000;

export interface LockOptions {
  /** Called once, when the lock turns out to be held or left behind. */
  readonly onWait?: (owner: LockOwner) => void;
  /** Makes the error to throw as soon as the owner proves to be alive. Default: wait until it is done. */
  readonly refusal?: (owner: LockOwner) => Error;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Takes the lock file `path`, waiting for as long as it is held, or only until it is clear that it is.
 *
 * @returns a function that gives the lock back
 * @throws the file system's error when the lock cannot be written, the refusal, the signal's reason when aborted
 */
export async function takeLock(path: string, options: LockOptions = {}): Promise<() => Promise<void>> {
  const mine: Owner = { pid: process.pid, host: hostname(), token: randomUUID() };
  const file = await acquire(path, mine, options);
  const heartbeat = setInterval(() => {
    const now = new Date();
    // The file itself: under its name there may be another's, had this process been suspended for long.
    file.utimes(now, now).catch(() => undefined);
  }, HEARTBEAT_MS);
  heartbeat.unref();
  return async () => {
    clearInterval(heartbeat);
    await file.close();
    // If someone took the lock over while this process was suspended, theirs must stay.
    const left = await look(path).catch(() => undefined);
    if (left?.owner?.token === mine.token) await unlink(path).catch(() => undefined);
  };
}

/** Runs `work` while holding the lock file `path`. @throws as `takeLock` */
export async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const release = await takeLock(path);
  try {
    return await work();
  } finally {
    await release();
  }
}

async function acquire(path: string, mine: Owner, options: LockOptions): Promise<FileHandle> {
  let announced = false;
  let seen: Look | undefined;
  let silentMs = 0;
  let polledAt = performance.now();
  for (;;) {
    const file = await tryCreate(path, mine);
    if (file) return file;
    options.signal?.throwIfAborted();
    const found = await look(path);
    if (found === undefined) continue;
    const { owner } = found;
    const life = owner === undefined ? 'dead' : presumption(owner, mine);
    const sameOwner = seen !== undefined && seen.owner?.token === owner?.token;
    const untouched = sameOwner && seen?.mtimeMs === found.mtimeMs;
    if (owner && options.refusal && (life === 'alive' || (sameOwner && !untouched))) {
      throw options.refusal(owner);
    }
    if (owner && !announced) {
      announced = true;
      options.onWait?.(owner);
    }
    const now = performance.now();
    // A poll that came late says nothing of the time that it is late.
    silentMs = untouched ? silentMs + Math.min(now - polledAt, 2 * POLL_MS) : 0;
    polledAt = now;
    seen = found;
    if (silentMs > (life === 'dead' ? DEAD_AFTER_MS : SILENT_AFTER_MS)) {
      await removeStale(path, owner?.token, mine);
      continue;
    }
    await delay(POLL_MS, undefined, options.signal ? { signal: options.signal } : {});
  }
}

/** What can be told of an owner without waiting for its next touch. */
function presumption({ pid, host }: Owner, mine: Owner): 'alive' | 'dead' | 'unknown' {
  if (host !== mine.host) return 'unknown';
  // Another thread, or an earlier process of a container that was started again.
  if (pid === mine.pid) return 'unknown';
  return isAlive(pid) ? 'alive' : 'dead';
}

/**
 * Removes the lock that holds `token`. Two processes may both find it stale; the guard file lets one of them
 * look again and remove it, so that neither removes the other's fresh lock.
 */
async function removeStale(path: string, token: string | undefined, mine: Owner): Promise<void> {
  const guard = `${path}.takeover`;
  const file = await tryCreate(guard, mine);
  if (!file) {
    // The guard lives for milliseconds; an old one was left by a process killed in between.
    const left = await stat(guard).catch(() => undefined);
    if (left && Date.now() - left.mtimeMs > SILENT_AFTER_MS) await unlink(guard).catch(() => undefined);
    await delay(POLL_MS);
    return;
  }
  try {
    if ((await look(path))?.owner?.token === token) await unlink(path).catch(() => undefined);
  } finally {
    await file.close();
    await unlink(guard).catch(() => undefined);
  }
}

/** Undefined if the file is there already. */
async function tryCreate(path: string, owner: Owner): Promise<FileHandle | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, 'wx');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
    throw error;
  }
  try {
    await file.writeFile(JSON.stringify(owner));
  } catch (error) {
    await file.close();
    await unlink(path).catch(() => undefined);
    throw error;
  }
  return file;
}

/** A lock as it was at one moment. */
interface Look {
  /** Undefined if it was not yet written. */
  readonly owner: Owner | undefined;
  readonly mtimeMs: number;
}

/** Undefined if there is no lock. */
async function look(path: string): Promise<Look | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { mtimeMs } = await file.stat();
    return { owner: parseOwner(await file.readFile('utf8')), mtimeMs };
  } finally {
    await file.close();
  }
}

function parseOwner(text: string): Owner | undefined {
  try {
    const owner = JSON.parse(text) as Partial<Owner> | null;
    return typeof owner?.pid === 'number' ? (owner as Owner) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a process of this machine has that number, whoever's it is. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
