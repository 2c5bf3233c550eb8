/** What a measurement was made on. */
import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os';
import { repositoryRoot } from './root.js';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  /** Of the checkout; `-dirty` is added if files differ from it. */
  readonly commit: string;
  /** Mean number of runnable processes over the last minute, before the bench began: well under 1 if quiet. */
  readonly loadBefore: number;
  readonly startedAt: string;
}

/** Describes this machine and checkout. Call it before measuring. */
export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()} ${process.arch}`,
    node: process.version,
    commit: commit(),
    loadBefore: loadavg()[0] ?? 0,
    startedAt: new Date().toISOString(),
  };
}

function commit(): string {
  try {
    const args = ['describe', '--always', '--abbrev=12', '--dirty'];
    return execFileSync('git', args, { cwd: repositoryRoot(), stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim();
  } catch {
    return 'unknown'; // No git, or an unpacked archive.
  }
}

/** Two lines for a person. */
export function machineText(machine: Machine, versions: Readonly<Record<string, string>>): string {
  const software = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const busy = machine.loadBefore > 0.5 * machine.cores ? ' — busy, so expect noise' : '';
  return (
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}, ` +
    `load ${machine.loadBefore.toFixed(2)}${busy}\n` +
    `commit ${machine.commit}, node ${machine.node}${software.map((text) => `, ${text}`).join('')}`
  );
}
