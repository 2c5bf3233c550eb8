/** The pass over keys and captions. */
import { textHash } from '../distinct.js';
import { type Row, rowFault, sampleKey } from '../schema.js';
import { CaptionTally, captionsOf, type PlacedText } from './captions.js';
import { FaultCounter } from './faults.js';
import { forEachInOrder, runsOf } from './in-order.js';
import { RepeatCounter } from './repeats.js';
import type { DataReport, TextColumn } from './report.js';
import type { SeveralSources } from './several.js';
import type { InspectThreads } from './threads.js';
import { captionHash } from './words.js';

/** What is worked on. */
export type InspectPhase = 'captions' | 'images';

/** What both passes work with. */
export interface InspectWork {
  readonly all: SeveralSources;
  readonly threads: InspectThreads;
  readonly seed: number;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((phase: InspectPhase, done: number, total: number) => void) | undefined;
}

/** Rows read at a time. */
const ROWS_AT_ONCE = 256;
/** Repeated captions and keys that are listed. */
const NUM_TOP = 10;
/** Values of a column counted; a column with more tells no language. */
const MAX_VALUES = 500;

/** What the pass finds. */
export type CaptionFindings = Pick<
  DataReport,
  'captions' | 'combinations' | 'languages' | 'entities' | 'keys' | 'faults' | 'splits'
>;

/** Reads keys, captions, languages and splits of the rows, in order. */
export async function inspectCaptions(
  work: InspectWork,
  places: readonly number[],
): Promise<CaptionFindings> {
  const { all, threads, signal } = work;
  const others = ['key', 'split', ...all.languageColumns].filter((column) => all.has(column));
  const columns = [...new Set([...others, ...all.textColumns])];
  const tally = new CaptionTally(all.textColumns);
  const keys = new RepeatCounter();
  const faults = new FaultCounter();
  const counts = new Map<string, Map<string, number>>();
  let done = 0;
  await forEachInOrder(
    runsOf(places, ROWS_AT_ONCE),
    threads.capacity,
    async (numbers) => {
      signal?.throwIfAborted();
      const rows = await all.read(numbers, columns);
      const texts = rows.flatMap((row, i) => textsOf(row, numbers[i] as number, all.textColumns));
      const findings = await threads.texts({ kind: 'texts', texts: texts.map(({ text }) => text) });
      return { rows, texts, findings };
    },
    (numbers, { rows, texts, findings }) => {
      for (const [i, row] of rows.entries()) {
        const number = numbers[i] as number;
        const fault = rowFault(row) ?? faultOfKey(row, all.has('key'));
        if (fault !== undefined) faults.add(all.keyOf(row, number), fault);
        if (rowFault(row) !== undefined) continue;
        const key = sampleKey(row);
        if (key !== undefined) keys.add(textHash(key), number);
        tally.addRow(row);
        for (const column of others.slice(1)) count(counts, column, row);
      }
      tally.addFindings(texts, findings);
      done += numbers.length;
      work.onProgress?.('captions', done, places.length);
    },
  );
  const splits = Object.fromEntries(counts.get('split') ?? []);
  return {
    ...tally.report(await topCaptions(all, tally)),
    languages: Object.fromEntries(
      all.languageColumns.flatMap((column) => {
        const values = counts.get(column);
        if (values === undefined || values.size > MAX_VALUES) return [];
        return [[column, Object.fromEntries([...values].sort(([, a], [, b]) => b - a))]];
      }),
    ),
    keys: { ...keys.report(), top: await topKeys(all, keys) },
    faults: faults.report(),
    ...(counts.has('split') ? { splits: { by: 'column', counts: splits } } : {}),
  };
}

function textsOf(row: Row, number: number, kinds: readonly TextColumn[]): PlacedText[] {
  return kinds.flatMap((kind) => captionsOf(row, kind).map((text) => ({ kind, row: number, text })));
}

function faultOfKey(row: Row, hasKeys: boolean): string | undefined {
  return hasKeys && sampleKey(row) === undefined ? 'It has no key.' : undefined;
}

function count(counts: Map<string, Map<string, number>>, column: string, row: Row): void {
  const value = row[column];
  if (typeof value !== 'string') return;
  const values = counts.get(column) ?? new Map<string, number>();
  counts.set(column, values);
  if (values.size <= MAX_VALUES) values.set(value, (values.get(value) ?? 0) + 1);
}

async function topKeys(
  all: SeveralSources,
  keys: RepeatCounter,
): Promise<{ keys: string[]; count: number }[]> {
  const top = keys.top(NUM_TOP);
  const read = await readKeys(
    all,
    top.map(({ firstRow }) => firstRow),
  );
  return top.map(({ firstRow, lastRow, count: times }) => ({
    keys: [read.get(firstRow) as string, all.nameOf(firstRow), all.nameOf(lastRow)],
    count: times,
  }));
}

/** Keys of rows by their numbers. */
export async function readKeys(
  all: SeveralSources,
  numbers: readonly number[],
): Promise<Map<number, string>> {
  const ascending = [...new Set(numbers)].sort((a, b) => a - b);
  const rows = await all.read(ascending, ['key']);
  return new Map(ascending.map((number, i) => [number, all.keyOf(rows[i] as Row, number)]));
}

/** The texts of the captions that repeat most, read again by the first row that has each. */
async function topCaptions(
  all: SeveralSources,
  tally: CaptionTally,
): Promise<Map<TextColumn, { text: string; count: number }[]>> {
  const found = new Map<TextColumn, { text: string; count: number }[]>();
  for (const kind of all.textColumns) {
    const top = tally.topRepeats(kind, NUM_TOP);
    const ascending = [...new Set(top.map(({ firstRow }) => firstRow))].sort((a, b) => a - b);
    const rows = await all.read(ascending, [kind]);
    found.set(
      kind,
      top.map(({ hash, firstRow, count: times }) => {
        const texts = captionsOf(rows[ascending.indexOf(firstRow)] as Row, kind);
        return { text: texts.find((text) => captionHash(text) === hash) ?? '', count: times };
      }),
    );
  }
  return found;
}
