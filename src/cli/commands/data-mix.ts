/** `capstan data mix CONFIG`: what batches would be, without decoding an image or loading an engine. */
import type { Command } from 'commander';
import type { PlannedBatch } from '../../data/loader.js';
import type { KindPreview, MixPreview } from '../../data/mix-preview.js';
import type { ShardWriter } from '../../data/sources/writers.js';
import { formatTable } from '../format-table.js';
import { count, percent, positiveInteger, wholeNumber } from '../numbers.js';
import { print } from '../printer.js';
import { abortOnSignals } from '../signals.js';
import { collect } from './train.js';

interface MixFlags {
  readonly set: string[];
  readonly steps?: number;
  readonly epochs?: number;
  readonly show: number;
  readonly json?: string;
  readonly jsonl?: string;
}

const DEFAULT_STEPS = 100;

/** Adds `capstan data mix`. */
export function registerDataMix(data: Command): void {
  data
    .command('mix')
    .description('show what the batches of a configuration would be')
    .argument('<config>', 'YAML file, as train takes it')
    .option('--set <path=value>', 'change a key, for instance data.mixing=batch (repeatable)', collect, [])
    .option('--dry-run', 'what it always does: nothing is decoded or trained')
    .option(
      '--steps <count>',
      `batches to look at (default: ${DEFAULT_STEPS}, or all of --epochs)`,
      positiveInteger,
    )
    .option('--epochs <count>', 'epochs to look at', positiveInteger)
    .option('--show <count>', 'batches to print whole, with keys, kinds and captions', wholeNumber, 0)
    .option('--json <file>', 'write all figures there too')
    .option('--jsonl <file>', 'write a line for each batch there: step, epoch, keys, kinds')
    .action(run);
}

async function run(path: string, flags: MixFlags): Promise<void> {
  const { loadConfig } = await import('../../config/load.js');
  const { previewMix } = await import('../../data/mix-preview.js');
  const { openTrainingData, orderOptions } = await import('../../train/training-data.js');
  const { resolveModel, tokenizerOptions } = await import('../../train/tasks/clip-config.js');
  const { replaceFile, requireReplaceable } = await import('../../replace-file.js');
  const { epochs, show, json, jsonl } = flags;
  const steps = flags.steps ?? (epochs === undefined ? DEFAULT_STEPS : undefined);
  const config = await loadConfig(path, flags.set);
  const { contextLength } = (await resolveModel(config.model)).text;
  if (json !== undefined) await requireReplaceable(json);
  const data = await openTrainingData(config);
  const log = jsonl === undefined ? undefined : await openLog(jsonl);
  const signals = abortOnSignals('ending; no file is written. Once more to leave at once.');
  try {
    const preview = await previewMix({
      ...orderOptions(config, data),
      contextLength,
      ...tokenizerOptions(config.model),
      ...(steps === undefined ? {} : { steps }),
      ...(epochs === undefined ? {} : { epochs }),
      sourceNames: data.sources,
      onBatch: async (batch) => {
        signals.signal.throwIfAborted();
        if (batch.step < show) print(`${formatBatch(batch)}\n`);
        await log?.write([{ record: lineOf(batch) }]);
      },
    });
    await log?.close();
    print(formatPreview(preview, contextLength));
    if (json !== undefined) await replaceFile(json, `${JSON.stringify(preview, null, 2)}\n`);
  } catch (error) {
    await log?.abort();
    const exitCode = signals.exitCode();
    if (exitCode === undefined) throw error;
    process.exitCode = exitCode;
  } finally {
    signals.stop();
    await data.close();
  }
}

async function openLog(path: string): Promise<ShardWriter> {
  const { openShardWriter } = await import('../../data/sources/writers.js');
  const { recordEncoder } = await import('../../data/sources/record-encoder.js');
  return openShardWriter(path, recordEncoder(new Uint8Array(0), new Uint8Array(0)), 64);
}

/** What says which batch it is and what is in it, so that a run can be held against it. */
function lineOf({ step, epoch, indexInEpoch, keys, kinds, sources }: PlannedBatch): Uint8Array {
  return Buffer.from(`${JSON.stringify({ step, epoch, indexInEpoch, keys, kinds, sources })}\n`);
}

function formatBatch({ step, epoch, keys, kinds, captions, sources }: PlannedBatch): string {
  const several = sources.some((source) => source !== sources[0]);
  const rows = keys.map((key, i) => [
    key,
    ...(several ? [String(sources[i])] : []),
    kinds[i] as string,
    JSON.stringify(captions[i]),
  ]);
  const heads = ['key', ...(several ? ['set'] : []), 'kind', 'caption'];
  return `Batch ${step}, epoch ${epoch}\n${formatTable(heads, rows)}`;
}

/** The figures as tables. */
export function formatPreview(preview: MixPreview, contextLength: number): string {
  const { steps, samples, epochs, kinds, sources, schedule, fallbacks, noCaption, skips, repeatedKeys } =
    preview;
  const parts = [
    `${count(steps)} batches of ${count(samples)} samples, in ${count(epochs)} epoch${epochs === 1 ? '' : 's'}`,
    kindTable(kinds),
  ];
  const outside = kinds.filter(({ within }) => !within);
  if (outside.length > 0) {
    parts.push(
      `Outside of what the mix allows: ${outside.map(({ kind }) => kind).join(', ')}.` +
        (fallbacks > 0 ? ` ${count(fallbacks)} samples lack the kind drawn for them.` : ''),
    );
  }
  parts.push(textTable(kinds, contextLength));
  if (sources.length > 1) {
    const rows = sources.map((source) => [source.path, percent(source.configured), percent(source.realised)]);
    parts.push(formatTable(['data set', 'configured', 'realised'], rows, ['configured', 'realised']));
  }
  if (schedule.length > 1) parts.push(scheduleTable(schedule));
  const facts = [
    `fallbacks ${count(fallbacks)} (${percent(fallbacks / Math.max(1, samples))})`,
    `samples without a caption of the mix, passed over: ${count(noCaption)}`,
    `captions seen before, to the letter: ${percent(preview.duplicateCaptions)}`,
    `repeated keys: ${count(repeatedKeys.count)}${repeatedKeys.count > 0 ? `, such as ${repeatedKeys.examples.join(', ')}` : ''}`,
    ...Object.entries(skips).map(([reason, times]) => `broken, ${count(times)} times: ${reason}`),
    ...(preview.exact ? [] : ['distinct values are estimates, with a standard error of 0.8 %']),
  ];
  return [...parts, facts.join('\n')].join('\n\n');
}

function kindTable(kinds: readonly KindPreview[]): string {
  const rows = kinds.map(({ kind, configured, realised, low, high, within }) => [
    kind,
    percent(configured),
    percent(realised),
    `${percent(low)} to ${percent(high)}`,
    within ? 'yes' : 'NO',
  ]);
  return formatTable(['kind', 'configured', 'realised', 'bound (3 sigma)', 'within'], rows, [
    'configured',
    'realised',
  ]);
}

function textTable(kinds: readonly KindPreview[], contextLength: number): string {
  const numbers = [
    'mean',
    'p50',
    'p95',
    'longest',
    `over ${contextLength}`,
    'vocabulary',
    'distinct-1',
    'distinct-2',
  ];
  const rows = kinds.map(({ kind, tokens, truncatedShare, diversity }) => [
    kind,
    tokens.mean.toFixed(1),
    String(tokens.p50),
    String(tokens.p95),
    String(tokens.max),
    percent(truncatedShare),
    diversity === undefined ? '' : count(diversity.vocabulary),
    diversity?.distinct1.toFixed(4) ?? '',
    diversity?.distinct2.toFixed(4) ?? '',
  ]);
  return formatTable(['tokens', ...numbers], rows, numbers);
}

function scheduleTable(schedule: MixPreview['schedule']): string {
  const kinds = Object.keys(
    schedule[0]?.captions ?? {},
  ) as (keyof MixPreview['schedule'][number]['captions'])[];
  const rows = schedule.map(({ step, captions }) => [
    count(step),
    ...kinds.map((kind) => percent(captions[kind] ?? 0)),
  ]);
  return formatTable(['mix at step', ...kinds], rows, ['mix at step', ...kinds]);
}
