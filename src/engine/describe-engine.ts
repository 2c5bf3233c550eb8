/** What the running engine computes on, for people. */
import { cpus } from 'node:os';
import { formatBytes } from '../assets/index.js';
import {
  describeUnusedGpu,
  explainMissingCuda,
  gpuName,
  hasNvidiaDriver,
  type MissingLibrary,
  nvidiaDriverVersion,
} from './cuda.js';
import { type EngineInfo, engineInfo } from './start.js';

/**
 * Lines that say what the engine computes on; the second, if there is one, warns of a GPU that lies idle though it
 * was not refused.
 *
 * @throws EngineError before `startEngine()`
 */
export async function describeEngine(): Promise<string[]> {
  const info = engineInfo();
  if (info.device === 'cuda') return engineLines(info, { gpu: gpuName() });
  const hasIdleGpu = info.asked === 'auto' && (await hasNvidiaDriver());
  if (!hasIdleGpu) return engineLines(info, {});
  const driver = (await nvidiaDriverVersion()) ?? 'unknown';
  return engineLines(info, { idle: { driver, missing: explainMissingCuda(info.library) } });
}

/** What the driver tells of GPUs. */
export interface GpuFacts {
  /** Name of the one that is computed on. */
  readonly gpu?: string | undefined;
  /** Of those that are not: the driver's version, and the CUDA libraries that did not load. */
  readonly idle?: { readonly driver: string; readonly missing: readonly MissingLibrary[] };
}

/** The lines of {@link describeEngine}. */
export function engineLines(
  { device, devices, threads }: Pick<EngineInfo, 'device' | 'devices' | 'threads'>,
  { gpu, idle }: GpuFacts,
): string[] {
  if (device === 'cuda') {
    const bytes = devices.find(({ type }) => type === 'GPU')?.memoryBytes ?? 0;
    return [`capstan computes on cuda: ${gpu ?? 'a GPU that tells no name'}, ${formatBytes(bytes)}`];
  }
  const model = cpus()[0]?.model.trim() || 'unknown processor';
  const line = `capstan computes on cpu: ${model}, ${threads} thread${threads === 1 ? '' : 's'}`;
  if (idle === undefined) return [line];
  const { what, cure } = describeUnusedGpu(idle.driver, idle.missing);
  return [line, `Warning: ${what} ${cure}`];
}
