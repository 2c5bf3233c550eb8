/** `capstan data embed PATH`: features of a data set, made once and kept. */
import { type Command, Option } from 'commander';
import { type FeatureDtype, featureDtypes } from '../../data/features/half.js';
import { type CaptionKind, captionKinds } from '../../data/schema.js';
import { positiveInteger, share, wholeNumber } from '../numbers.js';
import { print, printError } from '../printer.js';
import { addReadingFlags, type ReadingFlags, withReading } from '../reading-flags.js';
import { checkpointOption, deviceOption } from '../run-options.js';
import { abortOnSignals } from '../signals.js';

interface EmbedFlags extends ReadingFlags {
  readonly run: string;
  readonly checkpoint: 'latest' | 'best' | number;
  readonly out: string;
  readonly what: 'image' | CaptionKind;
  readonly dtype: FeatureDtype;
  readonly batch: number;
  readonly variants: number;
  readonly seed: number;
  readonly workers?: number;
  readonly device?: 'auto' | 'cpu' | 'cuda';
  readonly maxSkipRatio?: number;
}

/** Adds `capstan data embed`. */
export function registerDataEmbed(data: Command): void {
  const command = data
    .command('embed')
    .description("embed a data set with a run's model and keep the features; the same command goes on")
    .argument('<path>', 'the data set: a directory, a file or a pattern')
    .requiredOption('--run <dir>', 'folder of the run whose model embeds')
    .requiredOption('--out <dir>', 'where the features go')
    .addOption(
      new Option('--what <what>', 'the image, or the caption of a kind')
        .choices(['image', ...captionKinds])
        .default('image'),
    )
    .addOption(checkpointOption());
  addReadingFlags(command)
    .addOption(
      new Option('--dtype <dtype>', 'how numbers are kept').choices(featureDtypes).default('float32'),
    )
    .option('--batch <rows>', 'rows embedded at a time', positiveInteger, 64)
    .option(
      '--variants <n>',
      'with more than 1, so many random crops of each image, as training draws them, instead of its centre',
      positiveInteger,
      1,
    )
    .option('--seed <number>', 'seed of the crops', wholeNumber, 0)
    .option('--workers <number>', 'decoding threads (default: one fewer than cores)', wholeNumber)
    .addOption(deviceOption())
    .option(
      '--max-skip-ratio <share>',
      "largest share of the rows that may be broken (default: the run's data.maxSkipRatio)",
      share,
    )
    .action(embed);
}

async function embed(path: string, flags: EmbedFlags): Promise<void> {
  const { embedData } = await import('../embed-data.js');
  const { EmbedProgress } = await import('../embed-progress.js');
  const { run, checkpoint, out, what, dtype, batch, variants, seed, workers, device, maxSkipRatio } = flags;
  const signals = abortOnSignals('finishing the batch; whole shards are kept. Once more to leave at once.');
  const progress = new EmbedProgress(process.stderr);
  const started = performance.now();
  try {
    const found = await withReading(flags, (reading) =>
      embedData({
        data: path,
        reading,
        ...{ run, checkpoint, out, what, dtype, batch, variants, seed },
        ...(workers === undefined ? {} : { workers }),
        ...(device === undefined ? {} : { device }),
        ...(maxSkipRatio === undefined ? {} : { maxSkipRatio }),
        inform: printError,
        onProgress: (step) => progress.update(step),
        signal: signals.signal,
      }),
    );
    progress.stop();
    const { rows, numRows, broken, noCaption, embedded, finished } = found;
    const seconds = (performance.now() - started) / 1000;
    const kept = embedded < rows ? `, ${rows - embedded} were there` : '';
    const without = [
      ...(broken > 0 ? [`${broken} broken`] : []),
      ...(noCaption > 0 ? [`${noCaption} without a caption`] : []),
    ];
    print(
      `${out}: ${rows} of ${numRows} rows; ${embedded} embedded in ${seconds.toFixed(1)} s${kept}` +
        `${without.length === 0 ? '' : `; without features: ${without.join(', ')}`}`,
    );
    if (finished) return;
    print('Stopped before the end. The same command goes on from there.');
    const exitCode = signals.exitCode();
    if (exitCode !== undefined) process.exitCode = exitCode;
  } finally {
    progress.stop();
    signals.stop();
  }
}
