/** `capstan train CONFIG`: a training run, or with --dry-run what it would be. */
import type { Command } from 'commander';
import type { TrainConfig } from '../../config/schema.js';
import { print, printError } from '../printer.js';
import { commandLine } from '../quoted.js';
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
      const { storageOptions } = await import('../../data/storage/options.js');
      const { withStorage } = await import('../with-storage.js');
      const config = await loadConfig(path, flags.set);
      const reading = storageOptions(config.data.storage);
      if (flags.dryRun) {
        const { describeRun } = await import('../describe-run.js');
        print(await withStorage(reading, (storage) => describeRun(config, printError, storage)));
        return;
      }
      const { train } = await import('../../train/run.js');
      const { inLoopEvaluators } = await import('../../eval/in-loop.js');
      await untilSignal(async (signals) => {
        const result = await withStorage(reading, (storage) =>
          train(config, {
            resume: flags.resume,
            evaluators: () => inLoopEvaluators(config, printError, storage),
            inform: printError,
            progress: process.stderr,
            signal: signals.signal,
            onSteps: () => signals.endBy('save'),
            storage,
          }),
        ).catch(async (error: unknown) => {
          throw await withWayOn(error, config, again(path, flags));
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
        print(`Stopped after step ${result.step}; ${saved}. Go on with: ${again(path, flags)}`);
        const exitCode = signals.exitCode();
        if (exitCode !== undefined) process.exitCode = exitCode;
      });
    });
}

/** What goes on from the newest checkpoint. */
function again(path: string, { set }: TrainFlags): string {
  const words = ['npx', 'capstan', 'train', path, ...set.flatMap((text) => ['--set', text])];
  return commandLine([...words, '--resume', 'auto']);
}

/** An error of the data says what the run has so far, and how it goes on. */
async function withWayOn(error: unknown, config: TrainConfig, command: string): Promise<unknown> {
  const { DataError } = await import('../../errors.js');
  if (!(error instanceof DataError)) return error;
  const { listCheckpoints } = await import('../../train/checkpoint.js');
  const { runPaths } = await import('../../train/run-folder.js');
  const { checkpoints } = runPaths(`${config.run.dir}/${config.run.name}`);
  const newest = (await listCheckpoints(checkpoints).catch(() => [])).at(-1);
  if (newest === undefined) return error;
  const way = `The newest checkpoint is ${newest}. Once that is mended, go on with: ${command}`;
  return new DataError(`${error.message}\n${way}`, { cause: error });
}

/** Gathers a repeatable option. */
export function collect(value: string, previous: string[]): string[] {
  return [...previous, value];
}
