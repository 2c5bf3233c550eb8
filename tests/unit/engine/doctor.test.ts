import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openClipText } from '../../../src/assets/index.js';
import { examine } from '../../../src/engine/doctor.js';

const savedEnv = { ...process.env };
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'capstan-doctor-'));
  process.env.CAPSTAN_CACHE = join(root, 'cache');
  process.env.PATH = root;
  delete process.env.CAPSTAN_LIBTENSORFLOW;
});
afterEach(() => {
  for (const name of Object.keys(process.env)) if (!(name in savedEnv)) delete process.env[name];
  Object.assign(process.env, savedEnv);
  rmSync(root, { recursive: true });
});

describe('examine', () => {
  it('describes a machine without TensorFlow and pip, and how to get both', async () => {
    const report = await examine({ device: 'cpu' });
    expect(report.usable).toBe(false);
    expect(report.versions).toMatchObject({ node: process.versions.node, tensorflow: undefined });
    expect(report.versions.capstan).toMatch(/^\d+\.\d+\.\d+/);
    expect(report.cpu.usableCores).toBeGreaterThan(0);
    expect(report.memory.availableBytes).toBeGreaterThan(0);
    expect(report.memory.availableBytes).toBeLessThanOrEqual(report.memory.totalBytes);
    expect(report.cache.directory).toBe(join(root, 'cache'));
    expect(report.cache.freeBytes).toBeGreaterThan(0);
    expect(report).toMatchObject({ pip: undefined, library: undefined, devices: [] });
    const missing = report.problems.find(({ what }) => what === 'TensorFlow has not been fetched yet.');
    expect(missing).toMatchObject({ severity: 'error' });
    expect(missing?.cure).toContain('python3 -m ensurepip');
  });

  it('reports a named library that is not there', async () => {
    const report = await examine({ libtensorflow: join(root, 'none') });
    expect(report.usable).toBe(false);
    expect(report.problems.map(({ what }) => what).join('\n')).toMatch(/libtensorflow is .*none, where/);
  });

  it.runIf(process.platform === 'linux' && process.arch === 'x64')(
    'tells a damaged library from one that is absent',
    async () => {
      const directory = join(root, 'cache', 'assets', 'tensorflow-cpu-2.21.0-linux-x64');
      const library = 'tensorflow/libtensorflow_cc.so.2';
      mkdirSync(join(directory, 'tensorflow'), { recursive: true });
      writeFileSync(join(directory, library), 'cut');
      writeFileSync(join(directory, 'capstan-files.json'), JSON.stringify({ [library]: 853 }));
      const { problems } = await examine({ device: 'cpu' });
      expect(problems.map(({ what }) => what)).toContain(
        `TensorFlow 2.21.0 for CPU in the cache is damaged: ${join(directory, library)} has 3 bytes, expected 853.`,
      );
    },
  );

  it("misses the tokenizer's files, and finds them", async () => {
    const missing = await examine({ device: 'cpu' });
    expect(missing.tokenizer).toBeUndefined();
    expect(missing.problems.map(({ what }) => what)).toContain(
      `The tokenizer's files (${openClipText.title}) have not been fetched yet.`,
    );
    const directory = join(root, 'cache', 'assets', openClipText.name);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'capstan-files.json'), '{"text":4}');
    expect((await examine({ device: 'cpu' })).problems.map(({ what }) => what)).toContain(
      `${openClipText.title} in the cache is damaged: ${join(directory, 'text')} is missing.`,
    );
    writeFileSync(join(directory, 'text'), 'here');
    const found = await examine({ device: 'cpu' });
    expect(found.tokenizer).toBe(directory);
    expect(found.problems.map(({ what }) => what).join('\n')).not.toContain(openClipText.title);
  });

  it('throws the reason of a signal that ends its fetching', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(examine({ device: 'cpu', fetch: true, signal })).rejects.toThrow('enough');
  });

  it('sends nobody to the doctor, who is here already', async () => {
    const broken = join(root, 'broken');
    mkdirSync(broken);
    const ending = process.platform === 'darwin' ? '.2.dylib' : '.so.2';
    for (const name of ['cc', 'framework']) {
      writeFileSync(join(broken, `libtensorflow_${name}${ending}`), 'no library');
    }
    for (const options of [{}, { libtensorflow: broken }]) {
      const { problems, usable } = await examine({ device: 'cpu', ...options });
      expect(usable).toBe(false);
      expect(problems.map(({ what, cure }) => what + cure).join('\n')).not.toMatch(/capstan doctor/);
    }
    const { problems } = await examine({ device: 'cpu', libtensorflow: broken });
    expect(problems.map(({ what }) => what).join('\n')).toMatch(
      /Cannot load .*libtensorflow_framework.*\.$/m,
    );
  });

  it('reports a cache that cannot be made', async () => {
    writeFileSync(join(root, 'file'), '');
    process.env.CAPSTAN_CACHE = join(root, 'file', 'cache');
    const report = await examine({ device: 'cpu' });
    expect(report.cache.freeBytes).toBeUndefined();
    expect(report.problems.map(({ what }) => what).join('\n')).toMatch(
      /The cache .* cannot be made: ENOTDIR/,
    );
  });
});
