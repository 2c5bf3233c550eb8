/** The charts of an inspection, for page and picture. */
import type { DataReport, LengthSummary } from '../../data/inspect/report.js';
import { renderHistograms, renderStackedBars } from '../../report/bars.js';
import { renderLineChart } from '../../report/charts.js';
import { captionEntries, kindName, overlapsWithFirst, share } from './words.js';

/** A drawn chart. */
export interface Chart {
  readonly title: string;
  readonly svg: string;
}

/** Contexts that are marked: CLIP's, and that of the small presets; start and end of text are no part of lengths. */
const CONTEXTS = [24 - 2, 77 - 2];

/** Lengths of captions in CLIP tokens or, without a tokenizer, in words. */
export async function lengthChart(report: DataReport): Promise<Chart | undefined> {
  const entries = captionEntries(report);
  const unit = entries.some(([, { tokens }]) => tokens !== undefined) ? 'tokens' : 'words';
  const series = entries.flatMap(([kind, captions]) => {
    const histogram = captions[unit]?.histogram;
    return histogram === undefined ? [] : [{ name: kindName(kind), ...histogram }];
  });
  if (series.length === 0) return undefined;
  const title = unit === 'tokens' ? 'Length of captions in CLIP tokens' : 'Length of captions in words';
  const marks = unit === 'tokens' ? CONTEXTS : [];
  return { title, svg: await renderHistograms({ title, xTitle: unit, series, marks }) };
}

/** The paper's figure 7. */
export async function overlapChart(report: DataReport): Promise<Chart | undefined> {
  const overlaps = overlapsWithFirst(report);
  const [first] = overlaps;
  if (first === undefined) return undefined;
  const base = kindName(first.base);
  const title = `Entities shared with ${base}, and share of it covered`;
  const svg = await renderStackedBars({
    title,
    xTitle: 'different entities',
    parts: ['only these captions', 'shared', `only ${base}`],
    bars: overlaps.map(({ kind, onlyKind, shared, onlyBase, baseCovered }) => ({
      name: kindName(kind),
      values: [onlyKind, shared, onlyBase],
      note: share(baseCovered),
    })),
  });
  return { title, svg };
}

/** Different words over all words. */
export async function vocabularyChart(report: DataReport): Promise<Chart | undefined> {
  const series = captionEntries(report).flatMap(([kind, { vocabulary }]) => {
    if (vocabulary === undefined) return [];
    const points = [...vocabulary.byWords, vocabulary].map(
      (point) => [point.words, point.vocabulary] as const,
    );
    return [{ name: kindName(kind), points: [[0, 0] as const, ...points] }];
  });
  if (series.length === 0) return undefined;
  const title = 'Different words as captions get more';
  return { title, svg: await renderLineChart({ title, xTitle: 'words', yTitle: 'different words', series }) };
}

/** Sizes and shapes of images. */
export async function imageCharts({ images }: DataReport): Promise<Chart[]> {
  if (images?.shortSide === undefined || images.aspect === undefined) return [];
  const charts: Chart[] = [];
  const draw = async (title: string, xTitle: string, { least, most, histogram }: LengthSummary, unit = 1) => {
    // Where all are alike there is nothing to see.
    if (least === most) return;
    const series = [{ name: title, ...histogram }];
    charts.push({ title, svg: await renderHistograms({ title, xTitle, series, unit }) });
  };
  await draw('Shorter side of images in pixels', 'pixels', images.shortSide);
  await draw('Width over height of images', 'width / height', images.aspect, 100);
  return charts;
}
