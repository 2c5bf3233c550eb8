import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tensorflowCpu } from '../../../src/assets/index.js';
import { hasNvidiaDriver } from '../../../src/engine/cuda.js';
import { findLibrary, locateLibrary } from '../../../src/engine/library.js';
import { requirePlatform } from '../../../src/engine/platform.js';
import { ConfigError, EngineError } from '../../../src/errors.js';

const suffix = process.platform === 'darwin' ? '.2.dylib' : '.so.2';
const savedEnv = { ...process.env };
const noGpu = process.platform === 'linux' && !(await hasNvidiaDriver());
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'capstan-library-'));
  process.env.CAPSTAN_CACHE = join(root, 'cache');
  // No pip and no Python: whatever would fetch fails.
  process.env.PATH = root;
  delete process.env.CAPSTAN_LIBTENSORFLOW;
});
afterEach(() => {
  for (const name of Object.keys(process.env)) if (!(name in savedEnv)) delete process.env[name];
  Object.assign(process.env, savedEnv);
  rmSync(root, { recursive: true });
});

/** A directory that looks like an installed TensorFlow package; gives the site-packages directory. */
function installTensorflow(base: string, version?: string): string {
  const site = join(root, base);
  mkdirSync(join(site, 'tensorflow'), { recursive: true });
  for (const name of ['cc', 'framework'])
    writeFileSync(join(site, 'tensorflow', `libtensorflow_${name}${suffix}`), '');
  if (version !== undefined) {
    const info = join(site, `tensorflow_cpu-${version}.dist-info`);
    mkdirSync(info);
    writeFileSync(
      join(info, 'METADATA'),
      `Metadata-Version: 2.4\nName: tensorflow_cpu\nVersion: ${version}\n`,
    );
  }
  return site;
}

describe('locateLibrary', () => {
  it.each([
    ['the package', (site: string) => join(site, 'tensorflow')],
    ['a library file', (site: string) => join(site, 'tensorflow', `libtensorflow_cc${suffix}`)],
    ['site-packages', (site: string) => site],
    ['a virtual environment', (site: string) => join(site, '../../..')],
  ])('takes %s that CAPSTAN_LIBTENSORFLOW names', async (_what, pathOf) => {
    const site = installTensorflow('venv/lib/python3.12/site-packages', '2.21.0');
    process.env.CAPSTAN_LIBTENSORFLOW = pathOf(site);
    expect(await locateLibrary()).toEqual({
      cc: join(site, 'tensorflow', `libtensorflow_cc${suffix}`),
      framework: join(site, 'tensorflow', `libtensorflow_framework${suffix}`),
      directory: join(site, 'tensorflow'),
      version: '2.21.0',
      cudaLibraries: [],
      cudaDataDir: undefined,
      source: 'env',
    });
  });

  it('prefers the environment to the configuration', async () => {
    const one = installTensorflow('one');
    const two = installTensorflow('two');
    const named = await locateLibrary({ libtensorflow: two });
    expect(named).toMatchObject({ source: 'config', directory: join(two, 'tensorflow'), version: 'unknown' });
    process.env.CAPSTAN_LIBTENSORFLOW = one;
    expect(await locateLibrary({ libtensorflow: two })).toMatchObject({
      source: 'env',
      directory: join(one, 'tensorflow'),
    });
  });

  it('names the setting whose path holds no TensorFlow', async () => {
    await expect(locateLibrary({ libtensorflow: join(root, 'none') })).rejects.toThrow(ConfigError);
    await expect(locateLibrary({ libtensorflow: root })).rejects.toThrow(
      `libtensorflow is ${root}, where libtensorflow_cc${suffix} and libtensorflow_framework${suffix} were not found`,
    );
    process.env.CAPSTAN_LIBTENSORFLOW = join(root, 'gone');
    await expect(locateLibrary()).rejects.toThrow(/^CAPSTAN_LIBTENSORFLOW is .*gone/);
  });

  it('gives CUDA libraries that lie beside the package, each after those it needs', async () => {
    const site = installTensorflow('site');
    const names = {
      cudnn: ['libcudnn.so.9', 'libcudnn_ops.so.9'],
      cublas: ['libcublas.so.12', 'libcublasLt.so.12', 'libnvblas.so.12'],
      cuda_runtime: ['libcudart.so.12'],
      cusolver: ['libcusolver.so.11'],
      cusparse: ['libcusparse.so.12'],
      nvjitlink: ['libnvJitLink.so.12'],
    };
    for (const [component, libraries] of Object.entries(names)) {
      mkdirSync(join(site, 'nvidia', component, 'lib'), { recursive: true });
      for (const library of libraries) writeFileSync(join(site, 'nvidia', component, 'lib', library), '');
    }
    mkdirSync(join(site, 'nvidia/cuda_nvcc/bin'), { recursive: true });
    writeFileSync(join(site, 'nvidia/cuda_nvcc/bin/ptxas'), '');
    const library = await locateLibrary({ libtensorflow: site });
    expect(library.cudaLibraries.map((path) => path.slice(join(site, 'nvidia').length + 1))).toEqual([
      'cuda_runtime/lib/libcudart.so.12',
      'nvjitlink/lib/libnvJitLink.so.12',
      'cublas/lib/libcublasLt.so.12',
      'cublas/lib/libcublas.so.12',
      'cusparse/lib/libcusparse.so.12',
      'cusolver/lib/libcusolver.so.11',
      'cudnn/lib/libcudnn.so.9',
    ]);
    expect(library.cudaDataDir).toBe(join(site, 'nvidia/cuda_nvcc'));
    const onCpu = await locateLibrary({ libtensorflow: site, device: 'cpu' });
    expect(onCpu).toMatchObject({ cudaLibraries: [], cudaDataDir: undefined });
  });

  it("takes Python's tensorflow of the pinned version, and no other", async () => {
    const good = installTensorflow('good', '2.21.0');
    const old = installTensorflow('old', '2.16.1');
    const python = (site: string): void =>
      writeFileSync(join(root, 'python3'), `#!/bin/sh\necho ${join(site, 'tensorflow')}\n`, { mode: 0o755 });
    python(good);
    expect(await findLibrary({ device: 'cpu' })).toMatchObject({
      source: 'python',
      directory: join(good, 'tensorflow'),
    });
    python(old);
    expect(await findLibrary({ device: 'cpu' })).toBeUndefined();
  });

  it('finds what is in the cache, without Python', async () => {
    const name = tensorflowCpu[requirePlatform()].name;
    const site = installTensorflow(`cache/assets/${name}`);
    expect(await findLibrary({ device: 'cpu' })).toBeUndefined();
    const files = {
      [`tensorflow/libtensorflow_cc${suffix}`]: 0,
      [`tensorflow/libtensorflow_framework${suffix}`]: 0,
    };
    writeFileSync(join(site, 'capstan-files.json'), JSON.stringify(files));
    expect(await locateLibrary({ device: 'cpu' })).toMatchObject({ source: 'cache', version: '2.21.0' });
  });

  it.runIf(noGpu)('refuses device: cuda where there is no driver, and says what would do', async () => {
    await expect(locateLibrary({ device: 'cuda' })).rejects.toThrow(EngineError);
    await expect(locateLibrary({ device: 'cuda' })).rejects.toThrow(
      process.arch === 'x64' ? /no NVIDIA driver was found .*Install the driver/ : /needs Linux on x86_64/,
    );
  });

  it('says how to do without the fetch when it fails', async () => {
    await expect(locateLibrary({ device: 'cpu' })).rejects.toThrow(
      /Cannot fetch TensorFlow 2\.21\.0 for CPU .*no pip was found.*\.whl into .*Or set CAPSTAN_LIBTENSORFLOW/,
    );
  });
});
