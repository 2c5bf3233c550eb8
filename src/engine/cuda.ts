/** What TensorFlow needs of CUDA, and why it is not there. */
import { execFile } from 'node:child_process';
import { access, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { koffi } from '../koffi.js';
import { withoutDoctorHint } from './doctor-hint.js';
import { pinLibrary } from './native.js';

/** A library that the loader refused. */
export interface MissingLibrary {
  readonly soname: string;
  /** The loader's own words. */
  readonly error: string;
}

/**
 * The sonames that TensorFlow 2.21 opens by name when it looks for GPUs (`libcuda.so.1` is the driver's); it
 * registers a GPU only when all of them load.
 */
export const requiredCudaSonames: readonly string[] = [
  'libcuda.so.1',
  'libcudart.so.12',
  'libcublasLt.so.12',
  'libcublas.so.12',
  'libcufft.so.11',
  'libcusparse.so.12',
  'libcusolver.so.11',
  'libcudnn.so.9',
  'libnccl.so.2',
];

/** File names of CUDA libraries to preload, each after those it depends on. */
export const cudaLibraryNames: readonly string[] = [
  'libcudart.so.12',
  'libnvJitLink.so.12',
  'libnvrtc.so.12',
  'libcublasLt.so.12',
  'libcublas.so.12',
  'libcufft.so.11',
  'libcusparse.so.12',
  'libcusolver.so.11',
  'libcudnn.so.9',
  'libnccl.so.2',
  'libcupti.so.12',
];

const DRIVER_VERSION_FILE = '/proc/driver/nvidia/version';

/** Whether this machine has an NVIDIA driver: its kernel module, its library or its tool. */
export async function hasNvidiaDriver(): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  const found = await access(DRIVER_VERSION_FILE).then(
    () => true,
    () => false,
  );
  // Some containers (WSL among them) show the library only.
  return found || tryLoad('libcuda.so.1') === undefined || (await nvidiaSmi()) !== undefined;
}

/** Version of the NVIDIA driver, or undefined. */
export async function nvidiaDriverVersion(): Promise<string | undefined> {
  const text = await readFile(DRIVER_VERSION_FILE, 'utf8').catch(() => '');
  return /Kernel Module\D*(\d+(?:\.\d+)+)/.exec(text)?.[1] ?? (await nvidiaSmi());
}

async function nvidiaSmi(): Promise<string | undefined> {
  const query = ['--query-gpu=driver_version', '--format=csv,noheader'];
  const output = await promisify(execFile)('nvidia-smi', query, { timeout: 10_000 }).catch(() => undefined);
  return output?.stdout.trim().split('\n')[0] || undefined;
}

/**
 * Tries to load each CUDA library that TensorFlow needs and returns those that did not load, with the
 * loader's reason. Those that came with `library` are loaded from there, the others from the system's search path. Loading leaves them in the process.
 */
export function explainMissingCuda(library: { readonly cudaLibraries: readonly string[] }): MissingLibrary[] {
  const missing: MissingLibrary[] = [];
  // What came along is loaded first, in order, so that libraries find one another by soname.
  const errors = new Map<string, string>();
  for (const path of library.cudaLibraries) {
    const error = tryLoad(path);
    if (error !== undefined) errors.set(basename(path), error);
  }
  for (const soname of requiredCudaSonames) {
    const path = library.cudaLibraries.find((candidate) => basename(candidate) === soname);
    const error = path === undefined ? tryLoad(soname) : errors.get(soname);
    if (error !== undefined) missing.push({ soname, error });
  }
  return missing;
}

/** What is wrong and what to do where there is a driver, but TensorFlow registered no GPU. */
export function describeUnusedGpu(
  driver: string,
  missing: readonly MissingLibrary[],
): { readonly what: string; readonly cure: string } {
  return {
    what: `There is an NVIDIA driver (${driver}), but TensorFlow registered no GPU.`,
    cure:
      missing.length === 0
        ? 'Every CUDA library loads: see whether nvidia-smi lists a GPU, and CUDA_VISIBLE_DEVICES.'
        : `Did not load: ${missing.map(({ soname }) => soname).join(', ')}. Unset CAPSTAN_LIBTENSORFLOW to have ` +
          'capstan fetch TensorFlow with its CUDA libraries, or put CUDA 12, cuDNN 9 and NCCL 2 on LD_LIBRARY_PATH.',
  };
}

/** Room for a GPU's name; the longest that NVIDIA has are some 40 characters. */
const NAME_BYTES = 256;

/** Name of the first GPU that this process may use, by the driver; undefined if it does not tell. */
export function gpuName(): string | undefined {
  try {
    const cuda = koffi.load('libcuda.so.1');
    const init = cuda.func('int cuInit(unsigned int flags)') as (flags: number) => number;
    const deviceGet = cuda.func('int cuDeviceGet(_Out_ int *device, int ordinal)') as (
      device: Int32Array,
      ordinal: number,
    ) => number;
    const deviceName = cuda.func('int cuDeviceGetName(_Out_ uint8_t *name, int bytes, int device)') as (
      name: Uint8Array,
      bytes: number,
      device: number,
    ) => number;
    const device = new Int32Array(1);
    const name = new Uint8Array(NAME_BYTES);
    if (init(0) !== 0 || deviceGet(device, 0) !== 0) return undefined;
    if (deviceName(name, NAME_BYTES, device[0] as number) !== 0) return undefined;
    return Buffer.from(name.subarray(0, name.indexOf(0))).toString() || undefined;
  } catch {
    return undefined;
  }
}

/** One line per missing library and its cure, for the error when `device: cuda` finds no GPU. */
export function describeMissingCuda(missing: readonly MissingLibrary[]): string {
  if (missing.length === 0) {
    return (
      'All CUDA libraries load, so the driver offers no usable GPU: see `nvidia-smi`, CUDA_VISIBLE_DEVICES, and ' +
      "whether the container was given its GPUs; the driver must be 525 or later and the GPU's compute capability " +
      '6.0 or higher.'
    );
  }
  const lines = missing.map(({ soname, error }) => `  ${soname}: ${error}`);
  const cure = missing.some(({ soname }) => soname === 'libcuda.so.1')
    ? 'libcuda.so.1 comes with the NVIDIA driver: install it (525 or later), or start the container with its GPUs.'
    : 'Unset CAPSTAN_LIBTENSORFLOW to have capstan fetch TensorFlow with its CUDA libraries, or put CUDA 12, ' +
      'cuDNN 9 and NCCL 2 on LD_LIBRARY_PATH.';
  return `These CUDA libraries did not load:\n${lines.join('\n')}\n${cure}`;
}

/** The loader's message if `name` does not load; undefined if it does. */
function tryLoad(name: string): string | undefined {
  try {
    pinLibrary(name);
    return undefined;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // What dlerror said, without the sentence around it.
    return withoutDoctorHint(message)
      .replace(/^Cannot load \S+: /, '')
      .replace(/\.$/, '');
  }
}
