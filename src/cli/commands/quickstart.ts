import { join } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { print, printError } from '../printer.js';
import { untilSignal } from '../signals.js';

interface QuickstartFlags {
  readonly seeds: number;
  readonly data: string;
  readonly out: string;
}

function seedCount(text: string): number {
  if (/^[1-9]\d?$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Expected a whole number from 1 to 99.');
}

/** Adds `capstan quickstart`: from nothing to a report. */
export function registerQuickstart(program: Command): void {
  program
    .command('quickstart')
    .description('from nothing: fetch the engine, build the data, train a small CLIP, evaluate it, report')
    .option('--seeds <number>', 'how many seeds to train; their spread is reported', seedCount, 3)
    .option('--data <dir>', 'the emoji data set; built if absent', 'data/emoji')
    .option('--out <dir>', 'where the runs, the report and the summary go', 'runs/quickstart')
    .action(async ({ seeds, data, out }: QuickstartFlags) => {
      const { formatSummary, runQuickstart } = await import('../quickstart/quickstart.js');
      const { quickstartWork } = await import('../quickstart/work.js');
      const { checkReplaceable } = await import('../../data/datasets/publish.js');
      await checkReplaceable(data, '--data'); // before the engine is fetched
      await untilSignal(async (signals) => {
        const work = quickstartWork({
          dataDir: data,
          outDir: out,
          say: printError,
          progress: process.stderr,
          signals,
        });
        const summary = await runQuickstart(work, {
          outDir: out,
          seeds: Array.from({ length: seeds }, (_, seed) => seed),
          say: printError,
        });
        print(`\n${formatSummary(summary)}\n\n${join(out, 'report.html')}\n${join(out, 'summary.json')}`);
      }, 'Stopped; what is done is saved. The same command goes on from here.');
    });
}
