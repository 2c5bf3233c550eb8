/** `capstan eval zero-shot|retrieval`: measures a run's checkpoint. */
import type { Command } from 'commander';
import type { EvalOutcome } from '../../eval/index.js';
import { replaceFile, requireReplaceable } from '../../replace-file.js';
import type { RunEvaluation } from '../evaluate-run.js';
import { formatTable } from '../format-table.js';
import { percent, share } from '../numbers.js';
import { print, printError } from '../printer.js';
import { checkpointOption, deviceOption } from '../run-options.js';
import { untilSignal } from '../signals.js';

interface EvalFlags {
  readonly run: string;
  readonly checkpoint: 'latest' | 'best' | number;
  readonly data?: string;
  readonly split: string;
  readonly device?: 'auto' | 'cpu' | 'cuda';
  readonly maxSkipRatio?: number;
  readonly json?: string;
  readonly cache: boolean;
}

interface ZeroShotFlags extends EvalFlags {
  readonly classes: string;
  readonly templates: string;
}

const NUM_CONFUSIONS_SHOWN = 10;

function withCommonOptions(command: Command): Command {
  return command
    .requiredOption('--run <dir>', "the run's folder")
    .addOption(checkpointOption())
    .option('--data <path>', "data set to evaluate on (default: the run's own)")
    .option('--split <name>', 'split to evaluate on', 'test')
    .addOption(deviceOption())
    .option(
      '--max-skip-ratio <share>',
      "largest share of the images that may be broken and left out (default: the run's data.maxSkipRatio)",
      share,
    )
    .option('--json <file>', 'write the result here too')
    .option('--no-cache', "neither use nor keep embeddings of the images in the run's features folder");
}

/** Adds `capstan eval` with its two subcommands. */
export function registerEval(program: Command): void {
  const command = program
    .command('eval')
    .description("measure a run's checkpoint; results go into the run's eval folder");
  withCommonOptions(command.command('zero-shot'))
    .description('classify images by prompts made of their class names')
    .option(
      '--classes <column>',
      'column whose values are the classes: label (fine), subgroup (coarse)',
      'label',
    )
    .option('--templates <name>', 'prompt templates: emoji, openai, or a file with one per line', 'emoji')
    .action((flags: ZeroShotFlags) =>
      evaluate(flags, (evaluation) => evaluation.zeroShot(flags.classes, flags.templates)),
    );
  withCommonOptions(command.command('retrieval'))
    .description('find images by their captions and captions by their images')
    .action((flags: EvalFlags) => evaluate(flags, (evaluation) => evaluation.retrieval()));
}

async function evaluate(
  flags: EvalFlags,
  measure: (evaluation: RunEvaluation) => Promise<EvalOutcome>,
): Promise<void> {
  const { RunEvaluation } = await import('../evaluate-run.js');
  const { describeEngine } = await import('../../engine/index.js');
  const { writeEvalPage } = await import('../../report/index.js');
  const { run, checkpoint, data, split, device, maxSkipRatio, json, cache } = flags;
  // It may take hours: that its result has no place is to be known before.
  if (json !== undefined) await requireReplaceable(json);
  const evaluation = await untilSignal(async ({ signal }) => {
    const opened = await RunEvaluation.open(run, {
      checkpoint,
      split,
      cache,
      signal,
      warn: printError,
      ...(data === undefined ? {} : { data }),
      ...(device === undefined ? {} : { device }),
      ...(maxSkipRatio === undefined ? {} : { maxSkipRatio }),
    });
    for (const line of await describeEngine()) printError(line);
    signal.throwIfAborted();
    return opened;
  });
  // From here on a signal ends the process at once: results are written whole or not at all.
  if (evaluation === undefined) return;
  try {
    const outcome = await measure(evaluation);
    print(formatOutcome(outcome));
    if (outcome.notes.length > 0) print(`\n${outcome.notes.join('\n')}`);
    print(`\n${outcome.path}\n${await writeEvalPage(run, outcome.path)}`);
    if (json !== undefined) await replaceFile(json, `${JSON.stringify(outcome.json, null, 2)}\n`);
  } finally {
    evaluation.dispose();
  }
}

/** The scores as a table, and the most frequent confusions below it. */
export function formatOutcome({ lines, confusions }: EvalOutcome): string {
  const table = formatTable(
    ['score', 'on', 'value', '95 % interval', 'chance', 'times chance'],
    lines.map(({ score, on, value, chance, low, high }) => [
      score,
      on,
      percent(value),
      low === undefined || high === undefined ? '' : `${percent(low)} to ${percent(high)}`,
      percent(chance),
      `${(value / chance).toFixed(1)} x`,
    ]),
  );
  if (confusions.length === 0) return table;
  const shown = formatTable(
    ['true class', 'taken for', 'images'],
    confusions
      .slice(0, NUM_CONFUSIONS_SHOWN)
      .map(({ actual, predicted, count }) => [actual, predicted, String(count)]),
  );
  return `${table}\n\nTop confusions\n${shown}`;
}
