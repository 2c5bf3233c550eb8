/** Finds the TensorFlow libraries that the engine runs on, and fetches them on first use. */
import { execFile } from 'node:child_process';
import { access, readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import {
  type AssetProgressListener,
  assetDamage,
  assetDirectory,
  ensureAsset,
  isAssetCached,
  type PinnedAsset,
  TENSORFLOW_VERSION,
  tensorflowCpu,
  tensorflowCuda,
} from '../assets/index.js';
import { ConfigError, EngineError } from '../errors.js';
import { cudaLibraryNames, hasNvidiaDriver } from './cuda.js';
import { requirePlatform } from './platform.js';

export { describeMissingCuda, explainMissingCuda } from './cuda.js';

/** TensorFlow's libraries on this machine. */
export interface TensorflowLibrary {
  /** Absolute path of libtensorflow_cc. */
  readonly cc: string;
  /** Absolute path of libtensorflow_framework, to be loaded first. */
  readonly framework: string;
  /** The directory of both. */
  readonly directory: string;
  /** Version by the package's own metadata; 'unknown' for bare libraries, until they are loaded. */
  readonly version: string;
  /**
   * Absolute paths of CUDA libraries that came with it, each after those it needs: load them in this order
   * with RTLD_GLOBAL and TensorFlow finds them by name. Empty for a CPU build and where the system has CUDA.
   */
  readonly cudaLibraries: readonly string[];
  /** Directory for `XLA_FLAGS=--xla_gpu_cuda_data_dir=…` (holds bin/ptxas and nvvm/libdevice), if it came with it. */
  readonly cudaDataDir: string | undefined;
  /** How it was found: CAPSTAN_LIBTENSORFLOW, the configuration, an installed Python package, capstan's cache. */
  readonly source: 'env' | 'config' | 'python' | 'cache';
}

/** Options of `locateLibrary`. */
export interface LocateOptions {
  /** A directory or library file to use instead of the pinned one; the configuration's `libtensorflow`. */
  readonly libtensorflow?: string | undefined;
  /** `auto` takes the CUDA build where an NVIDIA driver is. */
  readonly device?: 'auto' | 'cpu' | 'cuda' | undefined;
  readonly onProgress?: AssetProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

const suffix = process.platform === 'darwin' ? '.2.dylib' : '.so.2';
const CC = `libtensorflow_cc${suffix}`;
const FRAMEWORK = `libtensorflow_framework${suffix}`;

/**
 * Finds TensorFlow, in this order: `CAPSTAN_LIBTENSORFLOW`, `options.libtensorflow`, capstan's cache, a Python
 * `tensorflow` of the pinned version; and otherwise fetches the pinned wheel with the user's pip.
 *
 * @throws EngineError when the platform has no build, CAPSTAN_LIBTENSORFLOW holds no TensorFlow, or CUDA is asked for
 *   without a driver; ConfigError when `options.libtensorflow` holds none; AssetError when the fetch fails.
 */
export async function locateLibrary(options: LocateOptions = {}): Promise<TensorflowLibrary> {
  const found = await findLibrary(options);
  if (found) return found;
  const { asset, cuda } = await chooseAsset(options.device ?? 'auto');
  const root = await ensureAsset(asset, { onProgress: options.onProgress, signal: options.signal });
  return describe(join(root, 'tensorflow'), 'cache', TENSORFLOW_VERSION, cuda);
}

/** As `locateLibrary`, but gives undefined where that would fetch. @throws EngineError, ConfigError */
export async function findLibrary(options: LocateOptions = {}): Promise<TensorflowLibrary | undefined> {
  const device = options.device ?? 'auto';
  requirePlatform();
  const fromEnvironment = process.env.CAPSTAN_LIBTENSORFLOW;
  if (fromEnvironment) return namedLibrary(fromEnvironment, 'env', 'CAPSTAN_LIBTENSORFLOW', device);
  if (options.libtensorflow)
    return namedLibrary(options.libtensorflow, 'config', 'engine.libtensorflow', device);
  const { asset, cuda } = await chooseAsset(device);
  if (!(await isAssetCached(asset))) return installedPythonLibrary(cuda);
  return describe(join(assetDirectory(asset), 'tensorflow'), 'cache', TENSORFLOW_VERSION, cuda);
}

/** What is wrong with the library in capstan's cache, as a sentence; undefined if nothing is, or there is none. */
export async function cachedLibraryDamage({ device = 'auto' }: LocateOptions): Promise<string | undefined> {
  return assetDamage((await chooseAsset(device)).asset);
}

/** The pinned build for this machine: with CUDA where it is asked for, or possible and not refused. */
async function chooseAsset(device: 'auto' | 'cpu' | 'cuda'): Promise<{ asset: PinnedAsset; cuda: boolean }> {
  const platform = requirePlatform();
  const driver = device !== 'cpu' && (await hasNvidiaDriver());
  if (device === 'cuda') requireCudaPossible(platform, driver);
  const cuda = driver && platform === 'linux-x64';
  return { asset: cuda ? tensorflowCuda : tensorflowCpu[platform], cuda };
}

function requireCudaPossible(platform: string, driver: boolean): void {
  if (platform !== 'linux-x64') {
    throw new EngineError(
      `device: cuda needs Linux on x86_64; this is ${platform}, for which TensorFlow is built for the CPU only. ` +
        'Set device: auto or cpu.',
    );
  }
  if (!driver) {
    throw new EngineError(
      'device: cuda was asked for, but no NVIDIA driver was found (no /proc/driver/nvidia/version, libcuda.so.1 ' +
        'or nvidia-smi). Install the driver (525 or later), give the container its GPUs, or set device: auto or cpu.',
    );
  }
}

async function namedLibrary(
  path: string,
  source: 'env' | 'config',
  setting: string,
  device: 'auto' | 'cpu' | 'cuda',
): Promise<TensorflowLibrary> {
  const directory = await findDirectory(resolve(path));
  if (directory === undefined) {
    const Kind = source === 'config' ? ConfigError : EngineError;
    throw new Kind(
      `${setting} is ${path}, where ${CC} and ${FRAMEWORK} were not found. Give the directory that ` +
        'holds both, one of the two files, a site-packages directory or a virtual environment with tensorflow in it.',
    );
  }
  return describe(directory, source, await packageVersion(directory), device !== 'cpu');
}

/** The directory with both libraries that `path` (file, package, site-packages or environment) leads to. */
async function findDirectory(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return undefined;
  const start = found.isFile() ? dirname(path) : path;
  const candidates = [start, join(start, 'tensorflow')];
  for (const python of await readdir(join(start, 'lib')).catch(() => [])) {
    candidates.push(join(start, 'lib', python, 'site-packages', 'tensorflow'));
  }
  for (const candidate of candidates) {
    if ((await exists(join(candidate, CC))) && (await exists(join(candidate, FRAMEWORK)))) return candidate;
  }
  return undefined;
}

async function describe(
  directory: string,
  source: TensorflowLibrary['source'],
  version: string,
  withCuda: boolean,
): Promise<TensorflowLibrary> {
  // Wheels of CUDA libraries unpack beside the tensorflow package, in the cache as in site-packages.
  const nvidia = join(dirname(directory), 'nvidia');
  const isPackage = basename(directory) === 'tensorflow' && (await exists(nvidia));
  const toolkit = join(nvidia, 'cuda_nvcc');
  return {
    cc: join(directory, CC),
    framework: join(directory, FRAMEWORK),
    directory,
    version,
    cudaLibraries: withCuda && isPackage ? await librariesBelow(nvidia) : [],
    cudaDataDir: withCuda && isPackage && (await exists(join(toolkit, 'bin', 'ptxas'))) ? toolkit : undefined,
    source,
  };
}

/** Full paths, in the order in which they need one another, of the CUDA libraries below `nvidia`. */
async function librariesBelow(nvidia: string): Promise<string[]> {
  const paths = new Map<string, string>();
  for (const component of await readdir(nvidia)) {
    const lib = join(nvidia, component, 'lib');
    for (const name of await readdir(lib).catch(() => [])) paths.set(name, join(lib, name));
  }
  const ordered: string[] = [];
  for (const name of cudaLibraryNames) {
    const path = paths.get(name);
    if (path !== undefined) ordered.push(path);
  }
  return ordered;
}

/** Version in the metadata that pip leaves beside an installed package; 'unknown' without it. */
async function packageVersion(directory: string): Promise<string> {
  const names = await readdir(dirname(directory)).catch(() => []);
  for (const name of names) {
    if (!/^(tensorflow|tensorflow_cpu|intel_tensorflow)-.*\.dist-info$/.test(name)) continue;
    const metadata = await readFile(join(dirname(directory), name, 'METADATA'), 'utf8').catch(() => '');
    const version = /^Version: (.+)$/m.exec(metadata)?.[1];
    if (version !== undefined) return version.trim();
  }
  return 'unknown';
}

/** A Python `tensorflow` of exactly the pinned version, so that it need not be fetched a second time. */
async function installedPythonLibrary(wantsCuda: boolean): Promise<TensorflowLibrary | undefined> {
  // find_spec does not import the package.
  const script =
    'import importlib.util as u; s = u.find_spec("tensorflow"); ' +
    'print(s.submodule_search_locations[0] if s and s.submodule_search_locations else "")';
  for (const python of ['python3', 'python']) {
    const output = await promisify(execFile)(python, ['-c', script], { timeout: 10_000 }).catch(
      () => undefined,
    );
    const path = output?.stdout.trim();
    const directory = path ? await findDirectory(path) : undefined;
    if (directory === undefined || (await packageVersion(directory)) !== TENSORFLOW_VERSION) continue;
    const library = await describe(directory, 'python', TENSORFLOW_VERSION, wantsCuda);
    // tensorflow-cpu, or tensorflow without [and-cuda], does not serve where CUDA is wanted.
    if (!wantsCuda || library.cudaLibraries.length > 0) return library;
  }
  return undefined;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
