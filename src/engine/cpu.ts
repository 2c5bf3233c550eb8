/** What the processor and this process's share of the machine are. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import { promisify } from 'node:util';

/** The processor, as `capstan doctor` prints it. */
export interface CpuInfo {
  readonly model: string;
  /** Hardware threads of the machine, and how many of them this process may use. */
  readonly cores: number;
  readonly usableCores: number;
  /** Instruction sets that matter for speed, by their names in /proc/cpuinfo. */
  readonly features: Readonly<Record<string, boolean>>;
}

/** Memory in bytes. `limitBytes` is the container's limit, where there is one. */
export interface MemoryInfo {
  readonly totalBytes: number;
  readonly availableBytes: number;
  readonly limitBytes: number | undefined;
}

const FEATURES: Readonly<Record<string, readonly string[]>> = {
  x64: ['avx', 'avx2', 'fma', 'avx512f', 'avx512_vnni', 'avx512_bf16', 'amx_tile', 'amx_bf16'],
  arm64: ['asimd', 'asimddp', 'sve', 'i8mm', 'bf16'],
};

/** Reads the processor's description; features are all false where the system does not tell. */
export async function cpuInfo(): Promise<CpuInfo> {
  const flags = process.platform === 'darwin' ? await appleFlags() : await linuxFlags();
  const names = FEATURES[process.arch] ?? [];
  return {
    model: cpus()[0]?.model.trim() || 'unknown',
    cores: cpus().length,
    usableCores: availableParallelism(),
    features: Object.fromEntries(names.map((name) => [name, flags.has(name)])),
  };
}

/** Reads the memory of the machine and of this process's container. */
export async function memoryInfo(): Promise<MemoryInfo> {
  const totalBytes = totalmem();
  const constrained = process.constrainedMemory();
  // Without a limit the kernel reports a number larger than any memory.
  const limitBytes = constrained > 0 && constrained < totalBytes ? constrained : undefined;
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  // freemem() leaves out what the page cache would give back.
  const available = Number(/^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
  return { totalBytes, availableBytes: available || freemem(), limitBytes };
}

async function linuxFlags(): Promise<Set<string>> {
  const text = await readFile('/proc/cpuinfo', 'utf8').catch(() => '');
  return new Set(/^(?:flags|Features)\s*:\s*(.*)$/m.exec(text)?.[1]?.split(/\s+/) ?? []);
}

async function appleFlags(): Promise<Set<string>> {
  const names: Readonly<Record<string, string>> = {
    FEAT_DotProd: 'asimddp',
    FEAT_I8MM: 'i8mm',
    FEAT_BF16: 'bf16',
  };
  const output = await promisify(execFile)('sysctl', ['hw.optional.arm']).catch(() => undefined);
  const flags = new Set(['asimd']);
  for (const [, name] of output?.stdout.matchAll(/^hw\.optional\.arm\.(\w+): 1$/gm) ?? []) {
    const flag = names[name as string];
    if (flag !== undefined) flags.add(flag);
  }
  return flags;
}
