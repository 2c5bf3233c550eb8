/** `capstan train CONFIG`: a training run, or with --dry-run what it would be. */
import type { Command } from 'commander';
import { print, printError } from '../printer.js';
import { untilSignal } from '../signals.js';

interface TrainFlags {
  readonly set: string[];
  readonly resume: string;
  readonly dryRun?: boolean;
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
      const { loadConfig } = await import('../../config/load.js');
      const config = await loadConfig(path, flags.set);
      if (flags.dryRun) {
        const { describeRun } = await import('../describe-run.js');
        print(await describeRun(config, printError));
        return;
      }
      const { train } = await import('../../train/run.js');
      const { inLoopEvaluators } = await import('../../eval/in-loop.js');
      await untilSignal(async (signals) => {
        const result = await train(config, {
          resume: flags.resume,
          evaluators: () => inLoopEvaluators(config, printError),
          inform: printError,
          progress: process.stderr,
          signal: signals.signal,
          onSteps: () => signals.endBy('save'),
        });
        for (const [name, value] of Object.entries(result.evaluation)) {
          print(`${name}  ${name.endsWith('/skipped') ? value : value.toFixed(4)}`);
        }
        if (result.skipped > 0) {
          print(
            `${result.skipped.toLocaleString('en-US')} broken samples were passed over: see 'skipped' in ` +
              `${result.directory}/metrics.jsonl.`,
          );
        }
        if (result.finished) {
          print(
            `Done: ${result.step} steps, ${result.samplesSeen.toLocaleString('en-US')} samples. Run: ${result.directory}`,
          );
          return;
        }
        const saved = result.checkpoint === undefined ? 'nothing new to save' : `saved ${result.checkpoint}`;
        const again = ['npx', 'capstan', 'train', path, ...flags.set.flatMap((text) => ['--set', text])];
        print(
          `Stopped after step ${result.step}; ${saved}. ` +
            `Go on with: ${[...again, '--resume', 'auto'].map(quoted).join(' ')}`,
        );
        const exitCode = signals.exitCode();
        if (exitCode !== undefined) process.exitCode = exitCode;
      });
    });
}

/** An argument as a shell takes it. */
function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** Gathers a repeatable option. */
export function collect(value: string, previous: string[]): string[] {
  return [...previous, value];
}
