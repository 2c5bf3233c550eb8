import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { takeLock } from '../../src/lock.js';

let root = '';
let path = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'lock-'));
  path = join(root, 'lock');
});
afterEach(() => rm(root, { recursive: true, force: true }));

const write = (pid: number, host = hostname()): Promise<void> =>
  writeFile(path, JSON.stringify({ pid, host, token: 'theirs' }));

describe('takeLock', () => {
  it('waits until the holder is done', async () => {
    const order: string[] = [];
    const first = await takeLock(path);
    const second = takeLock(path, { onWait: ({ pid }) => order.push(`waits for ${pid}`) }).then((release) => {
      order.push('has it');
      return release;
    });
    await sleep(600);
    order.push('is free');
    await first();
    await (await second)();
    expect(order).toEqual([`waits for ${process.pid}`, 'is free', 'has it']);
    await expect(stat(path)).rejects.toThrow('ENOENT');
  });

  it('touches the lock while it is held', async () => {
    const release = await takeLock(path);
    const { mtimeMs } = await stat(path);
    await expect.poll(async () => (await stat(path)).mtimeMs).toBeGreaterThan(mtimeMs);
    await release();
  });

  it('refuses at once where the holder is seen to live', async () => {
    await write(process.ppid);
    const refusal = ({ pid }: { pid: number }): Error => new Error(`held by ${pid}`);
    await expect(takeLock(path, { refusal })).rejects.toThrow(`held by ${process.ppid}`);
    expect(await readFile(path, 'utf8')).toContain('theirs');
  });

  it('refuses as soon as another thread of this process, or its namesake, gives a sign', async () => {
    const release = await takeLock(path);
    await expect(takeLock(path, { refusal: () => new Error('held') })).rejects.toThrow('held');
    await release();
  });

  it('takes a lock that was left half written', async () => {
    await writeFile(path, '{"pid":');
    const release = await takeLock(path);
    expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({ pid: process.pid });
    await release();
  });

  it('leaves a lock to whoever took it over', async () => {
    const release = await takeLock(path);
    await write(1, 'another-machine');
    await release();
    expect(await readFile(path, 'utf8')).toContain('theirs');
  });

  it('stops waiting when told to', async () => {
    await write(1, 'another-machine');
    const controller = new AbortController();
    const taking = takeLock(path, { signal: controller.signal, onWait: () => controller.abort() });
    await expect(taking).rejects.toThrow(/abort/i);
  });

  it('says when there is no directory for it', async () => {
    await expect(takeLock(join(root, 'none', 'lock'))).rejects.toThrow('ENOENT');
  });
});
