/** Numbers and names of an inspection as text, for terminal, page and picture. */
import type {
  DataReport,
  LengthSummary,
  OverlapReport,
  TextColumn,
  VocabularyPoint,
} from '../../data/inspect/report.js';

/** A whole number with its thousands. */
export const count = (value: number): string => Math.round(value).toLocaleString('en-US');

/** The number and its noun, in the plural but for one. */
export const counted = (value: number, noun: string): string =>
  `${count(value)} ${value === 1 ? noun : noun.replace(/y$/, 'ie')}${value === 1 ? '' : 's'}`;

/** A share as a percentage; one that is neither nothing nor all is never rounded to it. */
export function share(value: number): string {
  if (value > 0 && value < 0.001) return '< 0.1 %';
  if (value < 1 && value > 0.999) return '> 99.9 %';
  return `${(100 * value).toFixed(1)} %`;
}

/** How the paper calls a kind of caption. */
export function kindName(kind: TextColumn): string {
  if (kind === 'alt') return 'AltText';
  return kind === 'captions' ? 'captions' : kind.toUpperCase();
}

/** Names with their counts, the first ones. */
export function countsText(counts: Readonly<Record<string, number>>, limit = 8): string {
  const entries = Object.entries(counts);
  const shown = entries.slice(0, limit).map(([name, times]) => `${name} ${count(times)}`);
  return [...shown, ...(entries.length > limit ? [`${entries.length - limit} more`] : [])].join(', ');
}

/** Least, median and most. */
export const spreadText = (
  { least, median, most }: Pick<LengthSummary, 'least' | 'median' | 'most'>,
  format: (value: number) => string = count,
): string => (least === most ? format(least) : `${format(least)} / ${format(median)} / ${format(most)}`);

/** The largest mark that all curves reach, with the vocabulary that each has there. */
function atMark(
  report: DataReport,
  curve: 'byWords' | 'byCaptions',
): { readonly mark: number; readonly vocabulary: ReadonlyMap<TextColumn, number> } | undefined {
  const of = curve === 'byWords' ? 'words' : 'captions';
  const curves = captionEntries(report).flatMap(([kind, { vocabulary }]) =>
    vocabulary === undefined ? [] : [[kind, vocabulary[curve]] as const],
  );
  const reached = curves.map(([, points]) => points.at(-1)?.[of] ?? 0);
  const mark = Math.min(...reached);
  if (curves.length === 0 || mark === 0) return undefined;
  const at = (points: readonly VocabularyPoint[]): number =>
    (points.find((point) => point[of] === mark) as VocabularyPoint).vocabulary;
  return { mark, vocabulary: new Map(curves.map(([kind, points]) => [kind, at(points)])) };
}

/**
 * How varied the captions of each kind are: heads and rows of a table, without the head of the kinds.
 *
 * @param before what stands before a mark's number
 * @param nameOf what a kind is called
 */
export function vocabularyTable(
  report: DataReport,
  before: 'in' | 'of',
  nameOf: (kind: TextColumn) => string,
): { readonly heads: string[]; readonly rows: string[][] } {
  const [words, captions] = [atMark(report, 'byWords'), atMark(report, 'byCaptions')];
  const marks = [
    ...(words === undefined ? [] : [{ ...words, name: `${before} ${count(words.mark)} words` }]),
    ...(captions === undefined ? [] : [{ ...captions, name: `${before} ${count(captions.mark)} texts` }]),
  ];
  const named = marks.map(({ name }) => name);
  const heads = ['words', 'different', ...named, 'distinct-1', 'distinct-2', 'entities'];
  const rows = captionEntries(report).flatMap(([kind, { vocabulary }]) => {
    if (vocabulary === undefined) return [];
    return [
      [
        nameOf(kind),
        count(vocabulary.words),
        count(vocabulary.vocabulary),
        ...marks.map((mark) => count(mark.vocabulary.get(kind) ?? 0)),
        vocabulary.distinct1.toFixed(3),
        vocabulary.distinct2.toFixed(3),
        count(report.entities.totals[kind] ?? 0),
      ],
    ];
  });
  return { heads, rows };
}

/** The columns of captions with what they hold. */
export function captionEntries(
  report: DataReport,
): [TextColumn, NonNullable<DataReport['captions'][TextColumn]>][] {
  return Object.entries(report.captions) as [TextColumn, NonNullable<DataReport['captions'][TextColumn]>][];
}

/** The overlaps of every kind with the first, which is AltText where there is any. */
export function overlapsWithFirst({ entities }: DataReport): OverlapReport[] {
  const base = entities.overlaps[0]?.base;
  return entities.overlaps.filter((overlap) => overlap.base === base);
}

/** A text cut to a length. */
export const cut = (text: string, length: number): string => {
  const points = [...text.replace(/\s+/g, ' ')];
  return points.length <= length ? points.join('') : `${points.slice(0, length - 1).join('')}…`;
};

/** What was looked at, in a sentence. */
export function looked(report: DataReport): string {
  const all = report.rowsRead === report.rows;
  const rows = all
    ? `all ${count(report.rows)} rows`
    : `${count(report.rowsRead)} of ${count(report.rows)} rows`;
  const { images } = report;
  if (images === undefined) return `${rows}, no images`;
  const some = images.looked === images.of ? 'all' : `${count(images.looked)} of ${count(images.of)}`;
  return `${rows}, ${some} images`;
}
