/** `capstan data inspect`: what a data set holds and what is wrong with it. */
import { SingleBar } from 'cli-progress';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type EntityExtractor, entityExtractors } from '../../data/inspect/extractors.js';
import type { InspectOptions } from '../../data/inspect/inspect.js';
import type { DataReport } from '../../data/inspect/report.js';
import { positiveInteger, wholeNumber } from '../numbers.js';
import { print, printError } from '../printer.js';
import { addReadingFlags, type ReadingFlags, withReading } from '../reading-flags.js';
import { abortOnSignals } from '../signals.js';

interface InspectFlags extends ReadingFlags {
  readonly sample?: number;
  readonly decode?: number | 'all';
  readonly entities: EntityExtractor;
  readonly seed: number;
  readonly workers?: number;
  readonly json?: string;
  readonly html?: string;
  readonly png?: string;
}

/** Adds `capstan data inspect`. */
export function registerDataInspect(data: Command): void {
  const command = data
    .command('inspect')
    .description('say what a data set holds: columns, captions, vocabulary, images, duplicates, faults')
    .argument('<path...>', 'directories, files or patterns; several are inspected as one data set');
  addReadingFlags(command)
    .option('--sample <rows>', 'read only so many rows, at even distances (default: all)', positiveInteger)
    .option(
      '--decode <images>',
      "how many images to decode, at even distances: a number, 0 for none, or 'all' (default: 2000)",
      numImages,
    )
    .addOption(
      new Option('--entities <how>', "what counts as an entity: English nouns, or any language's words")
        .choices(entityExtractors)
        .default('nouns'),
    )
    .option('--seed <number>', 'seed of what is sampled', wholeNumber, 0)
    .option('--workers <number>', 'threads (default: the number of cores)', positiveInteger)
    .option('--json <file>', 'write everything here')
    .option('--html <file>', 'write a page here')
    .option('--png <file>', 'write a picture here')
    .action(inspect);
}

async function inspect(paths: string[], flags: InspectFlags): Promise<void> {
  const { inspectData } = await import('../../data/inspect/inspect.js');
  const { requireReplaceable } = await import('../../replace-file.js');
  const { formatReport } = await import('../inspect/terminal.js');
  // It may take hours: that its results have no place is to be known before.
  for (const file of [flags.json, flags.html, flags.png]) {
    if (file !== undefined) await requireReplaceable(file);
  }
  const signals = abortOnSignals('ending; nothing is written. Once more to leave at once.');
  const bar = new PhaseBar();
  try {
    const report = await withReading(flags, (reading) =>
      inspectData(paths, {
        ...reading,
        ...chosen(flags),
        signal: signals.signal,
        onProgress: (phase, done, total) => bar.update(phase, done, total),
      }),
    );
    bar.stop();
    print(formatReport(report));
    await write(report, flags);
  } catch (error) {
    const exitCode = signals.exitCode();
    if (exitCode === undefined) throw error;
    bar.stop();
    printError('Interrupted; nothing was written.');
    process.exitCode = exitCode;
  } finally {
    bar.stop();
    signals.stop();
  }
}

function chosen({ sample, decode, entities, seed, workers }: InspectFlags): InspectOptions {
  return {
    entities,
    seed,
    ...(sample === undefined ? {} : { sample }),
    ...(decode === undefined ? {} : { decode }),
    ...(workers === undefined ? {} : { workers }),
  };
}

async function write(report: DataReport, { json, html, png }: InspectFlags): Promise<void> {
  const { replaceFile } = await import('../../replace-file.js');
  if (json !== undefined) await replaceFile(json, `${JSON.stringify(report, null, 2)}\n`);
  if (html !== undefined) {
    const { renderDataPage } = await import('../inspect/page.js');
    await replaceFile(html, await renderDataPage(report));
  }
  if (png !== undefined) {
    const { renderDataPicture } = await import('../inspect/picture.js');
    await replaceFile(png, await renderDataPicture(report));
  }
  const files = [json, html, png].filter((file) => file !== undefined);
  if (files.length > 0) print(`\n${files.join('\n')}`);
}

/** A bar for each phase, one after the other, on standard error. */
class PhaseBar {
  #bar: SingleBar | undefined;
  #phase = '';
  #started = 0;

  update(phase: string, done: number, total: number): void {
    if (phase !== this.#phase) {
      this.stop();
      this.#phase = phase;
      this.#started = performance.now();
      this.#bar = new SingleBar({
        format: `${phase} {bar} {value}/{total}, {speed}/s, {eta_formatted} left`,
        stream: process.stderr,
        clearOnComplete: true,
      });
      this.#bar.start(total, 0, { speed: '-' });
    }
    const seconds = (performance.now() - this.#started) / 1000;
    this.#bar?.update(done, { speed: seconds > 0 ? Math.round(done / seconds) : '-' });
  }

  stop(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }
}

function numImages(text: string): number | 'all' {
  if (text === 'all') return 'all';
  if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
  throw new InvalidArgumentError("Expected a whole number, or 'all'.");
}
