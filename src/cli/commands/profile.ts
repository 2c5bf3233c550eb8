/** `capstan profile CONFIG`: where a training step's time goes. */
import type { Command } from 'commander';
import type { OpShare } from '../../train/profile.js';
import { formatTable } from '../format-table.js';
import { positiveInteger } from '../numbers.js';
import { print, printError } from '../printer.js';
import { untilSignal } from '../signals.js';
import { collect } from './train.js';

interface ProfileFlags {
  readonly set: string[];
  readonly out: string;
  readonly steps: number;
  readonly top: number;
}

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
    .option('--top <n>', 'operations to list', positiveInteger, 20)
    .action(async (path: string, flags: ProfileFlags) => {
      const { loadConfig } = await import('../../config/load.js');
      const config = await loadConfig(path, flags.set);
      const { profileTraining } = await import('../../train/profile.js');
      const { formatBytes } = await import('../../assets/index.js');
      await untilSignal(async ({ signal }) => {
        const { out: outDir, steps } = flags;
        const profile = await profileTraining(config, { outDir, steps, inform: printError, signal });
        const { stepMs, dataWaitMs, peakBytes, total, kinds, operations, trace, xplane } = profile;
        print(
          `A step takes ${stepMs.toFixed(1)} ms, of which ${dataWaitMs.toFixed(1)} ms wait for data (medians of ` +
            `${steps}). Its intermediate values take up to ${formatBytes(peakBytes)}.\n` +
            `Run one after the other, its ${total.count} operations take ${total.milliseconds.toFixed(1)} ms ` +
            '(the fastest of some passes):\n',
        );
        print(table('kind', [...kinds, total]));
        print(`\n${table('operation', withRest(operations, flags.top, total))}`);
        print(`\nchrome://tracing or ui.perfetto.dev: ${trace}`);
        print(`TensorBoard with its profile plugin: --logdir ${outDir} (${xplane})`);
      });
    });
}

/** The first `top`, and the others as one. */
function withRest(shares: readonly OpShare[], top: number, total: OpShare): OpShare[] {
  const [shown, rest] = [shares.slice(0, top), shares.slice(top)];
  if (rest.length < 2) return [...shares];
  const sum = (of: (share: OpShare) => number): number => rest.reduce((all, share) => all + of(share), 0);
  const milliseconds = sum((s) => s.milliseconds);
  return [
    ...shown,
    {
      op: `${rest.length} others`,
      output: '',
      count: sum((s) => s.count),
      milliseconds,
      share: milliseconds / total.milliseconds,
      gigabytesPerSecond: sum((s) => s.gigabytesPerSecond * s.milliseconds) / milliseconds,
      gigaflopsPerSecond: sum((s) => s.gigaflopsPerSecond * s.milliseconds) / milliseconds,
    },
  ];
}

function table(first: string, shares: readonly OpShare[]): string {
  const numbers = ['count', 'ms', 'share', 'GB/s', 'GFLOP/s'];
  const hasOutput = shares.some(({ output }) => output !== '');
  const rows = shares.map((share) => [
    share.op,
    ...(hasOutput ? [share.output] : []),
    String(share.count),
    share.milliseconds.toFixed(2),
    `${(100 * share.share).toFixed(1)} %`,
    share.gigabytesPerSecond.toFixed(1),
    share.gigaflopsPerSecond === 0 ? '' : share.gigaflopsPerSecond.toFixed(0),
  ]);
  return formatTable([first, ...(hasOutput ? ['result'] : []), ...numbers], rows, numbers);
}
