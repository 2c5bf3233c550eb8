/** Examines whether the engine can run on this machine, what it would run on, and what is missing. */
import { readFile } from 'node:fs/promises';
import {
  assetDamage,
  assetDirectory,
  cacheDirectory,
  ensureAsset,
  findPip,
  formatBytes,
  freeBytes,
  isAssetCached,
  openClipText,
} from '../assets/index.js';
import { makeDirectories } from '../directories.js';
import { CapstanError } from '../errors.js';
import { type CpuInfo, cpuInfo, type MemoryInfo, memoryInfo } from './cpu.js';
import {
  describeUnusedGpu,
  explainMissingCuda,
  hasNvidiaDriver,
  type MissingLibrary,
  nvidiaDriverVersion,
} from './cuda.js';
import { withoutDoctorHint } from './doctor-hint.js';
import {
  cachedLibraryDamage,
  findLibrary,
  type LocateOptions,
  locateLibrary,
  type TensorflowLibrary,
} from './library.js';
import { glibcVersion, requirePlatform } from './platform.js';
import { type Device, type EngineInfo, startEngine } from './start.js';

/** Something that is wrong, and what to do about it. An `error` keeps the engine from running. */
export interface Problem {
  readonly severity: 'error' | 'warning';
  readonly what: string;
  readonly cure: string;
}

/** Result of `examine`. */
export interface DoctorReport {
  /** Whether a run can be trained: the engine started on the device asked for, and the tokenizer's files are there. */
  readonly usable: boolean;
  readonly versions: {
    readonly capstan: string;
    readonly node: string;
    /** By the loaded library; undefined when none was loaded. */
    readonly tensorflow: string | undefined;
    readonly glibc: string | undefined;
  };
  readonly platform: string;
  readonly cpu: CpuInfo;
  readonly memory: MemoryInfo;
  readonly cache: { readonly directory: string; readonly freeBytes: number | undefined };
  /** The command that runs pip; undefined when there is none. */
  readonly pip: string | undefined;
  readonly library: TensorflowLibrary | undefined;
  /** Directory of the tokenizer's files; undefined where they are not there. */
  readonly tokenizer: string | undefined;
  readonly devices: readonly Device[];
  readonly gpu: {
    readonly driver: string | undefined;
    readonly missingLibraries: readonly MissingLibrary[];
  };
  readonly problems: readonly Problem[];
}

/** Options of `examine`. */
export interface ExamineOptions extends Pick<LocateOptions, 'device' | 'libtensorflow' | 'signal'> {
  /** Fetch TensorFlow and the tokenizer if they are not there. Without it, they are reported and left missing. */
  readonly fetch?: boolean;
}

/** Memory below which even the quickstart may not fit. */
const LITTLE_MEMORY = 4 * 2 ** 30;
/** Disk below which a run's data and checkpoints may not fit. */
const LITTLE_DISK = 2 * 2 ** 30;

/**
 * Examines this machine by starting the engine in this process. Never throws for what it can report.
 *
 * @throws the signal's reason when aborted
 */
export async function examine(options: ExamineOptions = {}): Promise<DoctorReport> {
  const problems: Problem[] = [];
  const cpu = await cpuInfo();
  const memory = await memoryInfo();
  const cache = await examineCache(problems);
  checkNode(problems);
  checkHardware(cpu, memory, problems);
  const pip = (await findPip())?.join(' ');
  const library = await examineLibrary(options, pip, problems);
  const tokenizer = await examineTokenizer(options, pip, problems);
  const engine = library === undefined ? undefined : await tryStart(options, problems);
  const driver = (await hasNvidiaDriver()) ? ((await nvidiaDriverVersion()) ?? 'unknown') : undefined;
  const missingLibraries = examineGpu(options, driver, library, engine, problems);
  return {
    usable: engine !== undefined && !problems.some((problem) => problem.severity === 'error'),
    versions: {
      capstan: await capstanVersion(),
      node: process.versions.node,
      tensorflow: engine?.tensorflow,
      glibc: glibcVersion(),
    },
    platform: `${process.platform}-${process.arch}`,
    cpu,
    memory,
    cache,
    pip,
    library,
    tokenizer,
    devices: engine?.devices ?? [],
    gpu: { driver, missingLibraries },
    problems,
  };
}

async function examineCache(problems: Problem[]): Promise<DoctorReport['cache']> {
  const directory = cacheDirectory();
  try {
    await makeDirectories(directory);
    const free = await freeBytes(directory);
    if (free < LITTLE_DISK) {
      problems.push({
        severity: 'warning',
        what: `Only ${formatBytes(free)} are free in the cache ${directory}.`,
        cure: 'Free some space, or set CAPSTAN_CACHE to a directory on a larger disk.',
      });
    }
    return { directory, freeBytes: free };
  } catch (error) {
    problems.push({
      severity: 'error',
      what: `The cache ${directory} cannot be made: ${messageOf(error)}.`,
      cure: 'Make it writable, or set CAPSTAN_CACHE to a directory that is.',
    });
    return { directory, freeBytes: undefined };
  }
}

function checkNode(problems: Problem[]): void {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if ((major === 20 && minor >= 15) || (major === 22 && minor >= 2)) return;
  problems.push({
    severity: 'error',
    what: `Node ${process.versions.node} is not supported.`,
    cure: 'Use Node 20.15 or later, or 22.2 or later; tfjs 4.22 does not run on 23 and later.',
  });
}

function checkHardware(cpu: CpuInfo, memory: MemoryInfo, problems: Problem[]): void {
  if (cpu.features.avx === false) {
    problems.push({
      severity: 'error',
      what: 'This CPU has no AVX, which the TensorFlow wheels are built for.',
      cure: 'Use another machine, or have the emulator or virtual machine pass AVX through.',
    });
  }
  const usable = memory.limitBytes ?? memory.totalBytes;
  if (usable < LITTLE_MEMORY) {
    problems.push({
      severity: 'warning',
      what: `This process may use ${formatBytes(usable)} of memory.`,
      cure: 'Use small batches and models, or a machine with more memory.',
    });
  }
}

async function examineLibrary(
  options: ExamineOptions,
  pip: string | undefined,
  problems: Problem[],
): Promise<TensorflowLibrary | undefined> {
  try {
    requirePlatform();
    const found = await (options.fetch ? locateLibrary(options) : findLibrary(options));
    if (found) return found;
    problems.push({
      severity: 'error',
      what: (await cachedLibraryDamage(options)) ?? 'TensorFlow has not been fetched yet.',
      cure: fetchCure(pip),
    });
  } catch (error) {
    options.signal?.throwIfAborted();
    problems.push(problemOf(error));
  }
  return undefined;
}

async function examineTokenizer(
  options: ExamineOptions,
  pip: string | undefined,
  problems: Problem[],
): Promise<string | undefined> {
  try {
    if (options.fetch) return await ensureAsset(openClipText, { signal: options.signal });
    if (await isAssetCached(openClipText)) return assetDirectory(openClipText);
    problems.push({
      severity: 'error',
      what:
        (await assetDamage(openClipText)) ??
        `The tokenizer's files (${openClipText.title}) have not been fetched yet.`,
      cure: fetchCure(pip),
    });
  } catch (error) {
    options.signal?.throwIfAborted();
    problems.push(problemOf(error));
  }
  return undefined;
}

function fetchCure(pip: string | undefined): string {
  return pip === undefined
    ? "Install Python's pip (apt install python3-pip, or python3 -m ensurepip), then come back with --fetch."
    : 'Give --fetch to have it fetched now; training and evaluation fetch it on first use, too.';
}

async function tryStart(options: ExamineOptions, problems: Problem[]): Promise<EngineInfo | undefined> {
  try {
    return await startEngine({
      device: options.device ?? 'auto',
      ...(options.libtensorflow === undefined ? {} : { libtensorflow: options.libtensorflow }),
    });
  } catch (error) {
    problems.push(problemOf(error));
    return undefined;
  }
}

function examineGpu(
  options: ExamineOptions,
  driver: string | undefined,
  library: TensorflowLibrary | undefined,
  engine: EngineInfo | undefined,
  problems: Problem[],
): readonly MissingLibrary[] {
  const wanted = options.device === 'cuda' || (options.device !== 'cpu' && driver !== undefined);
  if (!wanted || library === undefined || engine?.device === 'cuda') return [];
  const missing = explainMissingCuda(library);
  if (options.device === 'cuda') return missing; // The engine's refusal has said it already.
  problems.push({ severity: 'warning', ...describeUnusedGpu(driver ?? 'unknown', missing) });
  return missing;
}

function problemOf(error: unknown): Problem {
  // Messages of capstan's own errors end in what to do.
  if (error instanceof CapstanError)
    return { severity: 'error', what: withoutDoctorHint(error.message), cure: '' };
  return {
    severity: 'error',
    what: `The engine failed in an unforeseen way: ${messageOf(error)}.`,
    cure: 'Please report it with all that is printed here.',
  };
}

async function capstanVersion(): Promise<string> {
  const manifest = new URL('../../package.json', import.meta.url);
  return (JSON.parse(await readFile(manifest, 'utf8')) as { version: string }).version;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
