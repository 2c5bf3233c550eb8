/** `capstan train CONFIG`: a training run, or with --dry-run what it would be. */
import type { Command } from 'commander';
import { loadConfig } from '../../config/load.js';
import { train } from '../../train/run.js';
import { describeRun } from '../describe-run.js';
import { inLoopEvaluators } from '../evaluators.js';
import { print, printError } from '../printer.js';

interface TrainFlags {
  readonly set: string[];
  readonly resume: string;
  readonly dryRun?: boolean;
}

/** Exit codes as shells give them for a process ended by the signal. */
const SIGNAL_EXIT = { SIGINT: 130, SIGTERM: 143 } as const;

/** Aborts on the first signal; a second one ends the process at once. */
function abortOnSignals(): {
  signal: AbortSignal;
  received: () => keyof typeof SIGNAL_EXIT | undefined;
  stop: () => void;
} {
  const controller = new AbortController();
  let received: keyof typeof SIGNAL_EXIT | undefined;
  const onSignal = (name: NodeJS.Signals): void => {
    const known = name as keyof typeof SIGNAL_EXIT;
    if (received) process.exit(SIGNAL_EXIT[known]);
    received = known;
    printError(`\n${name}: finishing the step, then saving. Once more to leave at once, without saving.`);
    controller.abort();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return {
    signal: controller.signal,
    received: () => received,
    stop: () => {
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    },
  };
}

export function registerTrain(program: Command): void {
  program
    .command('train')
    .description('train a model as a configuration says')
    .argument('<config>', 'YAML file, for instance configs/clip/emoji-vit-ti.yaml')
    .option('--set <path=value>', 'change a key, for instance train.lr=1e-3 (repeatable)', collect, [])
    .option(
      '--resume <where>',
      'auto (from the newest checkpoint if there is one), none, or a checkpoint directory',
      'none',
    )
    .option(
      '--dry-run',
      'check the configuration and print model, data mix, memory and FLOPs without training',
    )
    .action(async (path: string, flags: TrainFlags) => {
      const config = await loadConfig(path, flags.set);
      if (flags.dryRun) {
        print(await describeRun(config));
        return;
      }
      const signals = abortOnSignals();
      try {
        const result = await train(config, {
          resume: flags.resume,
          evaluators: () => inLoopEvaluators(config),
          inform: printError,
          progress: process.stderr,
          signal: signals.signal,
        });
        for (const [name, value] of Object.entries(result.evaluation)) print(`${name}  ${value.toFixed(4)}`);
        if (result.finished) {
          print(
            `Done: ${result.step} steps, ${result.samplesSeen.toLocaleString('en-US')} samples. Run: ${result.directory}`,
          );
          return;
        }
        print(
          `Stopped after step ${result.step}; saved ${result.checkpoint}. ` +
            `Go on with: capstan train ${path} --resume auto${flags.set.map((s) => ` --set ${s}`).join('')}`,
        );
        const name = signals.received();
        if (name) process.exitCode = SIGNAL_EXIT[name];
      } finally {
        signals.stop();
      }
    });
}

function collect(value: string, previous: string[]): string[] {
  return [...previous, value];
}
