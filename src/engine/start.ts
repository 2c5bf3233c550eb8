/** Starting the engine: library, context, devices, thread pools and compiler settings. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { cacheDirectory } from '../assets/index.js';
import { EngineError } from '../errors.js';
import { compileCacheFlags, quoted } from './compile-cache.js';
import { DOCTOR_HINT } from './doctor-hint.js';
import { describeMissingCuda, explainMissingCuda, locateLibrary, type TensorflowLibrary } from './library.js';
import { loadNative, type NativeApi, type Pointer } from './native.js';
import { ProtoWriter } from './proto.js';
import { EngineSession, hasSession, session, setSession } from './session.js';

export interface EngineOptions {
  /** `auto` takes a GPU if one is registered. `cuda` without one is an error, never a silent fall back. */
  readonly device?: 'auto' | 'cpu' | 'cuda';
  /** Threads of the native thread pools. Default: the cores this process may use. */
  readonly threads?: number;
  /** A TensorFlow library that is already there, instead of the pinned one; see `locateLibrary`. */
  readonly libtensorflow?: string;
  /** Directory where compiled kernels are kept between processes; `none` keeps none. Default: the user's cache. */
  readonly compileCache?: string;
  /** Aborting it ends the fetch of the library. */
  readonly signal?: AbortSignal | undefined;
}

/** A device that TensorFlow registered. */
export interface Device {
  readonly name: string;
  readonly type: string;
  readonly memoryBytes: number;
}

export interface EngineInfo {
  readonly tensorflow: string;
  readonly device: 'cpu' | 'cuda';
  /** The device that was asked for. */
  readonly asked: 'auto' | 'cpu' | 'cuda';
  readonly devices: readonly Device[];
  readonly threads: number;
  readonly library: TensorflowLibrary;
}

let info: EngineInfo | undefined;
let starting: Promise<EngineInfo> | undefined;

/**
 * Starts the engine and makes it tfjs's backend. Later calls return the running engine.
 *
 * @throws EngineError if the library is missing or unfit, `cuda` is asked for and no GPU registers, or the
 *   engine runs already on another device; AssetError if it cannot be fetched; the signal's reason when aborted
 */
export async function startEngine(options: EngineOptions = {}): Promise<EngineInfo> {
  starting ??= start(options).catch((error: unknown) => {
    starting = undefined;
    throw error;
  });
  const running = await starting;
  const wanted = options.device ?? 'auto';
  if (wanted !== 'auto' && wanted !== running.device) {
    throw new EngineError(
      `the engine runs on ${running.device} already; a process has one device. Asked for: ${wanted}.`,
    );
  }
  return running;
}

/** What the running engine is. @throws EngineError before `startEngine()`. */
export function engineInfo(): EngineInfo {
  session();
  return info as EngineInfo;
}

async function start(options: EngineOptions): Promise<EngineInfo> {
  if (hasSession()) return engineInfo();
  const device = options.device ?? 'auto';
  const library = await locateLibrary({
    device,
    signal: options.signal,
    ...(options.libtensorflow === undefined ? {} : { libtensorflow: options.libtensorflow }),
  });
  const threads = options.threads ?? availableParallelism();
  await setEnvironment(library, options, threads);
  const native = loadNative({ framework: library.framework, cc: library.cc, preload: library.cudaLibraries });
  const context = newContext(native, { threads, hideGpus: device === 'cpu' });
  const devices = listDevices(native, context);
  const hasGpu = devices.some((d) => d.type === 'GPU');
  if (device === 'cuda' && !hasGpu) throw missingGpu(library);
  setSession(new EngineSession(native, context, hasGpu ? 'cuda' : 'cpu'));
  info = {
    tensorflow: native.version(),
    device: hasGpu ? 'cuda' : 'cpu',
    asked: device,
    devices,
    threads,
    library,
  };
  return info;
}

function missingGpu(library: TensorflowLibrary): EngineError {
  return new EngineError(
    `device: cuda was asked for, but TensorFlow registered no GPU. ${describeMissingCuda(explainMissingCuda(library))}\n` +
      `Or use device: cpu.${DOCTOR_HINT}`,
  );
}

/** Sums may be reordered so that they vectorise; NaN, infinities, division and functions stay exact. */
const XLA_CPU_FLAGS = [
  '--xla_cpu_enable_fast_math=true',
  '--xla_cpu_fast_math_honor_nans=true',
  '--xla_cpu_fast_math_honor_infs=true',
  '--xla_cpu_fast_math_honor_division=true',
  '--xla_cpu_fast_math_honor_functions=true',
];

/** TensorFlow reads these once, when it is loaded. What the user has set is kept. */
async function setEnvironment(
  library: TensorflowLibrary,
  options: EngineOptions,
  threads: number,
): Promise<void> {
  const set = (name: string, value: string): void => {
    process.env[name] ??= value;
  };
  set('TF_ENABLE_ONEDNN_OPTS', '1');
  set('TF_FORCE_GPU_ALLOW_GROWTH', 'true');
  const users = process.env.XLA_FLAGS ?? '';
  const xla = [...XLA_CPU_FLAGS];
  if (library.cudaDataDir !== undefined) xla.push(`--xla_gpu_cuda_data_dir=${quoted(library.cudaDataDir)}`);
  // A later flag wins: the user's come last. A process that another one of capstan's started has these already.
  process.env.XLA_FLAGS = [...xla.filter((flag) => !users.includes(flag)), users].join(' ').trim();
  if (options.compileCache === 'none') return;
  const cache = join(options.compileCache ?? join(cacheDirectory(), 'xla'), machineKey(library, threads));
  const flags = await compileCacheFlags(cache, (message) => process.emitWarning(message, 'CapstanWarning'));
  process.env.TF_XLA_FLAGS = [process.env.TF_XLA_FLAGS ?? '', ...flags].join(' ').trim();
}

/** Compiled code fits only the processor, library and thread count that it was made for. */
function machineKey(library: TensorflowLibrary, threads: number): string {
  let processor = `${process.arch} ${cpus()[0]?.model ?? ''}`;
  try {
    processor += /^flags.*$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[0] ?? '';
  } catch {
    // Not Linux: the model name has to do.
  }
  const text = `${processor} ${library.cc} ${library.version} ${threads} ${process.env.XLA_FLAGS ?? ''}`;
  return createHash('sha1').update(text).digest('hex').slice(0, 16);
}

const OFF = 2;

function newContext(
  native: NativeApi,
  { threads, hideGpus }: { threads: number; hideGpus: boolean },
): Pointer {
  // The recorder has simplified the graph already; of TensorFlow's own rewriting only oneDNN's is wanted.
  const rewrite = new ProtoWriter()
    .int(3, OFF) // constant_folding
    .int(7, OFF) // arithmetic_optimization
    .int(8, OFF) // dependency_optimization
    .int(9, OFF) // loop_optimization
    .int(13, OFF); // shape_optimization
  const graphOptions = new ProtoWriter().message(10, rewrite);
  const config = new ProtoWriter().int(2, threads).int(5, threads).message(10, graphOptions);
  if (hideGpus) config.message(1, new ProtoWriter().message(1, 'GPU').int(2, 0));
  const bytes = config.finish();
  const contextOptions = native.newContextOptions();
  native.checked('configuration', (s) =>
    native.contextOptionsSetConfig(contextOptions, bytes, bytes.length, s),
  );
  const context = native.checked('starting TensorFlow', (s) => native.newContext(contextOptions, s));
  native.deleteContextOptions(contextOptions);
  return context;
}

function listDevices(native: NativeApi, context: Pointer): Device[] {
  const list = native.checked('devices', (s) => native.contextListDevices(context, s));
  const devices = Array.from({ length: native.deviceListCount(list) }, (_, i) => ({
    name: native.checked('devices', (s) => native.deviceListName(list, i, s)),
    type: native.checked('devices', (s) => native.deviceListType(list, i, s)),
    memoryBytes: Number(native.checked('devices', (s) => native.deviceListMemoryBytes(list, i, s))),
  }));
  native.deleteDeviceList(list);
  return devices;
}
