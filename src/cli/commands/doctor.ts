import { type Command, Option } from 'commander';
import { formatBytes } from '../../assets/index.js';
import type { DoctorReport } from '../../engine/doctor.js';
import { untilSignal } from '../signals.js';

interface DoctorFlags {
  readonly json?: boolean;
  readonly fetch?: boolean;
  readonly device: 'auto' | 'cpu' | 'cuda';
  readonly libtensorflow?: string;
}

/** Adds `capstan doctor`: prints what the engine runs on and what is missing; exit code 1 when it cannot run. */
export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('examine this machine: versions, devices, memory, and what is missing, with the cure')
    .option('--json', 'print the report as JSON')
    .option('--fetch', 'fetch TensorFlow and the tokenizer if they are not here yet')
    .addOption(
      new Option('--device <device>', 'device to start on').choices(['auto', 'cpu', 'cuda']).default('auto'),
    )
    .option('--libtensorflow <path>', 'TensorFlow to use instead of the pinned one')
    .action(async (flags: DoctorFlags) => {
      const { examine } = await import('../../engine/doctor.js');
      const report = await untilSignal(({ signal }) =>
        examine({
          device: flags.device,
          fetch: flags.fetch ?? false,
          libtensorflow: flags.libtensorflow,
          signal,
        }),
      );
      if (report === undefined) return;
      process.stdout.write(flags.json ? `${toJson(report)}\n` : formatReport(report));
      if (!report.usable) process.exitCode = 1;
    });
}

/** JSON in which what is not there is null, so that every key is always present. */
function toJson(report: DoctorReport): string {
  return JSON.stringify(report, (_key, value: unknown) => value ?? null, 2);
}

/** The report as a person reads it: one fact per line, then each problem with its cure. */
export function formatReport(report: DoctorReport): string {
  const { versions, cpu, memory, cache, library, gpu } = report;
  const features = Object.entries(cpu.features).map(([name, has]) => (has ? name : `no ${name}`));
  const limit = memory.limitBytes === undefined ? '' : `, limited to ${formatBytes(memory.limitBytes)}`;
  const free = cache.freeBytes === undefined ? 'not writable' : `${formatBytes(cache.freeBytes)} free`;
  const rows: [string, string][] = [
    ['capstan', versions.capstan],
    ['Node', versions.node],
    ['TensorFlow', versions.tensorflow ?? 'not loaded'],
    ['library', library ? `${library.directory} (${foundBy(library.source)})` : 'not found'],
    ['tokenizer', report.tokenizer ?? 'not found'],
    ['platform', `${report.platform}${versions.glibc === undefined ? '' : `, glibc ${versions.glibc}`}`],
    ['CPU', `${cpu.model}, ${cpu.usableCores} of ${cpu.cores} cores usable`],
    ['', features.join(', ')],
    ['memory', `${formatBytes(memory.totalBytes)}, ${formatBytes(memory.availableBytes)} available${limit}`],
    ['cache', `${cache.directory}, ${free}`],
    ['pip', report.pip ?? 'not found'],
    ['NVIDIA driver', gpu.driver ?? 'none'],
  ];
  for (const device of report.devices) {
    // What TensorFlow states for the CPU is its first arena, not the machine's memory.
    const size = device.type === 'CPU' ? '' : `, ${formatBytes(device.memoryBytes)}`;
    rows.push(['device', `${device.name}${size}`]);
  }
  for (const { soname, error } of gpu.missingLibraries) rows.push(['not loaded', `${soname}: ${error}`]);
  const lines = rows.map(([name, value]) => `${name.padEnd(15)}${value}`);
  for (const { severity, what, cure } of report.problems) {
    lines.push('', `${severity}: ${what}`);
    if (cure !== '') lines.push(`  ${cure}`);
  }
  lines.push('', report.usable ? 'capstan can run here.' : 'capstan cannot run here yet.');
  return `${lines.join('\n')}\n`;
}

function foundBy(source: 'env' | 'config' | 'python' | 'cache'): string {
  if (source === 'env') return 'named by CAPSTAN_LIBTENSORFLOW';
  if (source === 'config') return 'named by libtensorflow';
  return source === 'python' ? "Python's tensorflow" : "capstan's cache";
}
