/** `capstan profile CONFIG`: where a training step's time goes. */
import type { Command } from 'commander';
import { formatTable } from '../format-table.js';
import { positiveInteger } from '../numbers.js';
import { print } from '../printer.js';
import { collect } from './train.js';

interface ProfileFlags {
  readonly set: string[];
  readonly out: string;
  readonly steps: number;
  readonly top: number;
}

/** Clusters can hold a hundred operations; a terminal cannot. */
const OP_WIDTH = 72;

export function registerProfile(program: Command): void {
  program
    .command('profile')
    .description(
      "time a training step's operations one by one; write traces for TensorBoard and chrome://tracing",
    )
    .argument('<config>', 'YAML file of a training run, whose folder is not touched')
    .option('--set <path=value>', 'change a key, for instance train.batchSize=64 (repeatable)', collect, [])
    .option('--out <dir>', "directory of the traces, TensorBoard's --logdir", 'profile')
    .option('--steps <n>', 'whole steps to time first', positiveInteger, 10)
    .option('--top <n>', 'rows of the table', positiveInteger, 15)
    .action(async (path: string, flags: ProfileFlags) => {
      const { loadConfig } = await import('../../config/load.js');
      const config = await loadConfig(path, flags.set);
      const { profileTraining } = await import('../../train/profile.js');
      const profile = await profileTraining(config, { outDir: flags.out, steps: flags.steps });
      const { shares, stepMs, dataWaitMs, operationsMs } = profile;
      const rows = shares
        .slice(0, flags.top)
        .map((s) => [
          s.op.length > OP_WIDTH ? `${s.op.slice(0, OP_WIDTH - 1)}…` : s.op,
          String(s.count),
          s.milliseconds.toFixed(2),
          `${(100 * s.share).toFixed(1)} %`,
          s.gigabytesPerSecond.toFixed(1),
          s.gigaflopsPerSecond === 0 ? '' : s.gigaflopsPerSecond.toFixed(0),
        ]);
      print(formatTable(['operation', 'count', 'ms', 'share', 'GB/s', 'GFLOP/s'], rows));
      if (shares.length > rows.length) print(`and ${shares.length - rows.length} more kinds`);
      print(
        `\nA step takes ${stepMs.toFixed(1)} ms, of which ${dataWaitMs.toFixed(1)} ms wait for data (medians of ${flags.steps}). ` +
          `Its operations, each alone, take ${operationsMs.toFixed(1)} ms.`,
      );
      print(`chrome://tracing, Perfetto: ${profile.trace}`);
      print(`TensorBoard's profile plugin: --logdir ${flags.out} (${profile.xplane})`);
    });
}
