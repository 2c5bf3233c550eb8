import { utimesSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EngineInfo } from '../../../src/engine/index.js';
import { CheckpointError, ConfigError } from '../../../src/errors.js';
import { claimRunFolder, type RunPaths, runPaths, writeVersions } from '../../../src/train/run-folder.js';

let paths: RunPaths;
let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'run-folder-'));
  paths = runPaths(join(root, 'sweeps', 'a'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** No process has it: over the largest pid of Linux. */
const NO_PROCESS = 2 ** 22 + 1;

describe('claimRunFolder', () => {
  it('makes the folder and holds it until it is given up', async () => {
    const release = await claimRunFolder(paths, false);
    await expect(claimRunFolder(paths, true)).rejects.toThrow(
      new RegExp(`Process ${process.pid} on ${hostname()} trains in .*sweeps.a`),
    );
    await release();
    await (await claimRunFolder(paths, true))();
  });

  it('refuses a folder that holds a run, unless the run is to go on', async () => {
    await mkdir(paths.directory, { recursive: true });
    await writeFile(paths.config, 'task: clip\n');
    const error = claimRunFolder(paths, false);
    await expect(error).rejects.toThrow(ConfigError);
    await expect(error).rejects.toThrow(/holds a run already.*--resume auto.*run\.name/);
    expect(await readFile(paths.config, 'utf8')).toBe('task: clip\n');
    await (await claimRunFolder(paths, true))();
  });

  it('leaves nothing that would be taken for a run', async () => {
    await (await claimRunFolder(paths, false))();
    await (await claimRunFolder(paths, false))();
  });

  it('removes what it made if nothing was put there, and only that', async () => {
    await (await claimRunFolder(paths, false))();
    expect(await readdir(root)).toEqual([]);
    await mkdir(join(root, 'sweeps'));
    await (await claimRunFolder(paths, false))();
    expect(await readdir(root)).toEqual(['sweeps']);
    expect(await readdir(join(root, 'sweeps'))).toEqual([]);
    const release = await claimRunFolder(paths, false);
    await writeFile(paths.config, 'task: clip\n');
    await release();
    expect(await readdir(paths.directory)).toEqual(['config.yaml']);
    const empty = runPaths(join(root, 'sweeps', 'b'));
    await mkdir(empty.directory);
    await (await claimRunFolder(empty, false))();
    expect(await readdir(empty.directory)).toEqual([]);
  });

  it('says so when the folder cannot be written', async () => {
    await writeFile(join(root, 'sweeps'), '');
    const error = claimRunFolder(paths, false);
    await expect(error).rejects.toThrow(CheckpointError);
    await expect(error).rejects.toThrow(/Cannot write into the run's folder .*sweeps.a: .*run\.dir/);
  });

  it('goes to one of those that find the lock of a killed process, and is refused to the others', async () => {
    const old = JSON.stringify({ pid: NO_PROCESS, host: hostname(), token: 'old' });
    /** Claims that come a little after one another, so that one may find what another has just written. */
    const contest = async (name: string): Promise<void> => {
      const own = runPaths(join(root, name));
      await mkdir(own.directory);
      await writeFile(own.lock, old);
      const claims = await Promise.allSettled(
        Array.from({ length: 6 }, async (_, i) => {
          for (let tick = 0; tick < i; tick++) await nextTurn();
          return claimRunFolder(own, true);
        }),
      );
      const refused = claims.filter((claim) => claim.status === 'rejected');
      expect(refused).toHaveLength(5);
      for (const { reason } of refused) expect(String(reason)).toMatch(`Process ${process.pid} on`);
      for (const claim of claims) if (claim.status === 'fulfilled') await claim.value();
      expect(await readdir(own.directory)).toEqual([]);
    };
    await Promise.all(Array.from({ length: 40 }, (_, i) => contest(`run-${i}`)));
  });

  it("is refused while another machine's process, which cannot be seen, touches the lock", async () => {
    await mkdir(paths.directory, { recursive: true });
    await writeFile(paths.lock, JSON.stringify({ pid: NO_PROCESS, host: 'another-machine', token: 'other' }));
    const touch = setInterval(() => {
      utimesSync(paths.lock, new Date(), new Date());
    }, 100);
    const said: string[] = [];
    const claim = claimRunFolder(paths, true, (message) => said.push(message));
    await expect(claim).rejects.toThrow(/on another-machine trains in/);
    clearInterval(touch);
    expect(said).toEqual([expect.stringMatching(/sweeps.a is locked by process \d+ on another-machine/)]);
  });
});

describe('writeVersions', () => {
  it("records what the run's numbers may depend on", async () => {
    await mkdir(paths.directory, { recursive: true });
    await writeVersions(
      paths,
      {
        tensorflow: '2.21.0',
        device: 'cpu',
        devices: [{ name: '/device:CPU:0', type: 'CPU', memoryBytes: 1 }],
        threads: 2,
        library: { directory: 'lib' },
      } as unknown as EngineInfo,
      42,
    );
    const versions = JSON.parse(await readFile(paths.versions, 'utf8')) as Record<string, unknown>;
    const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
    expect(versions).toMatchObject({
      capstan: version,
      node: process.version,
      tensorflow: '2.21.0',
      device: 'cpu',
      devices: ['CPU /device:CPU:0'],
      threads: 2,
      seed: 42,
    });
  });
});
